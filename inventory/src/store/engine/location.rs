//! Where a database is: a SQLite file, or a PostgreSQL server by its address.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How long a connection may take to be made, unless the address says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may leave bytes unacknowledged before the connection counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    File(PathBuf),
    /// A database of a PostgreSQL server.
    Server(Arc<Server>),
}

/// A database of a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    pub(super) config: Config,
    /// The certificates that its own must be signed by.
    pub(super) ca: Option<PathBuf>,
}

/// Why an address is none.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// Not of the right form.
    #[error("the address of the database is not of the form `postgres://USER@HOST/DATABASE`")]
    Malformed(#[source] Option<tokio_postgres::Error>),
    /// Keys of nodes would cross the network in the clear.
    #[error(
        "the database is on another machine and its address does not say how to reach it safely: add `?sslmode=require&sslrootcert=FILE`, or `?sslmode=disable` if the network between is to be trusted"
    )]
    InTheClear,
    /// Encryption with nobody in particular.
    #[error(
        "`sslmode=require` needs `sslrootcert=FILE`: the certificates, in PEM, that the database's own must be signed by"
    )]
    NoAuthority,
}

impl Location {
    /// The server with this address: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require&sslrootcert=FILE`.
    pub fn server(address: &str) -> Result<Self, LocationError> {
        let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme));
        if !is_url {
            return Err(LocationError::Malformed(None));
        }
        let (address, ca) = take_parameter(address, "sslrootcert");
        let says_how = address.contains("sslmode=");
        let mut config: Config = address.parse().map_err(|error| LocationError::Malformed(Some(error)))?;
        let is_far = config.get_hosts().iter().any(is_far);
        match (config.get_ssl_mode(), &ca) {
            (SslMode::Require, None) => return Err(LocationError::NoAuthority),
            (SslMode::Require | SslMode::Disable, _) => {}
            _ if is_far => return Err(LocationError::InTheClear),
            _ if !says_how => {
                config.ssl_mode(SslMode::Disable);
            }
            // `prefer` with nothing to trust would be the same as `disable`, and look like more.
            (_, None) => return Err(LocationError::NoAuthority),
            (_, Some(_)) => {
                config.ssl_mode(SslMode::Require);
            }
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE_MAX);
        }
        if config.get_application_name().is_none() {
            config.application_name("assay-inventory");
        }
        Ok(Self::Server(Arc::new(Server { config, ca: ca.map(PathBuf::from) })))
    }
}

/// Beyond this machine?
fn is_far(host: &Host) -> bool {
    match host {
        Host::Unix(_) => false,
        Host::Tcp(name) => {
            name != "localhost" && !name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

/// Takes a parameter out of an address that the driver does not know.
fn take_parameter(address: &str, name: &str) -> (String, Option<String>) {
    let Some((base, parameters)) = address.split_once('?') else { return (address.to_owned(), None) };
    let (taken, kept): (Vec<_>, Vec<_>) = parameters
        .split('&')
        .partition(|parameter| parameter.split_once('=').is_some_and(|(key, _)| key == name));
    let value =
        taken.last().and_then(|parameter| parameter.split_once('=')).map(|(_, value)| value.to_owned());
    (format!("{base}?{}", kept.join("&")), value)
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl fmt::Display for Server {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        write!(f, "postgres://{hosts}/{database}")
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_on_another_machine_needs_a_word_on_encryption() {
        for good in [
            "postgres://assay@localhost/assay",
            "postgres://assay@127.0.0.1:5433/assay",
            "postgres:///assay?host=/run/postgresql",
            "postgresql://assay@db.site/assay?sslmode=disable",
            "postgres://assay@db.site/assay?sslmode=require&sslrootcert=/etc/assay/db.pem",
        ] {
            Location::server(good).unwrap();
        }
        for far in
            ["postgres://assay@db.site/assay", "postgres://assay@localhost,10.0.0.7/assay?sslmode=prefer"]
        {
            assert!(matches!(Location::server(far), Err(LocationError::InTheClear)), "{far}");
        }
        for open in ["postgres://a@db.site/a?sslmode=require", "postgres://a@localhost/a?sslmode=prefer"] {
            assert!(matches!(Location::server(open), Err(LocationError::NoAuthority)), "{open}");
        }
        for bad in ["", "assay.db", "mysql://a@b/c", "postgres://a@localhost:port/c"] {
            assert!(matches!(Location::server(bad), Err(LocationError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let location = Location::server("postgres://assay:secret@localhost:5433/fleet").unwrap();
        assert_eq!(location.to_string(), "postgres://localhost/fleet");
        assert!(!format!("{location:?} {location}").contains("secret"));
    }
}
