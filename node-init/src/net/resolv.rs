//! The file that tells the C library whom to ask for names.

use std::net::IpAddr;
use std::path::Path;

/// More than these glibc does not read (`MAXNS` in `resolv.h`).
const SERVERS: usize = 3;

/// Writes `resolv.conf`.
pub fn write_resolv_conf(path: &Path, dns: &[IpAddr], search: &[String]) -> std::io::Result<()> {
    std::fs::write(path, text(dns, search))
}

fn text(dns: &[IpAddr], search: &[String]) -> String {
    let mut text = String::new();
    if !search.is_empty() {
        text += &format!("search {}\n", search.join(" "));
    }
    for server in dns.iter().take(SERVERS) {
        text += &format!("nameserver {server}\n");
    }
    text + "options timeout:2 attempts:3\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_three_servers_and_all_domains_are_named() {
        let servers: Vec<IpAddr> = (1..=4).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        let text = text(&servers, &["a.net".into(), "b.net".into()]);
        assert_eq!(
            text,
            "search a.net b.net\nnameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n\
             options timeout:2 attempts:3\n"
        );
    }
}
