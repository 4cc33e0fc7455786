//! Two servers that read requests, each with a parser of its own: hyper, which is strict, and
//! tiny_http, which is not and trusts what is in front of it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::Reading;

/// Reads what comes on one connection.
pub(crate) trait Reader {
    /// The requests that it takes for whole, in order.
    fn read(&self, bytes: &[u8]) -> Vec<Reading>;
}

/// hyper's server, over a connection in memory.
pub(crate) struct Hyper(Runtime);

impl Default for Hyper {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        Self(runtime.expect("a runtime without I/O needs nothing"))
    }
}

impl Reader for Hyper {
    fn read(&self, bytes: &[u8]) -> Vec<Reading> {
        let readings = Rc::new(RefCell::new(Vec::new()));
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let record = Rc::clone(&readings);
        let service = service_fn(move |request: Request<Incoming>| {
            let record = Rc::clone(&record);
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(axum::body::Body::new(body), usize::MAX).await;
                if let Ok(body) = body {
                    record.borrow_mut().push(Reading {
                        method: head.method.to_string(),
                        target: head.uri.to_string(),
                        body: body.to_vec(),
                    });
                }
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        });
        self.0.block_on(async {
            let connection = hyper::server::conn::http1::Builder::new()
                .half_close(true)
                .serve_connection(TokioIo::new(server), service);
            let talk = async {
                client.write_all(bytes).await.expect("the pipe is long");
                client.shutdown().await.expect("the pipe is open");
                let mut answers = Vec::new();
                client.read_to_end(&mut answers).await
            };
            // How the connection ends is no matter: what was refused is not in the record.
            let (served, answers) = tokio::join!(connection, talk);
            drop((served, answers));
        });
        readings.take()
    }
}

/// tiny_http's server, over loopback.
pub(crate) struct Tiny {
    address: SocketAddr,
    record: Arc<Mutex<Vec<Reading>>>,
}

impl Tiny {
    pub(crate) fn start() -> Self {
        let server = tiny_http::Server::http("127.0.0.1:0").expect("a port is free");
        let address = server.server_addr().to_ip().expect("it is bound to one");
        let record = Arc::<Mutex<Vec<Reading>>>::default();
        let shared = Arc::clone(&record);
        thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let mut body = Vec::new();
                if request.as_reader().read_to_end(&mut body).is_ok() {
                    let reading = Reading {
                        method: request.method().to_string(),
                        target: request.url().to_owned(),
                        body,
                    };
                    shared.lock().expect("no holder panics").push(reading);
                }
                // A client that is gone needs no answer.
                drop(request.respond(tiny_http::Response::empty(200)));
            }
        });
        Self { address, record }
    }
}

impl Reader for Tiny {
    fn read(&self, bytes: &[u8]) -> Vec<Reading> {
        let mut stream = TcpStream::connect(self.address).expect("it accepts");
        // It may close before it has all of it.
        drop(stream.write_all(bytes));
        drop(stream.shutdown(Shutdown::Write));
        drop(stream.read_to_end(&mut Vec::new()));
        std::mem::take(&mut self.record.lock().expect("no holder panics"))
    }
}
