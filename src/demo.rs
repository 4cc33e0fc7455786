//! `elbow demo`: backends that live in the same process, and what to try with them.
//!
//! Not for anything but a first look. Invariant: they listen on 127.0.0.1 only.

use std::io;
use std::net::{self, Ipv4Addr, SocketAddr};
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
    let registered = runtime.enter();
    let listeners = (0..count)
        .map(|_| {
            let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        })
        .collect::<io::Result<Vec<_>>>()?;
    drop(registered);
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

See what elbow sees, in a browser and in a terminal:
  http://{admin}/console/
  elbow top demo --admin {admin}
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nCookie: a=b; AWSELB=0123456789ABCDEF0123\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn each_backend_names_itself_and_the_session_it_saw() {
        let addresses = start_backends(3).expect("loopback is there");
        for (index, &address) in addresses.iter().enumerate() {
            let answer = get(address, "/").await.expect("it answers");
            let body = format!(
                "\r\n\r\nbackend {} at {address}, session 0123456789ABCDEF\n",
                index + 1
            );
            assert!(
                answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&body),
                "{answer}"
            );
            assert!(
                get(address, "/health")
                    .await
                    .expect("it answers")
                    .ends_with("ok\n")
            );
        }
    }

    #[tokio::test]
    async fn a_stopped_backend_refuses_and_returns_to_its_port() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(live(1, listener, Duration::from_millis(300)));
        assert!(
            get(address, "/stop")
                .await
                .expect("it answers")
                .contains("stops")
        );
        let refused = async { while get(address, "/health").await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(5), refused)
            .await
            .expect("it stopped");
        let returned = async {
            while get(address, "/health").await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), returned)
            .await
            .expect("it returned");
    }

    #[test]
    fn what_to_try_names_both_addresses() {
        let text = what_to_try(([127, 0, 0, 1], 8080).into(), ([127, 0, 0, 1], 9090).into());
        assert!(text.contains("http://127.0.0.1:8080/") && text.contains("127.0.0.1:9090/metrics"));
    }
}
