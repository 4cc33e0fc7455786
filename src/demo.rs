//! `elbow demo`: backends that live in the same process, and what to try with them.
//!
//! Not for anything but a first look. Invariant: they listen on 127.0.0.1 only.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// How long a backend stays away after `/stop`.
const AWAY: Duration = Duration::from_secs(20);

/// Attempts, one a second, to get its port back after that.
const RETURN_ATTEMPTS: u32 = 60;

/// Characters of the session cookie that a backend shows.
const COOKIE_SHOWN: usize = 16;

/// Starts that many backends on free ports, on one thread of their own; returns where they listen.
///
/// Each answers `/` with its name, `/health` with 200, and `/stop` by being gone for a while.
///
/// # Errors
///
/// If a socket, the runtime or the thread cannot be had. Backends that listened are closed again.
pub fn start_backends(count: usize) -> io::Result<Vec<SocketAddr>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listeners = (0..count)
        .map(|_| runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))))
        .collect::<io::Result<Vec<_>>>()?;
    let addresses = listeners
        .iter()
        .map(TcpListener::local_addr)
        .collect::<io::Result<Vec<_>>>()?;
    thread::Builder::new()
        .name("demo-backends".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                for (index, listener) in listeners.into_iter().enumerate() {
                    tokio::spawn(live(index + 1, listener, AWAY));
                }
                std::future::pending::<()>().await;
            });
        })?;
    Ok(addresses)
}

/// What a reader of the terminal can do next.
pub fn what_to_try(listen: SocketAddr, admin: SocketAddr) -> String {
    format!(
        "\
elbow demo: three backends behind http://{listen}, sticky by cookie.

Without a cookie each request is balanced anew:
  for i in 1 2 3 4 5 6; do curl -s http://{listen}/; done

With a cookie jar all go to one backend:
  for i in 1 2 3 4 5 6; do curl -s -c /tmp/elbow.jar -b /tmp/elbow.jar http://{listen}/; done

Stop that backend for {away} seconds: the session moves once, and stays where it went:
  curl -s -b /tmp/elbow.jar http://{listen}/stop
  for i in 1 2 3 4 5 6; do curl -s -c /tmp/elbow.jar -b /tmp/elbow.jar http://{listen}/; done

See what elbow sees:
  curl -s http://{admin}/v1/backends
  curl -s http://{admin}/metrics
  curl -s http://{admin}/healthz

Ctrl-C drains and ends.
",
        away = AWAY.as_secs(),
    )
}

/// One backend's life: serve, stop when asked to, return to the same port.
async fn live(number: usize, listener: TcpListener, away: Duration) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut listener = listener;
    loop {
        serve_until_stopped(number, address, listener).await;
        tracing::info!(number, %address, "demo backend stopped");
        tokio::time::sleep(away).await;
        let Some(bound) = bind_again(address).await else {
            tracing::warn!(number, %address, "demo backend cannot return: its port is taken");
            return;
        };
        listener = bound;
        tracing::info!(number, %address, "demo backend is back");
    }
}

async fn serve_until_stopped(number: usize, address: SocketAddr, listener: TcpListener) {
    let stop = Arc::new(Notify::new());
    let asked = Arc::clone(&stop);
    let routes = Router::new()
        .route(
            "/",
            get(move |headers: HeaderMap| async move {
                format!(
                    "backend {number} at {address}, session {}\n",
                    session(&headers)
                )
            }),
        )
        .route("/health", get(|| async { "ok\n" }))
        .route(
            "/stop",
            get(move || async move {
                asked.notify_one();
                format!("backend {number} at {address} stops for a while\n")
            }),
        );
    // Connections at rest are closed, those in use after their answer.
    let served = axum::serve(listener, routes)
        .with_graceful_shutdown(async move { stop.notified().await })
        .await;
    if let Err(error) = served {
        tracing::warn!(number, %error, "demo backend failed");
    }
}

async fn bind_again(address: SocketAddr) -> Option<TcpListener> {
    for _ in 0..RETURN_ATTEMPTS {
        if let Ok(listener) = TcpListener::bind(address).await {
            return Some(listener);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    None
}

/// The beginning of the stickiness cookie that the backend was sent, or `none`.
fn session(headers: &HeaderMap) -> &str {
    let value = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'))
        .find_map(|pair| pair.trim().strip_prefix("AWSELB="));
    value.map_or("none", |value| value.get(..COOKIE_SHOWN).unwrap_or(value))
}
