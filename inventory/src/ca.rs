//! The site's own certificate authority, and the server certificate under it. Both are made at the first start; the server
//! certificate again when it nears its end or must carry other names. Keys are readable for their owner only.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use crate::files::{DataDir, DataDirError, write_atomic};
use crate::identity::sha256_hex;

const CA_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365 * 5);
const SERVER_LIFE: SignedDuration = SignedDuration::from_hours(24 * 90);
const RENEW_BEFORE_END: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Clocks of nodes may be behind by this much.
const BACKDATED: SignedDuration = SignedDuration::from_hours(24);
const KEY_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;

/// Names that every server certificate carries.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A key or certificate file cannot be read.
    #[error("reading `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] DataDirError),
    /// The key of the authority is gone.
    #[error(
        "`{certificate}` is there and its key `{key}` is not: restore the key, or remove the certificate and give every node the new one"
    )]
    KeyMissing {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// A name that no certificate can carry.
    #[error("`{0}` is neither a DNS name nor an IP address: correct --name")]
    BadName(String),
    /// Making or signing failed.
    #[error("making a certificate")]
    Make(#[source] rcgen::Error),
}

/// What the server shows, in PEM.
#[derive(Debug)]
pub struct ServerCertificate {
    /// Certificate and private key.
    pub pem: String,
    /// When it ends.
    pub not_after: Timestamp,
}

/// What a server certificate was made for; lies beside it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Purpose {
    names: BTreeSet<String>,
    not_after: Timestamp,
    ca_sha256: String,
    pem_sha256: String,
}

/// The server certificate for these names beside the local ones: the one there is, or a new one.
pub fn server_certificate(
    data: &DataDir,
    names: &[String],
    now: Timestamp,
) -> Result<ServerCertificate, CaError> {
    let (ca_pem, issuer) = authority(data, now)?;
    let names: BTreeSet<String> =
        LOCAL_NAMES.iter().map(|name| (*name).to_owned()).chain(names.iter().cloned()).collect();
    let (pem_path, purpose_path) = (data.tls().join("server.pem"), data.tls().join("server.json"));
    let ca_sha256 = sha256_hex(ca_pem.as_bytes());
    if let (Some(pem), Some(purpose)) = (read(pem_path.clone())?, read(purpose_path.clone())?) {
        let fits = serde_json::from_str::<Purpose>(&purpose).ok().filter(|purpose| {
            purpose.names == names
                && purpose.ca_sha256 == ca_sha256
                && purpose.pem_sha256 == sha256_hex(pem.as_bytes())
                && purpose.not_after.duration_since(now) > RENEW_BEFORE_END
        });
        if let Some(purpose) = fits {
            return Ok(ServerCertificate { pem, not_after: purpose.not_after });
        }
    }
    let not_after = now.saturating_add(SERVER_LIFE).unwrap_or(now);
    let pem = issue(&issuer, &names, now, not_after)?;
    write_atomic(&pem_path, pem.as_bytes(), KEY_MODE)?;
    let purpose = Purpose { names, not_after, ca_sha256, pem_sha256: sha256_hex(pem.as_bytes()) };
    let text = serde_json::to_vec_pretty(&purpose).unwrap_or_default();
    write_atomic(&purpose_path, &text, PUBLIC_MODE)?;
    Ok(ServerCertificate { pem, not_after })
}

/// SHA-256 of the authority's certificate file, if there is one.
pub fn fingerprint(data: &DataDir) -> Result<Option<String>, CaError> {
    Ok(read(data.ca_certificate())?.map(|pem| sha256_hex(pem.as_bytes())))
}

/// The site's authority: the one there is, or a new one.
fn authority(data: &DataDir, now: Timestamp) -> Result<(String, Issuer<'static, KeyPair>), CaError> {
    let (path, key_path) = (data.ca_certificate(), data.tls().join("ca.key"));
    let (certificate, key) = (read(path.clone())?, read(key_path.clone())?);
    let key = match (&certificate, key) {
        (_, Some(pem)) => KeyPair::from_pem(&pem).map_err(CaError::Make)?,
        (Some(_), None) => return Err(CaError::KeyMissing { certificate: path, key: key_path }),
        (None, None) => {
            let key = KeyPair::generate().map_err(CaError::Make)?;
            write_atomic(&key_path, key.serialize_pem().as_bytes(), KEY_MODE)?;
            key
        }
    };
    let params = authority_params(&key, now);
    let certificate = match certificate {
        Some(pem) => pem,
        None => {
            let pem = params.self_signed(&key).map_err(CaError::Make)?.pem();
            write_atomic(&path, pem.as_bytes(), PUBLIC_MODE)?;
            pem
        }
    };
    Ok((certificate, Issuer::new(params, key)))
}

