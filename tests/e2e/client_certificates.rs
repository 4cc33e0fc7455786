//! Client certificates on HTTPS listeners: who is let in, and what backends hear of it.

use std::fs;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, HandshakeKind, SupportedProtocolVersion};

use crate::harness::{
    Authority, Backend, Directory, Elbow, Identity, Setup, Site, TlsClient, Wire, eventually, get,
};

const HOST: &str = "site.test";
const HEADER: &str = "X-Amzn-Mtls-Clientcert-Subject";
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Elbow before one backend, in clear on its first listener, and on its second by HTTPS for
/// clients of one authority.
struct Bench {
    backend: Backend,
    elbow: Elbow,
    site: Site,
    authority: Authority,
    directory: Directory,
}

impl Bench {
    /// With these lines about client certificates, beside the file of the authority.
    fn new(lines: &str) -> Self {
        let (backend, site) = (Backend::named("one"), Site::new(HOST));
        let (authority, directory) = (Authority::new("clients"), Directory::new());
        let ca = directory.write("clients.pem", &authority.pem());
        let lines = format!("{}\nclient_ca = {ca:?}\n{lines}", site.lines());
        let setup = Setup::new(&[backend.address]).https(&lines);
        let elbow = setup.start(&[&backend]);
        Self {
            backend,
            elbow,
            site,
            authority,
            directory,
        }
    }

    fn connect(&self, client: &TlsClient) -> Wire {
        client.connect(self.elbow.listeners[1], HOST)
    }

    /// A client with a certificate for this name.
    fn client(&self, name: &str) -> TlsClient {
        self.showing(&self.authority.issue(name))
    }

    fn showing(&self, identity: &Identity) -> TlsClient {
        TlsClient::showing(identity, &self.site, rustls::ALL_VERSIONS)
    }

    /// The alert by which a connection is refused, whose client does not wait with its request.
    fn alert(&self, client: &TlsClient) -> AlertDescription {
        let mut wire = self.connect(client);
        let sent = wire.try_send(get("/", &[]));
        let error = sent.and_then(|()| wire.read_head()).expect_err("a refusal");
        alert(&error).unwrap_or_else(|| panic!("not an alert: {error}"))
    }

    /// What the backend was told of the last client's certificate.
    fn told(&self) -> Vec<String> {
        let fields = self.backend.last().head;
        let fields = fields.fields(HEADER);
        fields.into_iter().map(str::to_owned).collect()
    }

    fn expect_refused(&self, count: u64) {
        let refused = || {
            let metrics = self.elbow.metrics();
            let lines = metrics.lines().filter_map(|line| {
                let (_, count) = line.split_once("reason=\"client_certificate\"} ")?;
                count.parse::<u64>().ok()
            });
            lines.sum::<u64>()
        };
        eventually("so many are refused", || refused() == count);
    }
}

fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

