//! `images serve` over a real socket, as iPXE and curious neighbours see it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::json;

const SCRIPT: &str =
    "#!ipxe\nkernel vmlinuz initrd=init.cpio.zst BOOTIF=${netX/mac} quiet\ninitrd init.cpio.zst\nboot\n";

/// A running service; its folder is `dir/image`.
struct Served {
    child: Child,
    said: BufReader<ChildStderr>,
    address: String,
    dir: tempfile::TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    /// In lower case.
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A folder with an image of two files, beside it a secret that is not of the image.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    std::fs::create_dir(&image).unwrap();
    let file = |name: &str| json!({"name": name, "size_bytes": 0, "sha256": ""});
    let names = ["boot.ipxe", "init.cpio.zst", "vmlinuz"];
    let manifest = json!({
        "schema": "assay.image/1", "profile": "software", "kernel_release": "6.12", "build_epoch": 0,
        "files": names.map(file),
    });
    for (path, content) in [
        ("image/manifest.json", manifest.to_string().as_str()),
        ("image/boot.ipxe", SCRIPT),
        ("image/vmlinuz", "0123456789"),
        ("image/init.cpio.zst", "init"),
        ("image/stray", "a stray file"),
        ("secret", "a secret file"),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\nsite\n"),
    ] {
        std::fs::write(dir.path().join(path), content).unwrap();
    }
    dir
}

fn command(dir: &Path, token_script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_images"));
    command.current_dir(dir).args(["serve", "--dir", "image", "--listen", "127.0.0.1:0"]);
    command.args(["--inventory", "https://inventory:8443", "--ca", "ca.pem", "--set", "on_done=poweroff"]);
    command.args(["--token-command", "sh", "-c", token_script]);
    command
}

fn serve(token_script: &str) -> Served {
    let dir = folder();
    let mut child = command(dir.path(), token_script).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.trim_end().strip_prefix("images: listening on http://").unwrap().to_owned();
    assert!(!address.ends_with(":0"), "{address}");
    Served { child, said, address, dir }
}

/// Prints another token each time.
const COUNTING: &str = "echo x >>count; echo assay-id-secret$(wc -l <count)";

impl Served {
    /// Sends the target as it is: no client tidies it up.
    fn ask(&self, method: &str, target: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{method} {target} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n{headers}\r\n")
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        Answer { status: head[9..12].parse().unwrap(), head, body: bytes[end + 4..].to_vec() }
    }

    fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "")
    }

    /// The archive of a site layer, as text.
    fn site(&self, instance: &str) -> String {
        let answer = self.get(&format!("/site/{instance}.cpio.zst"));
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
        let mut archive = String::new();
        // Behind the frame is the padding between layers.
        let mut frame = zstd::Decoder::new(answer.body.as_slice()).unwrap().single_frame();
        frame.read_to_string(&mut archive).unwrap();
        archive
    }

    fn tokens_made(&self) -> usize {
        std::fs::read_to_string(self.dir.path().join("count")).map_or(0, |text| text.lines().count())
    }

    /// Ends the service; all that it has said since it listens.
    fn end(&mut self) -> String {
        self.child.kill().unwrap();
        let mut text = String::new();
        self.said.read_to_string(&mut text).unwrap();
        text
    }
}

#[test]
fn a_machine_that_says_who_it_is_gets_a_script_with_its_site_layer() {
    let served = serve(COUNTING);
    let answer = served.get("/boot.ipxe?mac=52:54:00:aa:bb:cc&uuid=4c4c4544-0042");
    assert_eq!(answer.status, 200);
    let site = "initrd --name site.cpio.zst site/4c4c4544-0042_52-54-00-aa-bb-cc.cpio.zst\nboot\n";
    let expected = SCRIPT.replace("boot\n", site).replace(" BOOTIF", " initrd=site.cpio.zst BOOTIF");
    assert_eq!(answer.text(), expected);
    assert_eq!(served.get("/boot.ipxe?mac=a%0Aboot").status, 400);
    assert_eq!(served.tokens_made(), 0, "a script is no reason for a token");
}

#[test]
fn a_script_asked_for_without_a_name_lets_ipxe_put_its_own() {
    let answer = serve(COUNTING).get("/boot.ipxe");
    assert!(answer.text().ends_with(" site/${uuid}_${netX/mac:hexhyp}.cpio.zst\nboot\n"));
    assert!(!answer.text().contains("token"));
}

