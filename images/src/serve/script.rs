//! The iPXE script, and the name by which a machine asks for its site layer.

use anyhow::Context as _;
use serde::Deserialize;

/// What the name of a site layer ends with.
pub(super) const SITE_END: &str = ".cpio.zst";
/// What a machine calls its site layer.
const SITE: &str = "site.cpio.zst";
/// What iPXE puts in for a machine that has not said who it is. Hyphens, since iPXE takes what stands before a colon for the
/// scheme of a URL.
const OWN: &str = "${uuid}_${netX/mac:hexhyp}";
/// Longest name of a machine.
const INSTANCE_BYTES_MAX: usize = 128;

/// What a machine says of itself in the URL of the script.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Machine {
    uuid: Option<String>,
    mac: Option<String>,
}

impl Machine {
    /// Its name, or what iPXE makes one of; `None` if what was said is no name.
    pub(super) fn instance(&self) -> Option<String> {
        let parts = [&self.uuid, &self.mac].into_iter().flatten().filter(|part| !part.is_empty());
        let name = parts.map(|part| part.replace(':', "-")).collect::<Vec<_>>().join("_");
        match name.as_str() {
            "" => Some(OWN.to_owned()),
            _ => is_instance(&name).then_some(name),
        }
    }
}

/// Is this the name of a machine? It goes into a script and into messages.
pub(super) fn is_instance(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=INSTANCE_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// The script of an image with one more layer, behind all others, so that its settings win.
pub(super) fn with_site(image: &str, instance: &str) -> anyhow::Result<String> {
    let loads = image.strip_suffix("boot\n").context("the script does not end in `boot`")?;
    let (before, after) = loads.split_once(" BOOTIF=").context("the script gives Linux no `BOOTIF=`")?;
    Ok(format!("{before} initrd={SITE} BOOTIF={after}initrd --name {SITE} site/{instance}{SITE_END}\nboot\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_layer_comes_last_and_the_rest_is_the_images_own() {
        let image = crate::image::script("quiet", &["init", "gpu"]);
        assert_eq!(
            with_site(&image, "a").unwrap(),
            "#!ipxe\nkernel vmlinuz initrd=init.cpio.zst initrd=gpu.cpio.zst initrd=site.cpio.zst \
             BOOTIF=${netX/mac} quiet\ninitrd init.cpio.zst\ninitrd gpu.cpio.zst\n\
             initrd --name site.cpio.zst site/a.cpio.zst\nboot\n"
        );
        assert!(with_site("#!ipxe\nexit\n", "a").is_err());
        assert!(with_site("#!ipxe\nkernel vmlinuz\nboot\n", "a").is_err());
    }

    #[test]
    fn a_machine_is_named_by_what_it_says_and_by_ipxe_if_it_says_nothing() {
        let name = |uuid: &str, mac: &str| {
            Machine { uuid: Some(uuid.to_owned()), mac: Some(mac.to_owned()) }.instance()
        };
        assert_eq!(name("4C4C-0042", "52:54:00:12").as_deref(), Some("4C4C-0042_52-54-00-12"));
        assert_eq!(name("", "52:54").as_deref(), Some("52-54"));
        assert_eq!(name("", "").as_deref(), Some(OWN));
        assert_eq!(Machine::default().instance().as_deref(), Some(OWN));
        for bad in ["a\nboot", "a b", "../a", "${uuid}", "a/b", &"a".repeat(129)] {
            assert_eq!(name(bad, ""), None, "{bad}");
        }
    }
}
