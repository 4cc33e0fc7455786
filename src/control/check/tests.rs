use std::net::Ipv4Addr;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs as provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::*;
use crate::config::Target;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn health_check(protocol: Protocol) -> HealthCheck {
    HealthCheck {
        target: Target {
            protocol,
            port: 80,
            path: "/ping?a=b".to_owned(),
        },
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
        unhealthy_threshold: 2,
        healthy_threshold: 2,
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// Reads one request head from `stream`.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(
            stream
                .read_u8()
                .await
                .expect("the checker sends a whole head"),
        );
    }
    String::from_utf8(head).expect("the checker sends ASCII")
}

async fn check(prober: &Prober, address: SocketAddr, health_check: &HealthCheck) -> Outcome {
    let checked = prober.check(address, health_check).await;
    checked.expect("a descriptor is free")
}

/// What a check makes of a backend that sends `answer` in these pieces and closes.
async fn judge(answer: &[&[u8]]) -> Outcome {
    let (listener, address) = listen().await;
    let backend = async {
        let (mut stream, _) = listener.accept().await.expect("the checker connects");
        request(&mut stream).await;
        for piece in answer {
            // The checker may have judged and gone.
            if stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let prober = Prober::new();
    let health_check = health_check(Protocol::Http);
    tokio::join!(check(&prober, address, &health_check), backend).0
}

#[tokio::test]
async fn the_request_is_clbs_to_the_letter() {
    let (listener, address) = listen().await;
    let backend = async {
        let (mut stream, _) = listener.accept().await.expect("the checker connects");
        let head = request(&mut stream).await;
        stream
            .write_all(OK.as_bytes())
            .await
            .expect("the checker reads");
        head
    };
    let (prober, health_check) = (Prober::new(), health_check(Protocol::Http));
    let (outcome, head) = tokio::join!(check(&prober, address, &health_check), backend);
    assert_eq!(outcome, Outcome::Success);
    assert_eq!(
        head,
        format!(
            "GET /ping?a=b HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\
             User-Agent: ELB-HealthChecker/1.0\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n",
            address.port()
        )
    );
}

#[tokio::test]
async fn only_status_200_is_healthy() {
    for status in [201, 204, 301, 404, 500, 503] {
        let answer = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n");
        let expected = Outcome::Failure(Failure::Status(status));
        assert_eq!(judge(&[answer.as_bytes()]).await, expected);
    }
    assert_eq!(judge(&[OK.as_bytes()]).await, Outcome::Success);
}

#[tokio::test]
async fn an_answer_may_come_byte_by_byte_after_interim_ones() {
    let answer = format!("HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n{OK}");
    let bytes: Vec<_> = answer.as_bytes().chunks(1).collect();
    assert_eq!(judge(&bytes).await, Outcome::Success);
}

#[tokio::test]
async fn an_incomplete_head_is_a_failure_even_with_status_200() {
    let answer: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    assert_eq!(judge(&[answer]).await, Outcome::Failure(Failure::Closed));
    assert_eq!(judge(&[]).await, Outcome::Failure(Failure::Closed));
}

#[tokio::test]
async fn what_is_not_http_is_a_failure() {
    let banner: &[u8] = b"SSH-2.0-OpenSSH_9.6\r\n";
    assert_eq!(judge(&[banner]).await, Outcome::Failure(Failure::Malformed));
}

#[tokio::test]
async fn an_endless_head_is_read_up_to_the_bound() {
    let field = format!("x: {}\r\n", "y".repeat(limits::CHECK_RESPONSE_BYTES_MAX));
    let answer: [&[u8]; 2] = [b"HTTP/1.1 200 OK\r\n", field.as_bytes()];
    assert_eq!(judge(&answer).await, Outcome::Failure(Failure::TooLong));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_takes_no_connection_is_unreachable_at_the_timeout() {
    let socket = TcpSocket::new_v4().expect("a descriptor");
    socket
        .bind((Ipv4Addr::LOCALHOST, 0).into())
        .expect("loopback is there");
    let listener = socket.listen(0).expect("it is bound");
    let address = listener.local_addr().expect("it is bound");
    // It fills the queue: the kernel drops who comes after it.
    let _first = std::net::TcpStream::connect(address).expect("there is room for one");
    let outcome = check(&Prober::new(), address, &health_check(Protocol::Http)).await;
    assert_eq!(outcome, Outcome::Failure(Failure::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn a_silent_backend_fails_at_the_timeout() {
    // The kernel accepts into the listener's queue; nobody answers.
    let (_listener, address) = listen().await;
    let outcome = check(&Prober::new(), address, &health_check(Protocol::Http)).await;
    assert_eq!(outcome, Outcome::Failure(Failure::TimedOut));
}

#[tokio::test]
async fn a_tcp_check_succeeds_when_the_connection_does() {
    let (listener, address) = listen().await;
    let prober = Prober::new();
    assert_eq!(
        check(&prober, address, &health_check(Protocol::Tcp)).await,
        Outcome::Success
    );
    drop(listener);
    assert_eq!(
        check(&prober, address, &health_check(Protocol::Tcp)).await,
        Outcome::Failure(Failure::Refused)
    );
}

/// A server's key with bytes in place of a certificate.
#[derive(Debug)]
struct Nonsense(Arc<CertifiedKey>);

impl ResolvesServerCert for Nonsense {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn tls_with_a_certificate_nobody_would_trust() -> TlsAcceptor {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
        .expect("a key can be made");
    let key = PrivateKeyDer::Pkcs8(key.as_ref().to_vec().into());
    let key = provider::sign::any_ecdsa_type(&key).expect("it is an ECDSA key");
    let certificate = CertificateDer::from(b"no certificate at all".to_vec());
    let resolver = Nonsense(Arc::new(CertifiedKey::new(vec![certificate], key)));
    let config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for the default versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn tls_checks_take_any_certificate() {
    let tls = tls_with_a_certificate_nobody_would_trust();
    for protocol in [Protocol::Ssl, Protocol::Https] {
        let (listener, address) = listen().await;
        let backend = async {
            let (stream, _) = listener.accept().await.expect("the checker connects");
            let mut stream = tls.accept(stream).await.expect("the handshake succeeds");
            if protocol == Protocol::Https {
                request(&mut stream).await;
                stream
                    .write_all(OK.as_bytes())
                    .await
                    .expect("the checker reads");
                stream.flush().await.expect("the checker reads");
            }
        };
        let (prober, health_check) = (Prober::new(), health_check(protocol));
        let (outcome, ()) = tokio::join!(check(&prober, address, &health_check), backend);
        assert_eq!(outcome, Outcome::Success, "{protocol:?}");
    }
}

#[tokio::test]
async fn tls_checks_of_a_plain_backend_fail_in_the_handshake() {
    let (listener, address) = listen().await;
    let backend = async {
        let (mut stream, _) = listener.accept().await.expect("the checker connects");
        stream
            .write_all(OK.as_bytes())
            .await
            .expect("the checker reads");
    };
    let (prober, health_check) = (Prober::new(), health_check(Protocol::Https));
    let (outcome, ()) = tokio::join!(check(&prober, address, &health_check), backend);
    assert_eq!(outcome, Outcome::Failure(Failure::Handshake));
}
