//! Client certificates of nodes: short-lived, by the site's CA, for the node's own key. Every field is filled in here; of
//! the node's request only the key is taken.

use jiff::Timestamp;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519,
    PublicKeyData, SerialNumber, SignatureAlgorithm,
};

use crate::ca::{self, CaError};
use crate::files::DataDir;
use crate::identity::sha256_hex;

/// Signs certificates of nodes.
pub struct NodeCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl std::fmt::Debug for NodeCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeCa").finish_non_exhaustive()
    }
}

/// A certificate of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    /// PEM.
    pub pem: String,
    /// SHA-256 over its DER form, in hexadecimal: by this it is looked up.
    pub sha256: String,
}

impl NodeCa {
    /// Opens the site's authority.
    pub fn open(data: &DataDir, now: Timestamp) -> Result<Self, CaError> {
        let (pem, issuer) = ca::authority(data, now)?;
        Ok(Self { issuer, pem })
    }

    /// The authority's own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for that node and key.
    pub fn issue(
        &self,
        node_id: &str,
        public_key: &[u8; 32],
        now: Timestamp,
        not_after: Timestamp,
    ) -> Result<NodeCertificate, CaError> {
        let mut params = CertificateParams::new(vec![node_id.to_owned()]).map_err(CaError::Make)?;
        params.distinguished_name.push(DnType::CommonName, node_id);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        // Random: two certificates of one key are two certificates.
        let mut serial = [0; 16];
        getrandom::fill(&mut serial).map_err(|_| CaError::Random)?;
        serial[0] &= 0x7f;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        ca::set_life(&mut params, now, not_after);
        let certificate = params.signed_by(&Ed25519Key(public_key), &self.issuer).map_err(CaError::Make)?;
        Ok(NodeCertificate { pem: certificate.pem(), sha256: sha256_hex(certificate.der()) })
    }
}

/// A key of which only the public half is known here.
struct Ed25519Key<'a>(&'a [u8; 32]);

impl PublicKeyData for Ed25519Key<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, UnixTime};
    use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn verify(pem: &str, ca: &NodeCa, at: Timestamp, usage: KeyUsage) -> Result<(), webpki::Error> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let root = CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap();
        let end = EndEntityCert::try_from(&der).unwrap();
        let algorithms = [webpki::ring::ECDSA_P256_SHA256];
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at.as_second().try_into().unwrap()));
        let anchors = [anchor_from_trusted_cert(&root).unwrap()];
        end.verify_for_usage(&algorithms, &anchors, &[], at, usage, None, None).map(|_| ())
    }

    #[test]
    fn it_is_the_nodes_own_for_clients_only_and_ends_when_it_should() {
        let temporary = tempfile::tempdir().unwrap();
        let data = DataDir::create(temporary.path()).unwrap();
        let ca = NodeCa::open(&data, now()).unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
        let end = now() + SignedDuration::from_hours(24);
        let made = ca.issue("node-abc", &key, now(), end).unwrap();
        let der = CertificateDer::from_pem_slice(made.pem.as_bytes()).unwrap();
        let certificate = EndEntityCert::try_from(&der).unwrap();
        assert!(certificate.subject_public_key_info().ends_with(&key));
        assert_eq!(certificate.valid_dns_names().collect::<Vec<_>>(), ["node-abc"]);
        assert_eq!(verify(&made.pem, &ca, now(), KeyUsage::client_auth()), Ok(()));
        assert!(verify(&made.pem, &ca, now(), KeyUsage::server_auth()).is_err());
        assert!(verify(&made.pem, &ca, end + SignedDuration::from_secs(1), KeyUsage::client_auth()).is_err());
        assert_ne!(ca.issue("node-abc", &key, now(), end).unwrap().sha256, made.sha256);
        let other = tempfile::tempdir().unwrap();
        let other = NodeCa::open(&DataDir::create(other.path()).unwrap(), now()).unwrap();
        assert!(verify(&made.pem, &other, now(), KeyUsage::client_auth()).is_err());
    }
}