/// Follows from the key, apart from the dates, so that the key alone is enough to sign again.
fn authority_params(key: &KeyPair, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = format!("Assay site CA {}", &sha256_hex(key.der_bytes())[..8]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, now, now.saturating_add(CA_LIFE).unwrap_or(now));
    params
}

fn issue(
    issuer: &Issuer<'static, KeyPair>,
    names: &BTreeSet<String>,
    now: Timestamp,
    not_after: Timestamp,
) -> Result<String, CaError> {
    if let Some(bad) = names.iter().find(|name| !is_name(name)) {
        return Err(CaError::BadName(bad.clone()));
    }
    let names: Vec<_> = names.iter().cloned().collect();
    let mut params = CertificateParams::new(names).map_err(CaError::Make)?;
    params.distinguished_name.push(DnType::CommonName, "Assay inventory");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_life(&mut params, now, not_after);
    let key = KeyPair::generate().map_err(CaError::Make)?;
    let certificate = params.signed_by(&key, issuer).map_err(CaError::Make)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}

/// An IP address, or labels of letters, digits and hyphens; the first may be `*`.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let rest = name.strip_prefix("*.").unwrap_or(name);
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && rest.split('.').all(label))
}

fn set_life(params: &mut CertificateParams, now: Timestamp, not_after: Timestamp) {
    let epoch = date_time_ymd(1970, 1, 1);
    let since_epoch = |at: Timestamp| Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0));
    params.not_before = epoch + since_epoch(now.saturating_sub(BACKDATED).unwrap_or(now));
    params.not_after = epoch + since_epoch(not_after);
}

fn read(path: PathBuf) -> Result<Option<String>, CaError> {
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CaError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn fresh() -> (tempfile::TempDir, DataDir) {
        let temporary = tempfile::tempdir().unwrap();
        let data = DataDir::create(temporary.path()).unwrap();
        (temporary, data)
    }

    #[test]
    fn a_certificate_is_kept_until_its_names_change_or_its_end_is_near() {
        let (_temporary, data) = fresh();
        let first = server_certificate(&data, &[], now()).unwrap();
        let ca = fs::read(data.ca_certificate()).unwrap();
        assert_eq!(server_certificate(&data, &[], now()).unwrap().pem, first.pem);
        let named = server_certificate(&data, &["inventory.site".to_owned()], now()).unwrap();
        assert_ne!(named.pem, first.pem);
        let later = now().checked_add(SignedDuration::from_hours(24 * 61)).unwrap();
        let renewed = server_certificate(&data, &["inventory.site".to_owned()], later).unwrap();
        assert_ne!(renewed.pem, named.pem);
        assert_eq!(fs::read(data.ca_certificate()).unwrap(), ca);
    }

    #[test]
    fn keys_are_for_their_owner_only() {
        let (_temporary, data) = fresh();
        server_certificate(&data, &[], now()).unwrap();
        for name in ["ca.key", "server.pem"] {
            let mode = fs::metadata(data.tls().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_half_written_set_of_files_is_made_whole_and_a_lost_key_is_not_replaced() {
        let (_temporary, data) = fresh();
        let first = server_certificate(&data, &[], now()).unwrap();
        fs::remove_file(data.tls().join("server.json")).unwrap();
        assert_ne!(server_certificate(&data, &[], now()).unwrap().pem, first.pem);
        fs::write(data.tls().join("server.pem"), &first.pem).unwrap();
        assert_ne!(server_certificate(&data, &[], now()).unwrap().pem, first.pem);
        fs::remove_file(data.ca_certificate()).unwrap();
        server_certificate(&data, &[], now()).unwrap();
        fs::remove_file(data.tls().join("ca.key")).unwrap();
        assert!(matches!(server_certificate(&data, &[], now()), Err(CaError::KeyMissing { .. })));
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let (_temporary, data) = fresh();
        for bad in ["", "a b", "host:8443", "https://x", "a..b"] {
            let made = server_certificate(&data, &[bad.to_owned()], now());
            assert!(matches!(made, Err(CaError::BadName(_))), "{bad}");
        }
        server_certificate(&data, &["gpu-1.site".to_owned(), "fd00::1".to_owned()], now()).unwrap();
    }
}
