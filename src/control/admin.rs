//! The admin address: the ELB API, `/metrics`, `/healthz`, `/v1` and the web console.
//!
//! It reads what the control thread has published, and has changes made by the thread that changes
//! what is set up (`setup.rs`). Who may do so is judged in front of all routes (`access.rs`).
//! Invariant: a client costs a bounded buffer and one of
//! `limits::ADMIN_CONNECTIONS_MAX` places.
#![expect(
    unused_qualifications,
    reason = "utoipa writes `super::` in front of the types of parameters"
)]

mod access;
mod answer;
mod certificates;
mod cluster;
mod config;
mod console;
mod denied;
mod document;
mod drains;
mod explain;
mod guard;
mod guesses;
mod instances;
mod live;
mod load_balancers;
mod places;
mod proof;
mod query;
mod reload;
mod rows;
mod sign_in;
mod sign_ins;
mod signature;
mod status;
mod used;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use axum::extract::{self, DefaultBodyLimit};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::access::{Access, Peer};
use self::answer::Trouble;
use self::document::Document;
use self::places::{Place, Places, Room};
use super::Published;
use super::credentials::Credentials;
use super::metrics::{self, About, Metrics};
use super::problem::Problem;
use super::setup::{Order, Setup, Task};
use crate::config::Attributes;
use crate::limits;
use crate::state::{ControlLine, Refusal};
use crate::sticky::Seals;
use crate::sys::{Link, Phase};

pub use self::cluster::{
    ClusterGlance, ClusterStatus, Dispute, NodeStatus, ReplacedChange, WaitingChange,
};
pub use self::drains::Drain;
pub use self::rows::BackendRow;
pub(super) use self::status::Standing;
pub use self::status::{ListenerStatus, LoadBalancerStatus, ProcessStatus};

/// What the handlers work with.
pub(super) struct Admin {
    link: Arc<Link>,
    published: watch::Receiver<Published>,
    orders: SyncSender<Order>,
    standing: Standing,
    seals: Seals,
    access: Access,
    counts: Arc<ControlLine>,
    metrics: Metrics,
    document: Document,
    /// Places for those who watch what happens.
    watchers: Arc<Semaphore>,
    is_ready: Arc<AtomicBool>,
}

/// Where what is asked for goes.
pub(super) struct Doors {
    pub(super) orders: SyncSender<Order>,
    pub(super) standing: Standing,
    /// Who may ask.
    pub(super) credentials: Credentials,
    /// This node knows what the others of its cluster know.
    pub(super) is_ready: Arc<AtomicBool>,
}

