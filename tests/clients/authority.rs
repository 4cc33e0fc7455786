//! Certificates as an authority issues them: from a root that clients trust, by another in between
//! that only the server can show them. The harness's `Site` is its own root.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
};

use crate::harness::Directory;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The kind of a certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ecdsa,
    Rsa,
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Ecdsa, Self::Rsa];

    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::Ecdsa => &PKCS_ECDSA_P256_SHA256,
            Self::Rsa => &PKCS_RSA_SHA256,
        }
    }
}

/// A root and the authority that it vouches for.
pub(crate) struct Authority {
    /// The file of the root's certificate, for clients.
    pub(crate) root: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: Directory,
}

/// What it has issued for some hosts.
pub(crate) struct Certificate {
    /// Chain and key in one, for elbow.
    pub(crate) file: String,
    /// The certificate and the one of its issuer, in PEM.
    pub(crate) chain: [String; 2],
}

impl Authority {
    pub(crate) fn new() -> Self {
        let root = CertifiedIssuer::self_signed(authority_params("elbow test root"), key())
            .expect("the key signs");
        let params = authority_params("elbow test authority");
        let issuer = CertifiedIssuer::signed_by(params, key(), &root).expect("the key signs");
        let directory = Directory::new();
        Self {
            root: directory
                .write("root.pem", &root.pem())
                .display()
                .to_string(),
            issuer,
            directory,
        }
    }

    /// A certificate for these hosts, of which the first names its file.
    pub(crate) fn certify(&self, hosts: &[&str], kind: Kind) -> Certificate {
        let key = KeyPair::generate_for(kind.algorithm()).expect("there is randomness");
        let mut params = params(hosts, hosts[0]);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("the key signs");
        let chain = [certificate.pem(), self.issuer.pem()];
        let text = format!("{}{}{}", chain[0], chain[1], key.serialize_pem());
        let file = self.directory.write(&format!("{}.pem", hosts[0]), &text);
        Certificate {
            file: file.display().to_string(),
            chain,
        }
    }
}

impl Certificate {
    /// The lines of a listener that has this certificate alone.
    pub(crate) fn lines(&self) -> String {
        format!("certificate = {:?}", self.file)
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("there is randomness")
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(&[], name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Valid as long as browsers and scanners want it: for less than a year.
fn params(hosts: &[&str], name: &str) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).expect("the hosts are names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + 80 * DAY).into();
    params
}