#[test]
fn each_site_layer_has_a_fresh_token_which_no_message_shows() {
    let mut served = serve(COUNTING);
    for number in 1..=3 {
        let archive = served.site("4c4c_52-54");
        for part in [
            "inventory=https://inventory:8443\nca=/etc/assay/ca.pem\non_done=poweroff\n",
            &format!("\ntoken=assay-id-secret{number}\n"),
            "-----BEGIN CERTIFICATE-----\nsite\n",
        ] {
            assert!(archive.contains(part), "{part}");
        }
    }
    let said = served.end();
    assert_eq!(said.matches("a token for `4c4c_52-54` to 127.0.0.1:").count(), 3, "{said}");
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn without_a_token_there_is_no_site_layer() {
    for (script, reason) in [
        (
            "echo assay-id-secret; echo the store is locked >&2; exit 1",
            "exit status: 1): the store is locked",
        ),
        ("true", "is no token"),
    ] {
        let mut served = serve(script);
        let answer = served.get("/site/a.cpio.zst");
        assert_eq!(answer.status, 503);
        assert!(!answer.text().contains("secret"));
        let said = served.end();
        assert!(said.contains("no token for `a` to 127.0.0.1:") && said.contains(reason), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn files_are_served_whole_in_part_and_as_a_head() {
    let served = serve(COUNTING);
    let whole = served.get("/vmlinuz");
    assert_eq!((whole.status, whole.text()), (200, "0123456789"));
    assert!(whole.head.contains("content-length: 10"), "{}", whole.head);
    let part = served.ask("GET", "/vmlinuz", "Range: bytes=2-4\r\n");
    assert_eq!((part.status, part.text()), (206, "234"));
    assert!(part.head.contains("content-range: bytes 2-4/10"), "{}", part.head);
    assert_eq!(served.ask("GET", "/vmlinuz", "Range: bytes=10-\r\n").status, 416);
    let head = served.ask("HEAD", "/vmlinuz", "");
    assert_eq!((head.status, head.text()), (200, ""));
    assert!(head.head.contains("content-length: 10"), "{}", head.head);
}

#[test]
fn nothing_but_the_files_of_the_manifest_is_served() {
    let served = serve(COUNTING);
    for target in [
        "/",
        "/stray",
        "/manifest.json",
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/image/../../secret",
        "//vmlinuz",
        "/vmlinuz/..%2f..%2fsecret",
        "/vmlinuz%00",
        "/site/..%2f..%2fsecret.cpio.zst",
        "/site/.cpio.zst",
        "/site/a%0Ab.cpio.zst",
        "/site/a",
    ] {
        let answer = served.get(target);
        assert!([400, 404].contains(&answer.status), "{target}: {}", answer.status);
        assert!(!String::from_utf8_lossy(&answer.body).contains("file"), "{target}");
    }
    assert_eq!(served.tokens_made(), 0);
}

#[test]
fn only_get_and_head_are_answered_and_a_head_makes_no_token() {
    let served = serve(COUNTING);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for target in ["/vmlinuz", "/boot.ipxe", "/site/a.cpio.zst"] {
            assert_eq!(served.ask(method, target, "").status, 405, "{method} {target}");
        }
    }
    assert_eq!(served.ask("HEAD", "/site/a.cpio.zst", "").status, 405);
    assert_eq!(served.ask("HEAD", "/boot.ipxe", "").status, 200);
    assert_eq!(served.tokens_made(), 0);
}

#[test]
fn a_folder_that_is_no_whole_image_is_refused_at_the_start() {
    let dir = folder();
    let refused = |part: &str| {
        let output = command(dir.path(), COUNTING).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    };
    let image = dir.path().join("image");
    std::fs::write(image.join("boot.ipxe"), "#!ipxe\nexit\n").unwrap();
    refused("the script does not end in `boot`");
    std::fs::remove_file(image.join("vmlinuz")).unwrap();
    refused("the manifest names `vmlinuz`, which is not beside it");
    let manifest = std::fs::read_to_string(image.join("manifest.json")).unwrap();
    std::fs::write(image.join("manifest.json"), manifest.replace("vmlinuz", "../secret")).unwrap();
    refused("the manifest names `../secret`, which is no file beside it");
    std::fs::remove_file(image.join("manifest.json")).unwrap();
    refused("reading `image/manifest.json`");
}
