//! Readiness probes, run by the node.

use crate::{ctx::Ctx, published};
use apps::{RenderedService, manifest::Probe};
use engine::{Engine, EngineError, ErrorClass};
use std::{sync::Arc, time::Duration};
use tokio::time;

/// Time between probes until the first success: people wait for it.
const EAGER: Duration = Duration::from_millis(300);

enum Kind {
    Http(reqwest::Client, String),
    Tcp(String, u16),
    Exec(String, Vec<String>),
}

/// Probes one container until it is stopped.
pub(crate) struct Prober {
    engine: Arc<dyn Engine>,
    kind: Kind,
    period: Duration,
    timeout: Duration,
}

impl Prober {
    /// A prober for a service whose container has this id.
    pub(crate) fn new(ctx: &Ctx, service: &RenderedService, id: &str, probe: Probe) -> Self {
        let kind = if let Some(http) = &probe.http_get {
            Kind::Http(published::http_client(), published::url(service, &http.port, &http.path))
        } else if let Some(tcp) = &probe.tcp_socket {
            let (host, port) = published::address(service, &tcp.port);
            Kind::Tcp(host, port)
        } else {
            Kind::Exec(id.to_owned(), probe.exec.map(|exec| exec.command).unwrap_or_default())
        };
        Self {
            engine: Arc::clone(&ctx.engine),
            kind,
            period: Duration::from_secs(probe.period_seconds.into()),
            timeout: Duration::from_secs(probe.timeout_seconds.into()),
        }
    }

    /// Probes again and again as long as `report` wants to know.
    pub(crate) async fn run(self, report: impl Fn(bool) -> bool + Send) {
        let mut pause = EAGER.min(self.period);
        loop {
            if let Some(ok) = self.once().await {
                if ok {
                    pause = self.period;
                }
                if !report(ok) {
                    return;
                }
            }
            time::sleep(pause).await;
        }
    }

    /// `None` where nobody could ask: an engine that is away or fails says nothing about the container.
    async fn once(&self) -> Option<bool> {
        Some(match &self.kind {
            Kind::Http(client, url) => {
                let answer = client.get(url).timeout(self.timeout).send().await;
                answer.is_ok_and(|answer| (200..400).contains(&answer.status().as_u16()))
            }
            Kind::Tcp(host, port) => published::connect(host, *port, self.timeout).await.is_ok(),
            Kind::Exec(container, argv) => match self.engine.exec(container, argv, self.timeout).await {
                Ok(output) => output.code == 0,
                Err(EngineError::Unreachable { .. }) => return None,
                Err(error) if error.class() == ErrorClass::Fatal => return None,
                Err(_) => false,
            },
        })
    }
}
