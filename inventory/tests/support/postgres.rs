//! A PostgreSQL server of the test's own: Debian's, in a temporary directory, reached through a socket in there, with its
//! fsync on. It sorts texts by the rules of a language, as those of sites may, and not by their bytes.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]
#![allow(clippy::disallowed_methods, reason = "waits for another process")]

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};

/// A running server. It ends with this value.
pub struct Postgres {
    directory: tempfile::TempDir,
    child: Option<Child>,
    databases: AtomicUsize,
    port: u16,
    settings: Vec<String>,
}

impl Postgres {
    /// A new one without a database.
    pub fn start() -> Self {
        Self::start_with(5432, |_| Vec::new())
    }

    /// One that shows this certificate (PEM, with its key) on a port of the loopback; gives the port.
    pub fn start_tls(certificate: &str, key: &str) -> (Self, u16) {
        // Free a moment ago, and with no other user than tests.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = |this: &Self| {
            let (certificate, key) = (this.keep("tls.pem", certificate), this.keep("tls.key", key));
            let files = [format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")];
            files.into_iter().chain(["ssl=on".to_owned(), "listen_addresses=127.0.0.1".to_owned()]).collect()
        };
        (Self::start_with(port, settings), port)
    }

    fn start_with(port: u16, settings: impl FnOnce(&Self) -> Vec<String>) -> Self {
        let directory = tempfile::Builder::new().prefix("assay-postgres-").tempdir().unwrap();
        if let Some((user, group)) = other_user() {
            std::os::unix::fs::chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let mut this =
            Self { directory, child: None, databases: AtomicUsize::new(0), port, settings: Vec::new() };
        let made = this
            .command("initdb")
            .args(["--username=assay", "--auth=trust", "--no-sync", "--no-instructions", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--pgdata"])
            .arg(this.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        this.settings = settings(&this);
        this.restart();
        this
    }

    /// A file that only the server may read; gives its path.
    fn keep(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = other_user() {
            std::os::unix::fs::chown(&path, Some(user), Some(group)).unwrap();
        }
        path.display().to_string()
    }

    /// Starts it again after [`Self::crash`].
    pub fn restart(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let socket = format!("unix_socket_directories={}", self.directory.path().display());
        let child = self
            .command("postgres")
            .args(["-c", "listen_addresses=", "-c", "fsync=on", "-c", "max_connections=50", "-c", &socket])
            // Small, and with nothing to do of its own.
            .args(["-c", "shared_buffers=32MB", "-c", "dynamic_shared_memory_type=mmap"])
            .args(["-c", "autovacuum=off", "-c", "wal_level=minimal", "-c", "max_wal_senders=0"])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .arg("-D")
            .arg(self.data())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        for _ in 0..1200 {
            let ready = self
                .command("pg_isready")
                .args(["-q", "-U", "assay", "-h"])
                .arg(self.directory.path())
                .status();
            if ready.unwrap().success() {
                return;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "postgres: {}", fs::read_to_string(self.log()).unwrap());
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("postgres does not answer: {}", fs::read_to_string(self.log()).unwrap());
    }

    /// Ends it at once, as a crash does; nothing is written on the way.
    pub fn crash(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        kill_process(Pid::from_child(&child), Signal::QUIT).unwrap();
        child.wait().unwrap();
    }

    /// The address of a new, empty database. It is a schema of its own, which is made a hundred times faster.
    pub fn database(&self) -> String {
        let name = format!("fleet{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE SCHEMA {name}"));
        let directory = self.directory.path().display();
        format!("postgres://assay@/postgres?host={directory}&options=-csearch_path%3D{name}")
    }

    /// What the server answers to a statement in the database with that name or address, a line for each row.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let output = self
            .command("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "assay", "-h"])
            .arg(self.directory.path())
            .args(["-c", statement, database])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// A program of PostgreSQL, as the user who may run it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(programs().join(program));
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("PGPORT", self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Where Debian has the programs of its newest PostgreSQL.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.expect("PostgreSQL is missing: run `images/packages.sh test`");
    Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin")
}

/// PostgreSQL refuses to run as root: then the user of Debian's package runs it.
fn other_user() -> Option<(u32, u32)> {
    if !getuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("there is a user `postgres`");
    let fields: Vec<_> = line.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}
