//! Where the cases of the contract run, and what they share.

use crate::{Engine, EngineError, EngineState, Event, EventAction, Inspect, ProcessRef, Result};
use apps::{ContainerSpec, LABEL_NODE, LABEL_SERVICE};
use futures_util::{StreamExt, stream::BoxStream};
use std::{fmt, sync::Arc, time::Duration};

/// Ends a container's process from outside, as `kill -9` does; it gets the container's name and its process.
pub type Kill = Arc<dyn Fn(&str, ProcessRef) + Send + Sync>;

/// How long a state may take to come about.
const SOON: Duration = Duration::from_secs(20);

/// Where a case runs.
#[derive(Clone)]
pub struct Ground {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// An image with `/bin/busybox` that exists.
    pub image: String,
    /// What the names of everything made here begin with.
    pub prefix: String,
    /// A TCP port of this host that is free.
    pub port: u16,
    /// How a process is killed here.
    pub kill9: Kill,
    /// Whether a process is the container's command by now: the runtime's helper that becomes it answers a SIGTERM in
    /// its own way.
    pub has_begun: fn(ProcessRef) -> bool,
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The value of a call that has to succeed.
#[track_caller]
#[expect(clippy::panic, reason = "a broken contract fails the test")]
pub fn ok<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

impl Ground {
    /// A name of this ground.
    pub fn name(&self, what: &str) -> String {
        format!("{}{what}", self.prefix)
    }

    /// A container that sleeps and ends at a SIGTERM.
    pub fn spec(&self, what: &str) -> ContainerSpec {
        self.running(what, &["sleep", "1000000"])
    }

    /// A container that runs a command of busybox.
    pub fn running(&self, what: &str, command: &[&str]) -> ContainerSpec {
        ContainerSpec {
            name: self.name(what),
            image: self.image.clone(),
            entrypoint: Some(vec!["/bin/busybox".to_owned()]),
            command: Some(command.iter().map(|&word| word.to_owned()).collect()),
            init: true,
            labels: [(LABEL_NODE, self.prefix.as_str()), (LABEL_SERVICE, what)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            stop_grace: Duration::from_secs(5),
            ..ContainerSpec::default()
        }
    }

    /// Creates and starts a container.
    pub async fn up(&self, spec: &ContainerSpec) -> Inspect {
        ok(self.engine.create(spec).await);
        ok(self.engine.start(&spec.name).await);
        self.begun(&spec.name).await
    }

    /// Waits until a container that was started runs its command.
    pub async fn begun(&self, container: &str) -> Inspect {
        let begun = async {
            loop {
                let inspect = ok(self.engine.inspect(container).await);
                if inspect.process.is_none_or(self.has_begun) {
                    return inspect;
                }
                tokio::task::yield_now().await;
            }
        };
        soon(begun).await
    }

    /// Waits until a container has exited and the engine has cleaned up behind it.
    pub async fn exited(&self, container: &str) -> Inspect {
        let wait = async {
            loop {
                let seen = ok(self.engine.inspect(container).await);
                if seen.state == EngineState::Exited {
                    return seen;
                }
                // From its start on, so that nothing is missed that happens until they are read. They may end early.
                let since = seen.started_at.map(|millis| millis / 1_000);
                let mut events = ok(self.engine.events(since).await);
                while let Some(Ok(event)) = events.next().await {
                    if event.id != seen.id {
                        continue;
                    }
                    let seen = ok(self.engine.inspect(container).await);
                    if seen.state == EngineState::Exited {
                        return seen;
                    }
                }
            }
        };
        soon(wait).await
    }

    /// Removes everything that was made under this ground's names.
    pub async fn clean(&self) {
        let containers = self.engine.list(&[(LABEL_NODE, &self.prefix)]).await.unwrap_or_default();
        for container in containers {
            let _ = self.engine.remove(&container.name, true).await;
        }
        for what in ["net", "net2"] {
            let _ = self.engine.remove_network(&self.name(what)).await;
        }
        for what in ["data", "data2"] {
            let _ = self.engine.remove_volume(&self.name(what)).await;
        }
        let _ = self.engine.remove_secret(&self.name("key")).await;
        let _ = self.engine.remove_image(&format!("localhost/{}image:1", self.prefix)).await;
    }
}

/// The value of a future that must not take long.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(SOON, work).await;
    ok(result.map_err(|_| EngineError::Timeout {
        call: "soon",
        subject: "a condition".to_owned(),
        after: SOON,
    }))
}

/// Reads this container's events up to an action, without what is only the engine's business.
pub async fn events_until(
    stream: &mut BoxStream<'static, Result<Event>>,
    container: &str,
    last: &EventAction,
) -> Vec<Event> {
    let read = async {
        let mut seen = Vec::new();
        while let Some(event) = stream.next().await {
            let event = ok(event);
            if event.name != container || matches!(event.action, EventAction::Other(_)) {
                continue;
            }
            let end = event.action == *last;
            seen.push(event);
            if end {
                break;
            }
        }
        seen
    };
    soon(read).await
}
