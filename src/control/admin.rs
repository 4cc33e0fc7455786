//! The admin address: `/metrics`, `/healthz` and `/v1/backends`.
//!
//! Read only, and of nothing but what the control thread has published. Invariant: a client costs a
//! bounded buffer and one of `limits::ADMIN_CONNECTIONS_MAX` places, and no request body is read.

use std::sync::Arc;

use axum::Router;
use axum::extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::metrics::{self, About, Metrics};
use super::{Published, Wish};
use crate::limits;
use crate::state::{ControlLine, HealthRow};
use crate::sys::{Link, Phase};

/// What the handlers read.
pub(super) struct Admin {
    link: Arc<Link>,
    published: watch::Receiver<Published>,
    wishes: mpsc::Sender<Wish>,
    counts: Arc<ControlLine>,
    metrics: Metrics,
}

type Shared = extract::State<Arc<Admin>>;

/// One element of `/v1/backends`.
#[derive(Serialize)]
struct BackendRow<'a> {
    load_balancer: &'a str,
    backend: &'a str,
    state: &'static str,
    reason_code: &'static str,
    description: &'static str,
    life: u32,
    outstanding: u64,
}

const NOT_FOUND: &str = "404: not here. What is:\n\
    \x20 /metrics      counters, for Prometheus\n\
    \x20 /healthz      200 ok, or 503 draining\n\
    \x20 /v1/backends  the health of all backends, JSON\n";

impl Admin {
    pub(super) fn new(
        link: Arc<Link>,
        published: watch::Receiver<Published>,
        wishes: mpsc::Sender<Wish>,
        counts: Arc<ControlLine>,
        about: About,
    ) -> Self {
        let metrics = Metrics::new(Arc::clone(&link), Arc::clone(&counts), about);
        Self {
            link,
            published,
            wishes,
            counts,
            metrics,
        }
    }

    /// Accepts and answers for ever.
    pub(super) async fn serve(self, listener: TcpListener) {
        let admin = Arc::new(self);
        let routes = routes(Arc::clone(&admin));
        let places = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS_MAX));
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "admin: accept failed");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                admin.counts.admin_connections_refused.add(1);
                continue;
            };
            let routes = routes.clone();
            tokio::spawn(async move {
                converse(stream, routes).await;
                drop(place);
            });
        }
    }
}

/// Serves one connection. Not by `axum::serve`, which sets none of these bounds.
async fn converse(stream: TcpStream, routes: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::ADMIN_HEAD_TIMEOUT)
        .max_buf_size(limits::ADMIN_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "admin: connection ended");
    }
}

fn routes(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/v1/backends", get(backends))
        .fallback(|| async { (StatusCode::NOT_FOUND, NOT_FOUND) })
        .with_state(admin)
}

async fn metrics(admin: Shared) -> Response {
    (
        [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)],
        admin.metrics.scrape(),
    )
        .into_response()
}

async fn healthz(admin: Shared) -> (StatusCode, &'static str) {
    match admin.link.phase() {
        Phase::Serving => (StatusCode::OK, "ok\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

async fn backends(admin: Shared) -> Response {
    let health = Arc::clone(&admin.published.borrow().health);
    let rows: Vec<_> = health.iter().map(BackendRow::from).collect();
    let json = serde_json::to_string(&rows).expect("strings and numbers are valid JSON");
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

impl<'a> From<&'a HealthRow> for BackendRow<'a> {
    fn from(row: &'a HealthRow) -> Self {
        Self {
            load_balancer: &row.load_balancer,
            backend: &row.backend,
            state: row.status.name(),
            reason_code: row.status.reason_code(),
            description: row.status.description(),
            life: row.life,
            outstanding: row.counts.sum(|line| &line.outstanding),
        }
    }
}

#[cfg(test)]
mod tests;
