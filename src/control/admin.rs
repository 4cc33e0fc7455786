//! The admin address: the ELB API, `/metrics`, `/healthz` and `/v1`.
//!
//! It reads what the control thread has published, and changes things by commands that the control
//! thread carries out. Who may do so is judged in front of all routes (`access.rs`). Invariant: a
//! client costs a bounded buffer and one of
//! `limits::ADMIN_CONNECTIONS_MAX` places.

mod access;
mod answer;
mod config;
mod denied;
mod drains;
mod explain;
mod guard;
mod instances;
mod places;
mod query;
mod reload;
mod rows;
mod signature;
mod status;
mod used;

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use axum::extract::{self, DefaultBodyLimit};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Router, middleware};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

use self::access::{Access, Peer};
use self::answer::Trouble;
use self::places::{Place, Places, Room};
use super::credentials::Credentials;
use super::metrics::{self, About, Metrics};
use super::setup::Order;
use super::{Published, Wish};
use crate::config::Attributes;
use crate::limits;
use crate::state::{Command, ControlLine, Refusal};
use crate::sticky::Seals;
use crate::sys::{Link, Phase};

pub use self::drains::Drain;
pub use self::rows::BackendRow;
pub(super) use self::status::Standing;
pub use self::status::{ListenerStatus, LoadBalancerStatus, ProcessStatus};

/// What the handlers work with.
pub(super) struct Admin {
    link: Arc<Link>,
    published: watch::Receiver<Published>,
    wishes: mpsc::Sender<Wish>,
    orders: SyncSender<Order>,
    standing: Standing,
    seals: Seals,
    access: Access,
    counts: Arc<ControlLine>,
    metrics: Metrics,
}

/// Where what is asked for goes.
pub(super) struct Doors {
    pub(super) wishes: mpsc::Sender<Wish>,
    pub(super) orders: SyncSender<Order>,
    pub(super) standing: Standing,
    /// Who may ask.
    pub(super) credentials: Credentials,
}

type Shared = extract::State<Arc<Admin>>;

const NOT_FOUND: &str = "404: not here. What is:\n\
    \x20 POST /              the ELB API, version 2012-06-01: `aws elb --endpoint-url`\n\
    \x20 /metrics            counters, for Prometheus\n\
    \x20 /healthz            200 ok, or 503 draining\n\
    \x20 /v1/status          the process and its load balancers at a glance, JSON\n\
    \x20 /v1/backends        the health of all backends, JSON; of ?load_balancer=NAME\n\
    \x20 /v1/load-balancers  listeners and instances; PUT and DELETE of NAME/instances/ID\n\
    \x20 /v1/drains          instances that leave; POST begins, DELETE of NAME/ID cancels\n\
    \x20 /v1/config          what is in force, as a configuration file\n\
    \x20 /v1/reload          POST reads the configuration file again\n\
    \x20 /v1/explain         ?load_balancer=NAME&port=P&cookie=VALUE: where that session goes\n";

impl Admin {
    pub(super) fn new(
        link: Arc<Link>,
        published: watch::Receiver<Published>,
        doors: Doors,
        seals: Seals,
        counts: Arc<ControlLine>,
        about: About,
    ) -> Self {
        let metrics = Metrics::new(
            Arc::clone(&link),
            published.clone(),
            Arc::clone(&counts),
            about,
        );
        Self {
            link,
            published,
            wishes: doors.wishes,
            orders: doors.orders,
            standing: doors.standing,
            seals,
            access: Access::new(doors.credentials, Arc::clone(&counts)),
            counts,
            metrics,
        }
    }

    /// Has a command carried out. What it changed is published when this returns.
    async fn wish(&self, command: Command) -> Result<(), Trouble> {
        let (answer, answered) = oneshot::channel();
        let sent = self.wishes.send(Wish { command, answer }).await;
        sent.map_err(|_| Trouble::ending())?;
        let done = answered.await.map_err(|_| Trouble::ending())?;
        done.map_err(Trouble::from)
    }

