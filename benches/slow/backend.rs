//! The backend: hyper on one thread, which answers once it has the whole request, as an application
//! does that reads what it is sent. No bound on its time: that is elbow's business.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use axum::body::{Body, Bytes, to_bytes};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

/// What can be asked for: the path and the bytes of body that come back.
pub(crate) const BODIES: [(&str, usize); 2] = [("/128", 128), ("/1m", 1024 * 1024)];

/// The field that tells which backend answered: its port.
pub(crate) const IDENTITY_FIELD: &str = "X-Backend";

/// Length of the accept queue: above an attack's connections.
const ACCEPT_QUEUE: u32 = 4096;

/// Bytes of a request's body. Beyond it: 413.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Serves until the process is killed.
///
/// # Errors
/// If the socket cannot be opened. One connection's error closes only that one.
pub(crate) fn serve(address: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let bodies = BODIES.map(|(path, bytes)| (path, Bytes::from(vec![b'x'; bytes])));
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(ACCEPT_QUEUE)?;
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            // One that is gone already is found out when it is read.
            drop(stream.set_nodelay(true));
            let bodies = bodies.clone();
            let service = service_fn(move |request| answer(request, bodies.clone(), address));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // How it ends is the other side's matter.
            tokio::spawn(async { drop(connection.await) });
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    bodies: [(&'static str, Bytes); BODIES.len()],
    address: SocketAddr,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let is_whole = to_bytes(Body::new(body), BODY_BYTES_MAX).await.is_ok();
    let found = bodies
        .into_iter()
        .find(|(path, _)| *path == head.uri.path());
    let (status, body) = match found {
        _ if !is_whole => (StatusCode::PAYLOAD_TOO_LARGE, Bytes::new()),
        Some((_, body)) => (StatusCode::OK, body),
        None => (StatusCode::NOT_FOUND, Bytes::new()),
    };
    let response = Response::builder()
        .status(status)
        .header(IDENTITY_FIELD, address.port())
        .body(Body::from(body));
    Ok(response.expect("a status and a number"))
}
