//! What every long-running command shares: listening, waiting for the end, a door for health and metrics.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::Json;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hostread_job::{Restating, Status};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long a server may take to finish what is under way.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Listens where the setting says; a port that is taken is named with the way out.
pub(crate) async fn listen(setting: &str, address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let variable = setting.to_uppercase().replace('.', "__");
        match error.kind() {
            std::io::ErrorKind::AddrInUse => anyhow!(
                "{address} is taken by another program; stop it, or choose another port: HOSTREAD_{variable}=127.0.0.1:0 (0: any free one)"
            ),
            _ => anyhow!("cannot listen on {address} ({setting}): {error}"),
        }
    })
}

/// As `listen`, but a taken port only moves the door to a free one.
pub(crate) async fn listen_or_move(setting: &str, address: &str) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let host = address
                .rsplit_once(':')
                .map_or("127.0.0.1", |(host, _)| host);
            listen(setting, &format!("{host}:0")).await
        }
        Ok(listener) => Ok(listener),
        Err(_) => listen(setting, address).await,
    }
}

/// `http://…` of a listener.
pub(crate) fn address(listener: &TcpListener) -> Result<String> {
    let address: SocketAddr = listener.local_addr().context("asking for the port")?;
    Ok(format!("http://{address}"))
}

/// Tells servers to stop, and waits for them.
pub(crate) struct Servers {
    stop: watch::Sender<bool>,
    running: Vec<tokio::task::JoinHandle<Result<()>>>,
}

/// Done when the servers should stop.
pub(crate) struct Stopped(watch::Receiver<bool>);

impl Stopped {
    pub(crate) async fn wait(mut self) {
        drop(self.0.wait_for(|stop| *stop).await);
    }
}

impl Servers {
    pub(crate) fn new() -> Self {
        Self {
            stop: watch::Sender::new(false),
            running: Vec::new(),
        }
    }

    pub(crate) fn stopped(&self) -> Stopped {
        Stopped(self.stop.subscribe())
    }

    pub(crate) fn spawn(&mut self, server: impl Future<Output = Result<()>> + Send + 'static) {
        self.running.push(tokio::spawn(server));
    }

    /// Serves a router until told to stop.
    pub(crate) fn serve(&mut self, listener: TcpListener, router: Router) {
        let stopped = self.stopped();
        self.spawn(async move {
            Ok(axum::serve(listener, router)
                .with_graceful_shutdown(stopped.wait())
                .await?)
        });
    }

    /// A kept-alive connection may outlive the doors; it is not waited for.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        for server in self.running {
            drop(tokio::time::timeout(DRAIN_MAX, server).await);
        }
    }
}

/// `/livez`, `/readyz` and `/metrics` of a pipeline that has no doors beside it.
pub(crate) fn health(status: Arc<OnceLock<Arc<Status>>>, metrics: crate::Metrics) -> Router {
    let known = Arc::clone(&status);
    let ready = move || {
        let status = Arc::clone(&known);
        async move {
            status
                .get()
                .map_or_else(starting, |status| readiness(status))
        }
    };
    let render = move || {
        let text = metrics.render(status.get().map(Arc::as_ref));
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    Router::new()
        .route("/livez", get(|| async { Json(json!({"live": true})) }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
}

fn starting() -> Response {
    let body = json!({"ready": false, "reason": "opening the journal and the sinks"});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

fn readiness(status: &Status) -> Response {
    let trouble = status.trouble();
    let code = if trouble.is_none() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let uppers: serde_json::Map<String, serde_json::Value> = status
        .uppers()
        .into_iter()
        .map(|(sink, upper)| (sink.to_owned(), upper.0.into()))
        .collect();
    let body = json!({
        "ready": trouble.is_none(),
        "reason": trouble,
        "caught_up": status.caught_up(),
        "tick_fed": status.fed().0,
        "tick_durable": status.durable().0,
        "uppers": uppers,
        "clock_ms": status.clock().0,
        "events": status.events(),
        "behind": status.behind(),
        "waiting_changes": status.waiting_changes(),
        "restating": status.restating().map(restating),
    });
    (code, Json(body)).into_response()
}

fn restating(it: Restating) -> serde_json::Value {
    json!({"tick": it.tick.0, "stage": it.stage.name(), "done": it.done, "total": it.total})
}

/// Why a long-running command ended.
pub(crate) enum End {
    /// Ctrl-C or SIGTERM.
    Asked,
    /// The pipeline stopped by itself.
    Failed,
}

/// Waits for Ctrl-C, SIGTERM, or the pipeline's end.
pub(crate) async fn wait_for_end(status: Option<&Status>) -> End {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    let failed = async {
        let Some(status) = status else {
            return std::future::pending().await;
        };
        while status.failure().is_none() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => End::Asked,
        () = terminate => End::Asked,
        () = failed => End::Failed,
    }
}
