//! One health check: connect, ask, judge (CLB.md §4.4).
//!
//! Not here: when checks are made (`checker.rs`) and what their results mean (`health`).
//! Invariants: an answer is read up to `limits::CHECK_RESPONSE_BYTES_MAX` and judged by its status
//! alone, once its head is complete; certificates are not verified.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::verifiers::Anybody;
use crate::config::{HealthCheck, Protocol};
use crate::health::{Failure, Outcome};
use crate::limits;
use crate::sys::socket::is_shortage;

/// Makes checks. Cheap to clone.
#[derive(Clone)]
pub(super) struct Prober {
    tls: TlsConnector,
}

impl Prober {
    /// A prober with TLS settings of its own.
    pub(super) fn new() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Arc::new(Anybody::new(&provider));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for the default versions")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Self {
            tls: TlsConnector::from(Arc::new(config)),
        }
    }

    /// Checks `address` once; takes `health_check.timeout` at most.
    ///
    /// # Errors
    /// This process is short of descriptors or memory, and nothing is known of the backend.
    pub(super) async fn check(
        &self,
        address: SocketAddr,
        health_check: &HealthCheck,
    ) -> io::Result<Outcome> {
        let mut is_connected = false;
        let asking = async {
            match TcpStream::connect(address).await {
                Ok(tcp) => {
                    is_connected = true;
                    Ok(self.ask(tcp, address, health_check).await)
                }
                Err(error) if is_shortage(&error) => Err(error),
                Err(error) => Ok(Err(connect_failure(&error))),
            }
        };
        match tokio::time::timeout(health_check.timeout, asking).await {
            Ok(Ok(Ok(()))) => Ok(Outcome::Success),
            Ok(Ok(Err(failure))) => Ok(Outcome::Failure(failure)),
            Ok(Err(shortage)) => Err(shortage),
            Err(_elapsed) if is_connected => Ok(Outcome::Failure(Failure::TimedOut)),
            Err(_elapsed) => Ok(Outcome::Failure(Failure::Unreachable)),
        }
    }

    async fn ask(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
        health_check: &HealthCheck,
    ) -> Result<(), Failure> {
        let path = &health_check.target.path;
        match health_check.target.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Ssl => self.handshake(address, tcp).await.map(drop),
            Protocol::Http => ask_http(tcp, address, path).await,
            Protocol::Https => ask_http(self.handshake(address, tcp).await?, address, path).await,
        }
    }

    async fn handshake(
        &self,
        address: SocketAddr,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = ServerName::from(address.ip());
        self.tls
            .connect(name, tcp)
            .await
            .map_err(|_error| Failure::Handshake)
    }
}

/// Sends the request that CLB sends, to the letter, and reads until the status is sure.
async fn ask_http<S>(mut stream: S, address: SocketAddr, path: &str) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = format!(
        "GET {path} HTTP/1.1\r\n\
         host: {address}\r\n\
         User-Agent: ELB-HealthChecker/1.0\r\n\
         Accept: */*\r\n\
         Connection: keep-alive\r\n\r\n"
    );
    let write = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await
    };
    write.await.map_err(|_error| Failure::Closed)?;
    let mut answer = BytesMut::with_capacity(4096);
    loop {
        match final_status(&answer)? {
            Some(200) => return Ok(()),
            Some(status) => return Err(Failure::Status(status)),
            None if answer.len() >= limits::CHECK_RESPONSE_BYTES_MAX => {
                return Err(Failure::TooLong);
            }
            None => {}
        }
        let room = (limits::CHECK_RESPONSE_BYTES_MAX - answer.len()) as u64;
        let read = (&mut stream).take(room).read_buf(&mut answer).await;
        if read.map_err(|_error| Failure::Closed)? == 0 {
            return Err(Failure::Closed);
        }
    }
}

/// The status of the answer's final head, once it is complete; interim (1xx) heads are passed over.
fn final_status(mut answer: &[u8]) -> Result<Option<u16>, Failure> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; limits::FIELDS_MAX];
        let mut head = httparse::Response::new(&mut fields);
        let length = match head.parse(answer) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_malformed) => return Err(Failure::Malformed),
        };
        match head.code {
            Some(100 | 102..=199) => answer = &answer[length..],
            Some(status) => return Ok(Some(status)),
            None => return Err(Failure::Malformed),
        }
    }
}

fn connect_failure(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionRefused => Failure::Refused,
        _ => Failure::Unreachable,
    }
}

#[cfg(test)]
mod tests;
