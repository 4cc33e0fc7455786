//! The client's side of TLS: certificates made for a test, and connections that check them.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion,
};

use super::elbow::Directory;
use super::wire::Wire;

/// The files of a certificate for one host, which clients trust.
pub(crate) struct Site {
    /// Certificate and key in one.
    pub(crate) file: String,
    pub(crate) host: &'static str,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    public_key: String,
    _directory: Directory,
}

impl Site {
    pub(crate) fn new(host: &'static str) -> Self {
        Self::of(host, |_| {})
    }

    /// One whose certificate ends in so many hours.
    pub(crate) fn until(host: &'static str, hours: u64) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let end = now.expect("it is later") + Duration::from_secs(hours * 60 * 60);
        Self::of(host, |params| {
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + end;
        })
    }

    fn of(host: &'static str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let params = CertificateParams::new(vec![host.to_owned()]);
        let mut params = params.expect("the host is a name");
        change(&mut params);
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.self_signed(&key).expect("the key signs");
        let directory = Directory::new();
        let text = format!("{}{}", certificate.pem(), key.serialize_pem());
        let file = directory.write("site.pem", &text);
        Self {
            file: file.display().to_string(),
            host,
            certificate: certificate.der().clone(),
            public_key: key.public_key_pem(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            _directory: directory,
        }
    }

    /// What a server with this certificate shakes hands with; it resumes sessions.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("both versions have ciphers")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .expect("the key is the certificate's");
        config.ticketer = Ticketer::new().expect("there is randomness");
        Arc::new(config)
    }

    /// Its public key, in PEM.
    pub(crate) fn public_key(&self) -> String {
        self.public_key.clone()
    }

    /// The lines of a listener that has this certificate alone.
    pub(crate) fn lines(&self) -> String {
        format!("certificate = {:?}", self.file)
    }

    /// Whether this is the certificate that elbow has shown on a connection.
    pub(crate) fn is_shown(&self, wire: &Wire) -> bool {
        let session = wire.tls.as_ref().expect("a connection of TLS");
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        shown == Some(&self.certificate)
    }
}

/// Who issues certificates to clients.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.distinguished_name = subject(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there is randomness");
        Self(CertifiedIssuer::self_signed(params, key).expect("the key signs"))
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for whoever has this common name.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        self.issue_until(name, 4_000_000_000)
    }

    /// The same, valid until so many seconds since 1970.
    pub(crate) fn issue_until(&self, name: &str, end: u64) -> Identity {
        let mut params = CertificateParams::new(Vec::new()).expect("no name is wrong");
        params.distinguished_name = subject(name);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(end);
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.signed_by(&key, &self.0).expect("the key signs");
        Identity {
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }
}

fn subject(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// What a client shows of itself.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// A client that trusts some sites and remembers its sessions with them.
pub(crate) struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// One that speaks TLS 1.2 and 1.3.
    pub(crate) fn new(sites: &[&Site]) -> Self {
        Self::with(sites, rustls::ALL_VERSIONS, &[])
    }

    /// One that speaks these versions, and names these protocols (ALPN) unless there are none.
    pub(crate) fn with(
        sites: &[&Site],
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Self {
        Self::built(sites, versions, protocols, None)
    }

    /// One that speaks these versions and shows this certificate.
    pub(crate) fn showing(
        identity: &Identity,
        site: &Site,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        Self::built(&[site], versions, &[], Some(identity))
    }

    fn built(
        sites: &[&Site],
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
        identity: Option<&Identity>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for site in sites {
            let added = roots.add(site.certificate.clone());
            added.expect("a self-signed certificate is its own root");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("both versions have ciphers")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(Identity { certificate, key }) => config
                .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
                .expect("the key is the certificate's"),
        };
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        Self(Arc::new(config))
    }

    /// A connection on which the handshake is to come.
    pub(crate) fn connect(&self, address: SocketAddr, host: &'static str) -> Wire {
        let mut wire = Wire::connect(address);
        let host = ServerName::try_from(host).expect("the host is a name");
        let session = ClientConnection::new(Arc::clone(&self.0), host);
        wire.tls = Some(Box::new(session.expect("the settings hold")));
        wire
    }
}

impl Wire {
    /// As a server, tells the client that nothing more will come, if TLS has a word for it here.
    pub(super) fn announce_end(&mut self) -> io::Result<()> {
        if let Some(session) = &mut self.served {
            session.send_close_notify();
            self.try_send("")?;
        }
        Ok(())
    }

    /// Tells the other end that nothing more will come.
    pub(crate) fn close_notify(&mut self) {
        let session = self.tls.as_mut().expect("a connection of TLS");
        session.send_close_notify();
        self.try_send("").expect("the other end reads");
    }

    /// Receives what the session sends by itself, unless it has a ticket; how many it has.
    pub(crate) fn receive_session(&mut self) -> u32 {
        let session = self.tls.as_mut().expect("a connection of TLS");
        if session.tls13_tickets_received() == 0 {
            let done = session.complete_io(&mut self.stream);
            done.expect("the other end speaks TLS");
        }
        session.tls13_tickets_received()
    }

    /// The connection below, for bytes that the session knows nothing of.
    pub(crate) fn forge(&self) -> Self {
        Self::new(self.stream.try_clone().expect("a descriptor is free"))
    }

    /// Waits for the close of a connection of TLS; true if it was announced (close_notify).
    pub(crate) fn is_close_announced(&mut self) -> bool {
        match self.read_head() {
            Ok(None) => true,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("not closed: {error}"),
            Ok(Some(head)) => panic!("a head instead of a close: {}", head.text),
        }
    }
}
