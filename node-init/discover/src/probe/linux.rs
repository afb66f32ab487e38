//! The running Linux, by `/proc/sys/kernel`.

use report::NodeFacts;
use report::node::Linux;

use crate::{ProbeError, ReadError, Root};

const DIR: &str = "proc/sys/kernel";

pub(super) fn read(root: &Root, facts: &mut NodeFacts) -> Result<(), ProbeError> {
    if !root.has(DIR) {
        return Err(ProbeError::Unsupported { path: DIR });
    }
    facts.linux = Some(Linux {
        release: root.value("proc/sys/kernel/osrelease", "a release", full)?,
        architecture: architecture(root)?,
        boot_id: root.value("proc/sys/kernel/random/boot_id", "a UUID", uuid)?,
        hostname: None,
    });
    let hostname = root.text_if_told("proc/sys/kernel/hostname")?;
    if let Some(linux) = &mut facts.linux {
        // The kernel's name for a node that nobody has named yet (`init/version.c`).
        linux.hostname = hostname.filter(|name| name != "(none)");
    }
    Ok(())
}

/// `/proc/sys/kernel/arch` is there since Linux 6.1; on an older machine we are of its architecture ourselves.
fn architecture(root: &Root) -> Result<String, ReadError> {
    match root.value("proc/sys/kernel/arch", "a hardware name", full) {
        Err(ReadError::Missing { .. }) if root.is_machine() => Ok(std::env::consts::ARCH.to_owned()),
        other => other,
    }
}

fn full(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The boot id goes into paths of files and of requests: nothing but hexadecimal digits and hyphens.
fn uuid(text: &str) -> Option<String> {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let plain = text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    (plain && groups == [8, 4, 4, 4, 12]).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use report::node::CollectorStatus;

    fn tree() -> Tree {
        Tree::new(&[
            ("proc/sys/kernel/osrelease", "6.12.107-amd64\n"),
            ("proc/sys/kernel/arch", "x86_64\n"),
            ("proc/sys/kernel/hostname", "node7\n"),
            ("proc/sys/kernel/random/boot_id", "1B4E28BA-2fa1-41d2-883f-0016d3cca427\n"),
        ])
    }

    #[test]
    fn release_boot_and_name_are_read() {
        let (facts, ended) = tree().read(read);
        assert_eq!(ended, Ok(()));
        let linux = facts.linux.unwrap();
        assert_eq!((linux.release.as_str(), linux.architecture.as_str()), ("6.12.107-amd64", "x86_64"));
        assert_eq!(linux.boot_id, "1b4e28ba-2fa1-41d2-883f-0016d3cca427");
        assert_eq!(linux.hostname.as_deref(), Some("node7"));
    }

    #[test]
    fn a_malformed_boot_id_is_refused() {
        let tree = tree();
        tree.write("proc/sys/kernel/random/boot_id", "../../etc");
        let (facts, ended) = tree.read(read);
        let (status, detail) = ended.unwrap_err();
        assert_eq!(status, CollectorStatus::Error);
        assert_eq!(detail, "`proc/sys/kernel/random/boot_id` holds `../../etc`: expected a UUID");
        assert_eq!(facts.linux, None);
    }

    #[test]
    fn a_node_without_a_name_or_without_procfs_is_recorded_as_such() {
        let tree = tree();
        tree.write("proc/sys/kernel/hostname", "(none)\n");
        assert_eq!(tree.read(read).0.linux.unwrap().hostname, None);
        assert_eq!(Tree::new(&[]).read(read).1.unwrap_err().0, CollectorStatus::Unsupported);
    }
}