fn is_resumed(wire: &Wire) -> bool {
    let session = wire.tls.as_ref().expect("a connection of TLS");
    session.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[test]
fn a_client_with_a_certificate_is_served_and_the_backend_told_whose_it_is() {
    let bench = Bench::new("");
    for version in VERSIONS {
        let identity = bench.authority.issue("client, 1");
        let client = TlsClient::showing(&identity, &bench.site, &[version]);
        // Resumed from the second connection on: the certificate is that of the first.
        for count in 0..5 {
            let mut wire = bench.connect(&client);
            for _ in 0..3 {
                assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
                assert_eq!(bench.told(), ["CN=client\\, 1"]);
            }
            assert_eq!(is_resumed(&wire), count > 0, "{version:?}");
        }
    }
    bench.expect_refused(0);
}

#[test]
fn a_client_whose_certificate_is_missing_or_does_not_hold_is_refused() {
    let bench = Bench::new("client_auth = \"required\"");
    let expired = bench.authority.issue_until("client", 1_600_000_000);
    let stranger = Authority::new("others").issue("client");
    // Of the right name, and not the same.
    let forged = Authority::new("clients").issue("client");
    for version in VERSIONS {
        let none = TlsClient::with(&[&bench.site], &[version], &[]);
        let of = |identity| TlsClient::showing(identity, &bench.site, &[version]);
        for (client, expected) in [
            (none, AlertDescription::CertificateRequired),
            (of(&expired), AlertDescription::CertificateExpired),
            (of(&stranger), AlertDescription::UnknownCA),
            (of(&forged), AlertDescription::DecryptError),
        ] {
            assert_eq!(bench.alert(&client), expected, "{version:?}");
        }
    }
    bench.expect_refused(8);
    assert_eq!(bench.backend.count(), 0);
}

#[test]
fn a_certificate_that_is_optional_is_judged_if_it_is_shown() {
    let bench = Bench::new("client_auth = \"optional\"");
    let nobody = TlsClient::new(&[&bench.site]);
    for is_resuming in [false, true] {
        let mut wire = bench.connect(&nobody);
        let spoofed = format!("{HEADER}: CN=admin");
        assert_eq!(wire.ask(&get("/", &[&spoofed])).body_text(), "one");
        assert_eq!(bench.told(), [""; 0]);
        assert_eq!(is_resumed(&wire), is_resuming);
    }
    let mut wire = bench.connect(&bench.client("client"));
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    assert_eq!(bench.told(), ["CN=client"]);
    let stranger = bench.showing(&Authority::new("others").issue("client"));
    assert_eq!(bench.alert(&stranger), AlertDescription::UnknownCA);
    bench.expect_refused(1);
}

#[test]
fn what_clients_say_of_themselves_is_cut_in_every_request() {
    let bench = Bench::new("");
    let mut wire = bench.connect(&bench.client("client"));
    let lower = HEADER.to_ascii_lowercase();
    let requests: Vec<String> = [
        format!("{HEADER}: CN=admin"),
        format!("{lower}: CN=admin\r\nX: y\r\n{HEADER}: CN=admin"),
        format!("{}: CN=admin", HEADER.replace('-', "_")),
        format!("Connection: close, {lower}\r\n{HEADER}: CN=admin"),
    ]
    .iter()
    .map(|line| get("/", &[line]))
    .collect();
    // Pipelined.
    wire.send(requests.concat());
    for request in &requests {
        assert_eq!(wire.response_to("GET").body_text(), "one");
        let head = bench.backend.last().head;
        assert_eq!(head.fields(HEADER), ["CN=client"], "{request}");
        assert!(!head.text.contains("admin"), "{}", head.text);
    }
    // Nobody is asked for a certificate there, so the field means nothing.
    bench.elbow.ask(&requests[0]);
    assert_eq!(bench.told(), ["CN=admin"]);
}

#[test]
fn a_certificate_writes_no_line_of_a_head() {
    let bench = Bench::new("client_subject_header = \"X-Client\"");
    let client = bench.client("a\r\nX-Role: admin\r\n\r\nGET / HTTP/1.1");
    let mut wire = bench.connect(&client);
    assert_eq!(wire.ask(&get("/", &["x-client: b"])).body_text(), "one");
    let head = bench.backend.last().head;
    let expected = "CN=a\\0D\\0AX-Role: admin\\0D\\0A\\0D\\0AGET / HTTP/1.1";
    assert_eq!(head.fields("X-Client"), [expected]);
    assert_eq!(head.field("X-Role"), None);
    assert_eq!(bench.backend.count(), 1);
}

#[test]
fn a_subject_beyond_its_bound_is_refused_and_counted() {
    let bench = Bench::new("");
    let long = bench.client(&"\u{e9}".repeat(500));
    assert!(bench.connect(&long).is_close_announced());
    bench.expect_refused(1);
    // And as long as the bound allows.
    let mut wire = bench.connect(&bench.client(&"\u{e9}".repeat(340)));
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    assert_eq!(bench.told(), [format!("CN={}", "\\C3\\A9".repeat(340))]);
}

#[test]
fn a_certificate_that_has_expired_does_not_resume() {
    let bench = Bench::new("");
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let end = now.expect("it is after 1970").as_secs() + 3;
    let client = bench.showing(&bench.authority.issue_until("client", end));
    let mut wire = bench.connect(&client);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    eventually("it has expired", || {
        wire = bench.connect(&client);
        wire.send(get("/", &[]));
        wire.try_response("GET").is_err()
    });
    assert!(is_resumed(&wire));
    bench.expect_refused(1);
}

#[test]
fn another_authority_holds_at_once_and_also_for_those_who_have_tickets() {
    let bench = Bench::new("");
    let next = Authority::new("clients");
    let early = bench.client("early");
    let mut open = bench.connect(&early);
    assert_eq!(open.ask(&get("/", &[])).body_text(), "one");
    assert!(!is_resumed(&open));

    let path = bench.directory.write("next.pem", &next.pem());
    fs::rename(path, bench.directory.path().join("clients.pem")).expect("one place");
    bench.elbow.signal(Signal::HUP);
    let late = bench.showing(&next.issue("late"));
    eventually("the next authority's clients are served", || {
        let mut wire = bench.connect(&late);
        wire.try_send(get("/", &[])).is_ok() && wire.try_response("GET").is_ok()
    });
    assert_eq!(bench.told(), ["CN=late"]);
    assert_eq!(bench.alert(&early), AlertDescription::DecryptError);
    // What is open stays as it began.
    assert_eq!(open.ask(&get("/", &[])).body_text(), "one");
    assert_eq!(bench.told(), ["CN=early"]);

    // A file that does not hold changes nothing, least of all to nobody being asked.
    bench.directory.write("clients.pem", "");
    eventually("the refusal", || {
        bench.elbow.sum("elbow_certificate_renewal_errors_total") == 1
    });
    let mut wire = bench.connect(&late);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    let nobody = TlsClient::new(&[&bench.site]);
    assert_eq!(bench.alert(&nobody), AlertDescription::CertificateRequired);
}
