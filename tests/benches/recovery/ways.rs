//! Ways to bring one published server back after `kill -9`.

use crate::ground::{Ground, IMAGE, LOST, SERVE, answers, free_port, kill_9, podman};
use crate::stats::Samples;
use apps::{ContainerSpec, PAUSE_IMAGE};
use engine::{Engine, EngineState, EventAction, ProcessRef};
use futures_util::{StreamExt, future::join};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Who brings the container back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Podman, by `--restart=always`.
    Own,
    /// A loop: died event, wait until it counts as exited, start.
    Loop,
    /// pidfd, inspect, start, in the network of an anchor.
    Anchored,
    /// The same in a pod.
    Pod,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Own, Self::Loop, Self::Anchored, Self::Pod];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Own => "Podman's own --restart=always",
            Self::Loop => "died event, wait for exited, start",
            Self::Anchored => "bare start in an anchored network",
            Self::Pod => "bare start in a pod",
        }
    }
}

/// One container that is brought back in one way.
pub(crate) struct Runner {
    pub(crate) way: Way,
    name: String,
    port: u16,
    /// Until the engine, too, knows of the death; and how long its start then takes.
    pub(crate) parts: (Samples, Samples),
}

impl Runner {
    pub(crate) async fn start(ground: &Ground, way: Way) -> Self {
        let port = free_port();
        let name = ground.name(&format!("{way:?}").to_lowercase());
        let published = format!("127.0.0.1:{port}:8080");
        let net = ground.name("net");
        match way {
            Way::Own => {
                let run = ["run", "-d", "--pull=never", "--restart=always", "--name", &name];
                let wires = ["--network", &net, "-p", &published, IMAGE];
                podman(&[&run[..], &wires[..], &SERVE[..]].concat());
            }
            Way::Loop => {
                ground.up(&ContainerSpec { name: name.clone(), ..ground.server("loop", port) }).await
            }
            Way::Anchored => {
                let server = ground.server("anchored", port);
                let anchor = ContainerSpec {
                    name: ground.name("anchor"),
                    image: PAUSE_IMAGE.to_owned(),
                    entrypoint: None,
                    ..server.clone()
                };
                ground.up(&anchor).await;
                let (networks, ports) = (Default::default(), vec![]);
                ground.up(&ContainerSpec { network_of: Some(anchor.name), networks, ports, ..server }).await;
            }
            Way::Pod => {
                let pod = ground.name("podded");
                let create = ["pod", "create", "--infra-image", PAUSE_IMAGE];
                podman(&[&create[..], &["--name", &pod, "--network", &net, "-p", &published][..]].concat());
                let run = ["run", "-d", "--pull=never", "--pod", &pod, "--name", &name, IMAGE];
                podman(&[&run[..], &SERVE[..]].concat());
            }
        }
        answers(port).await;
        Self { way, name, port, parts: Default::default() }
    }

    /// One death: the time until the port answers again; `None` where it is lost.
    pub(crate) async fn round(&mut self, ground: &Ground) -> Option<Duration> {
        let before = ground.running(&self.name, None).await;
        let process = before.process.unwrap();
        let engine = &ground.podman;
        let mut events = engine.events(None).await.unwrap();
        let exit = engine.exit_of(process).await.unwrap();
        let begun = Instant::now();
        kill_9(&[process]);
        let parts = &mut self.parts;
        let bring_back = async {
            match self.way {
                Way::Own => return,
                Way::Loop => loop {
                    let event = events.next().await.unwrap().unwrap();
                    if event.id == before.id && event.action == EventAction::Died {
                        break;
                    }
                },
                Way::Anchored | Way::Pod => exit.await,
            }
            loop {
                let state = engine.inspect(&before.id).await.unwrap().state;
                // With a port of its own a start before `exited` would lose it.
                if state == EngineState::Exited || (self.way != Way::Loop && state == EngineState::Stopped) {
                    break;
                }
            }
            parts.0.push(begun.elapsed());
            let start = Instant::now();
            engine.start(&before.id).await.unwrap();
            parts.1.push(start.elapsed());
        };
        let back = timeout(LOST, async {
            join(bring_back, async {
                gone(process).await;
                answers(self.port).await;
            })
            .await;
            begun.elapsed()
        });
        let back = back.await.ok();
        ground.running(&self.name, Some(process)).await;
        back
    }
}

/// What is reached from here on is not the process that is being killed.
pub(crate) async fn gone(process: ProcessRef) {
    while ProcessRef::of(process.pid) == Some(process) {
        tokio::task::yield_now().await;
    }
}
