//! The engine's own service process, where nobody else runs it.
//!
//! Parent: engine, permanent. Children: one worker that waits for the process.
//! Its process dies with this actor, and this actor with its process; containers live on.

use crate::worker;
use engine::{Engine, Podman, PodmanService};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::{path::PathBuf, time::Duration};
use tokio::time::sleep;

/// How often the service is asked whether it answers; it gets 10 s.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// Missed answers after which it is restarted.
const MISSES: u32 = 3;

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
#[error("the engine's service ended: {0}")]
pub struct ServiceEnded(String);

/// Messages of the service.
pub(crate) enum ServiceMsg {
    /// Cast, own: the process ended.
    Ended(String),
}

/// Arguments of the service.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Where it listens.
    pub socket: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
}

/// The actor.
pub(crate) struct Service;

impl Actor for Service {
    type Msg = ServiceMsg;
    type State = ();
    type Arguments = ServiceConfig;

    async fn pre_start(
        &self,
        myself: ActorRef<ServiceMsg>,
        config: ServiceConfig,
    ) -> Result<(), ActorProcessingErr> {
        // In a worker, so that an engine that does not start keeps no node from showing what it last knew.
        let me = myself.clone();
        worker::run(myself.get_cell(), async move {
            // Nobody waits for an actor that is gone.
            let _ = me.cast(ServiceMsg::Ended(serve(config).await));
        })
        .await?;
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<ServiceMsg>,
        ServiceMsg::Ended(how): ServiceMsg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Err(ServiceEnded(how).into())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ServiceMsg>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        worker::ended(event)
    }
}

/// Runs the service until it ends; says how it did.
async fn serve(config: ServiceConfig) -> String {
    let run = async {
        PodmanService::end_earlier(&config.socket).await?;
        PodmanService::spawn(config.socket, &config.log).await
    };
    match run.await {
        Ok(mut service) => {
            let socket = service.socket().to_owned();
            tokio::select! {
                ended = service.wait() => match ended {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                },
                () = hangs(socket) => {
                    // Whoever waits for an answer is told so by the end of the connection. Dropping it kills it too.
                    let killed = service.kill().await;
                    format!("it did not answer {MISSES} times in a row and was killed: {killed:?}")
                }
            }
        }
        Err(error) => error.to_string(),
    }
}

/// Ends when the service has not answered several times in a row.
async fn hangs(socket: PathBuf) {
    let engine = Podman::connect(socket);
    let mut misses = 0;
    while misses < MISSES {
        sleep(ASK_EVERY).await;
        misses = if engine.info().await.is_ok() { 0 } else { misses + 1 };
    }
}