    /// Has the thread that changes what is set up do something; how that went comes on the channel
    /// that the order has.
    fn order(&self, order: Order) -> Result<(), Trouble> {
        let full = |error| match error {
            TrySendError::Full(_) => Trouble::busy(),
            TrySendError::Disconnected(_) => Trouble::ending(),
        };
        self.orders.try_send(order).map_err(full)
    }

    /// The switches of that load balancer.
    fn attributes(&self, load_balancer: &str) -> Result<Arc<Attributes>, Trouble> {
        let snapshot = self.link.snapshot.load();
        let mut routes = snapshot.routes.iter();
        let route = routes.find(|route| *route.load_balancer == *load_balancer);
        let route = route.ok_or_else(|| Refusal::NoLoadBalancer(load_balancer.to_owned()))?;
        Ok(Arc::clone(&route.attributes))
    }

    /// Accepts and answers for ever.
    pub(super) async fn serve(self, listener: TcpListener) {
        let admin = Arc::new(self);
        let routes = routes(Arc::clone(&admin));
        let mut places = Places::default();
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "admin: accept failed");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                    continue;
                }
            };
            match places.make_room() {
                Room::Free => {}
                Room::Made => admin.counts.admin_connections_displaced.add(1),
                Room::None => {
                    admin.counts.admin_connections_refused.add(1);
                    continue;
                }
            }
            places.take(|place| {
                let (routes, counts) = (routes.clone(), Arc::clone(&admin.counts));
                let conversing = converse(stream, Peer(peer), routes, place, counts);
                tokio::spawn(conversing).abort_handle()
            });
            // So that a request which is there already is read before others take its place.
            tokio::task::yield_now().await;
        }
    }
}

/// Serves one connection. Not by `axum::serve`, which sets none of these bounds.
async fn converse(
    stream: TcpStream,
    peer: Peer,
    routes: Router,
    place: Place,
    counts: Arc<ControlLine>,
) {
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answering = routes.call(request.map(|body| place.receive(body)));
        async {
            let answer = answering.await;
            place.rest();
            if answer
                .as_ref()
                .is_ok_and(|answer| is_refusal(answer.status()))
            {
                counts.admin_requests_refused.add(1);
            }
            answer
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::ADMIN_HEAD_TIMEOUT)
        .max_buf_size(limits::ADMIN_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        if error.is_parse() {
            counts.admin_requests_refused.add(1);
        }
        tracing::debug!(%error, "admin: connection ended");
    }
}

fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn routes(admin: Arc<Admin>) -> Router {
    let instance = "/v1/load-balancers/{load_balancer}/instances/{instance}";
    let query = get(query::get)
        .post(query::post)
        .layer(DefaultBodyLimit::max(limits::QUERY_BYTES_MAX));
    Router::new()
        .route("/", query)
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/v1/status", get(status::status))
        .route("/v1/config", get(config::config))
        .route("/v1/reload", post(reload::reload))
        .route("/v1/backends", get(rows::backends))
        .route("/v1/load-balancers", get(instances::load_balancers))
        .route(instance, put(instances::put).delete(instances::delete))
        .route("/v1/drains", get(drains::list).post(drains::begin))
        .route(
            "/v1/drains/{load_balancer}/{instance}",
            axum::routing::delete(drains::cancel),
        )
        .route("/v1/explain", get(explain::answer))
        .method_not_allowed_fallback(|| async {
            let clause = "the Allow field has the methods that can be";
            Trouble::new(StatusCode::METHOD_NOT_ALLOWED, clause)
        })
        .fallback(|| async { (StatusCode::NOT_FOUND, NOT_FOUND) })
        .layer(DefaultBodyLimit::max(limits::ADMIN_BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&admin),
            access::admit,
        ))
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

#[cfg(test)]
mod tests;
