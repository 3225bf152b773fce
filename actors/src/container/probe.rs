//! Probes of a container, run by the node.

use super::vitals::{Answer, Kind};
use crate::{ctx::Ctx, published};
use apps::{RenderedService, manifest::Probe};
use engine::{Engine, EngineError};
use std::{sync::Arc, time::Duration};
use tokio::time::{self, Instant};

/// Time between probes until the first success: people wait for it.
const EAGER: Duration = Duration::from_millis(300);

enum How {
    Http(reqwest::Client, String),
    Tcp(String, u16),
    Exec(String, Vec<String>),
}

/// Probes one container until it is stopped.
pub(crate) struct Prober {
    engine: Arc<dyn Engine>,
    how: How,
    delay: Duration,
    period: Duration,
    timeout: Duration,
    eager: bool,
}

impl Prober {
    /// A prober for a service whose container has this id.
    pub(crate) fn new(ctx: &Ctx, service: &RenderedService, id: &str, kind: Kind, probe: &Probe) -> Self {
        let how = if let Some(http) = &probe.http_get {
            How::Http(published::http_client(), published::url(service, http.scheme, &http.port, &http.path))
        } else if let Some(tcp) = &probe.tcp_socket {
            let (host, port) = published::address(service, &tcp.port);
            How::Tcp(host, port)
        } else {
            How::Exec(id.to_owned(), probe.exec.as_ref().map(|exec| exec.command.clone()).unwrap_or_default())
        };
        Self {
            engine: Arc::clone(&ctx.engine),
            how,
            delay: Duration::from_secs(probe.initial_delay_seconds.into()),
            period: Duration::from_secs(probe.period_seconds.into()),
            timeout: Duration::from_secs(probe.timeout_seconds.into()),
            eager: kind != Kind::Liveness,
        }
    }

    /// Probes again and again as long as `report` wants to know.
    pub(crate) async fn run(self, report: impl Fn(Answer) -> bool + Send) {
        time::sleep(self.delay).await;
        let mut pause = if self.eager { EAGER.min(self.period) } else { self.period };
        // Eagerness is for the first success: failures count at the probe's own pace.
        let mut failed_at: Option<Instant> = None;
        loop {
            let asked_at = Instant::now();
            let answer = self.once().await;
            let early = failed_at.is_some_and(|at| asked_at.duration_since(at) < self.period);
            match &answer {
                Answer::Yes => pause = self.period,
                Answer::No(_) if !early => failed_at = Some(asked_at),
                Answer::No(_) | Answer::Unknown(_) => {}
            }
            let counts = !(early && matches!(answer, Answer::No(_)));
            if counts && !report(answer) {
                return;
            }
            time::sleep(pause).await;
        }
    }

    async fn once(&self) -> Answer {
        match &self.how {
            How::Http(client, url) => match client.get(url).timeout(self.timeout).send().await {
                Ok(answer) if (200..400).contains(&answer.status().as_u16()) => Answer::Yes,
                Ok(answer) => Answer::No(format!("it answers with status {}", answer.status().as_u16())),
                Err(error) if error.is_builder() || published::is_ours(&error) => {
                    Answer::Unknown(published::cause(&error))
                }
                Err(error) if error.is_timeout() => Answer::No(published::late(self.timeout)),
                Err(error) => Answer::No(published::cause(&error)),
            },
            How::Tcp(host, port) => match published::connect(host, *port, self.timeout).await {
                Ok(()) => Answer::Yes,
                Err(error) if error.ours => Answer::Unknown(error.words),
                Err(error) => Answer::No(error.words),
            },
            How::Exec(container, argv) => match self.engine.exec(container, argv, self.timeout).await {
                Ok(output) if output.code == 0 => Answer::Yes,
                Ok(output) => {
                    let said = output.output.lines().map(str::trim).find(|line| !line.is_empty());
                    let said: String = said.unwrap_or_default().chars().take(120).collect();
                    let colon = if said.is_empty() { "" } else { ": " };
                    Answer::No(format!("its command ended with {}{colon}{said}", output.code))
                }
                Err(EngineError::Timeout { .. }) => Answer::No(published::late(self.timeout)),
                // An engine that is away or fails, or cannot begin the command, says nothing about the container.
                Err(error) => Answer::Unknown(error.to_string()),
            },
        }
    }
}
