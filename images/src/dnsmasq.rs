//! A configuration of dnsmasq that boots machines from the network: firmware gets iPXE by TFTP, iPXE gets the script by HTTP.

use std::net::Ipv4Addr;

use anyhow::{Context as _, ensure};

/// What the configuration is for.
#[derive(clap::Args, Debug)]
pub(crate) struct Wish {
    /// Where `images serve` answers, `http://ADDR:PORT`; ADDR is an IPv4 address in the nodes' network.
    #[arg(long, value_name = "URL")]
    url: String,
    /// Another server gives the addresses; this one adds what to boot.
    #[arg(long)]
    proxy: bool,
}

/// The text; the network is the /24 of the address.
pub(crate) fn configuration(wish: &Wish) -> anyhow::Result<String> {
    let url = wish.url.trim_end_matches('/');
    let authority = url.strip_prefix("http://").unwrap_or_default();
    let host = authority.split(':').next().unwrap_or_default();
    let address: Ipv4Addr =
        host.parse().with_context(|| format!("`{url}` has not the form http://ADDR:PORT"))?;
    let plain = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
    ensure!(authority.chars().all(plain), "`{url}` has not the form http://ADDR:PORT");
    let [a, b, c, _] = address.octets();
    let net = format!("{a}.{b}.{c}");
    let addresses = if wish.proxy {
        format!("dhcp-range={net}.0,proxy,255.255.255.0\n")
    } else {
        format!("dhcp-range={net}.50,{net}.199,255.255.255.0,1h\n")
    };
    let boot = if wish.proxy {
        format!(
            "pxe-service=tag:!ipxe,x86PC,\"Assay\",undionly.kpxe\n\
             pxe-service=tag:!ipxe,X86-64_EFI,\"Assay\",snponly.efi\n\
             dhcp-boot=tag:ipxe,{url}/boot.ipxe\n"
        )
    } else {
        format!(
            "dhcp-match=set:bios,option:client-arch,0\ndhcp-match=set:efi64,option:client-arch,7\n\
             dhcp-match=set:efi64,option:client-arch,9\ndhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe\n\
             dhcp-boot=tag:!ipxe,tag:efi64,snponly.efi\ndhcp-boot=tag:ipxe,{url}/boot.ipxe\n"
        )
    };
    Ok(format!(
        "# undionly.kpxe and snponly.efi, of Debian's package ipxe, belong in tftp-root.\n\
         port=0\nenable-tftp\ntftp-root=/srv/tftp\n{addresses}dhcp-match=set:ipxe,175\n{boot}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str, proxy: bool) -> anyhow::Result<String> {
        configuration(&Wish { url: url.to_owned(), proxy })
    }

    #[test]
    fn dnsmasq_takes_both_configurations_and_no_broken_one() {
        let dir = tempfile::tempdir().unwrap();
        let takes = |text: &str| {
            // `--test` asks for the folder, too.
            let text = text.replace("/srv/tftp", &dir.path().display().to_string());
            let path = dir.path().join("dnsmasq.conf");
            std::fs::write(&path, text).unwrap();
            let mut command = std::process::Command::new("dnsmasq");
            command.arg("--test").arg(format!("--conf-file={}", path.display()));
            command.output().unwrap().status.success()
        };
        for proxy in [false, true] {
            let text = of("http://10.77.0.1:8080/", proxy).unwrap();
            assert!(text.contains("dhcp-boot=tag:ipxe,http://10.77.0.1:8080/boot.ipxe\n"), "{text}");
            assert!(takes(&text), "{text}");
            assert!(!takes(&text.replace("enable-tftp", "enable-tfpt")), "{text}");
        }
    }

    #[test]
    fn an_url_without_a_plain_address_is_refused() {
        for bad in ["https://10.0.0.1", "http://boot:80", "http://10.0.0.1/x", "http://10.0.0.1:1\nport=5"] {
            assert!(of(bad, false).is_err(), "{bad}");
        }
    }
}