type Shared = extract::State<Arc<Admin>>;

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
            orders: doors.orders,
            standing: doors.standing,
            seals,
            access: Access::new(doors.credentials, Arc::clone(&counts)),
            counts,
            metrics,
            document: Document::new(api().into_openapi()),
            watchers: Arc::new(Semaphore::new(limits::WATCHERS_MAX)),
            is_ready: doors.is_ready,
        }
    }

    /// Has the thread that changes what is set up do something. What that changed is published when
    /// this returns.
    async fn order<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Setup) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (answer, answered) = oneshot::channel();
        // Refused: whoever asked has gone; what was done is done.
        let task = Task::new(move |setup| drop(answer.send(work(setup))));
        let sent = self.orders.try_send(Order::Do(task));
        sent.map_err(|error| match error {
            TrySendError::Full(_) => Trouble::busy(),
            TrySendError::Disconnected(_) => Trouble::ending(),
        })?;
        let done = answered.await.map_err(|_| Trouble::ending())?;
        done.map_err(Trouble::from)
    }

    /// The switches of that load balancer.
    fn attributes(&self, load_balancer: &str) -> Result<Arc<Attributes>, Trouble> {
        let published = self.published.borrow();
        let mut all = published.load_balancers.iter();
        let row = all.find(|row| *row.name == *load_balancer);
        let row = row.ok_or_else(|| Refusal::NoLoadBalancer(load_balancer.to_owned()))?;
        Ok(Arc::clone(&row.attributes))
    }

    fn not_found(&self) -> (StatusCode, String) {
        (StatusCode::NOT_FOUND, self.document.not_found.clone())
    }

    /// Accepts and answers for ever.
    pub(super) async fn serve(self, listener: TcpListener) {
        let admin = Arc::new(self);
        let router = router(Arc::clone(&admin));
        let mut places = Places::default();
        let mut told_until = Instant::now();
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if told_until <= Instant::now() {
                        told_until = Instant::now() + limits::ACCEPT_ERROR_QUIET;
                        tracing::warn!(%error, "admin: cannot accept: clients wait");
                    }
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
                let (router, counts) = (router.clone(), Arc::clone(&admin.counts));
                let conversing = converse(stream, Peer(peer), router, place, counts);
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
    router: Router,
    place: Place,
    counts: Arc<ControlLine>,
) {
    let routes = TowerToHyperService::new(router);
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

/// All routes but that of the ELB API, with what the document says of each.
fn api() -> OpenApiRouter<Arc<Admin>> {
    OpenApiRouter::with_openapi(document::without_routes())
        .routes(routes!(metrics))
        .routes(routes!(healthz))
        .routes(routes!(status::status))
        .routes(routes!(cluster::show))
        .routes(routes!(config::config))
        .routes(routes!(reload::reload))
        .routes(routes!(rows::backends))
        .routes(routes!(rows::sessions))
        .routes(routes!(live::watch))
        .routes(routes!(view::view))
        .routes(routes!(explain::answer))
        .routes(routes!(load_balancers::list))
        .routes(routes!(
            load_balancers::register,
            load_balancers::deregister
        ))
        .routes(routes!(instances::list))
        .routes(routes!(instances::show, instances::put, instances::delete))
        .routes(routes!(
            certificates::list,
            certificates::put,
            certificates::delete
        ))
        .routes(routes!(drains::list, drains::begin))
        .routes(routes!(drains::cancel))
        .routes(routes!(sign_in::show, sign_in::begin, sign_in::end))
        .routes(routes!(document::show))
}

fn router(admin: Arc<Admin>) -> Router {
    let query = get(query::get)
        .post(query::post)
        .layer(DefaultBodyLimit::max(limits::QUERY_BYTES_MAX));
    Router::from(api())
        .route("/", query)
        .merge(console::routes())
        .method_not_allowed_fallback(|| async {
            let clause = "the Allow field has the methods that can be";
            Trouble::new(StatusCode::METHOD_NOT_ALLOWED, clause)
        })
        .fallback(|admin: Shared| async move { admin.not_found() })
        .layer(DefaultBodyLimit::max(limits::ADMIN_BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&admin),
            access::admit,
        ))
        .with_state(admin)
}

/// Shows counters
///
/// For Prometheus, in the OpenMetrics text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "show_metrics",
    tag = "process",
    responses((
        status = 200,
        description = "The counters",
        body = String,
        content_type = "application/openmetrics-text"
    ))
)]
async fn metrics(admin: Shared) -> Response {
    (
        [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)],
        admin.metrics.scrape(),
    )
        .into_response()
}

/// Says whether it serves
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "show_health",
    tag = "process",
    responses(
        (status = 200, description = "It does", body = String, content_type = "text/plain"),
        (
            status = 503,
            description = "It drains and will end, or does not know yet what the others know",
            body = String,
            content_type = "text/plain"
        ),
    )
)]
async fn healthz(admin: Shared) -> (StatusCode, &'static str) {
    match admin.link.phase() {
        Phase::Serving if !admin.is_ready.load(Ordering::Relaxed) => {
            (StatusCode::SERVICE_UNAVAILABLE, "catching up\n")
        }
        Phase::Serving => (StatusCode::OK, "ok\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

#[cfg(test)]
mod tests;
