//! Calls to the engine on behalf of a container.

use super::{
    ContainerExit, ContainerMsg, ContainerState, inside,
    look::{self, Known},
    machine::{Job, Part},
};
use crate::{ctx::Ctx, stack::Plan, supply, worker};
use apps::{ContainerSpec, RenderedService};
use engine::EngineError;
use protocol::AppId;
use ractor::{ActorProcessingErr, ActorRef};
use std::{sync::Arc, time::Duration};
use supervisor::ExitReason;

impl ContainerState {
    /// Makes a call; its end comes as a message.
    pub(super) async fn call(
        &mut self,
        myself: &ActorRef<ContainerMsg>,
        job: Job,
    ) -> Result<(), ActorProcessingErr> {
        let (ctx, service, me) = (self.args.ctx.clone(), Arc::clone(&self.args.service), myself.clone());
        let name = service.spec.name.clone();
        if job == Job::Look {
            let known = Known {
                container: self.machine.last_id().map(str::to_owned),
                anchor: self.machine.id(Part::Anchor).map(str::to_owned),
                by_name: self.args.cause.failure().is_some_and(is_of_container),
            };
            let place = ctx.calls.queue(&service.spec.name).await;
            worker::run(myself.get_cell(), async move {
                let _quiet = place.turn().await;
                let sight = look::look(ctx.engine.as_ref(), &service, &known).await;
                let _ = me.cast(ContainerMsg::Looked(sight));
            })
            .await?;
            return Ok(());
        }
        if let Job::Chore(chore) = job {
            let (id, answer) =
                (self.machine.id(Part::Container).unwrap_or_default().to_owned(), Answer(Some((me, job))));
            // It changes nothing that looks and calls would have to wait for, and ends with the container or this actor.
            let plan = Arc::clone(&self.args.plan);
            let work = async move { answer.give(inside::chore(&ctx, &service, &plan, &id, chore).await) };
            self.chore = Some(worker::run(myself.get_cell(), work).await?);
            return Ok(());
        }
        let spec = |part| match (part, &service.anchor) {
            (Part::Anchor, Some(anchor)) => anchor.clone(),
            _ => service.spec.clone(),
        };
        let called = |part| self.machine.id(part).map_or_else(|| spec(part).name, str::to_owned);
        let calls = ctx.calls.clone();
        let work = match job {
            Job::Look | Job::Chore(_) => return Ok(()),
            Job::Create(part) => {
                if part == Part::Container {
                    self.secrets = self.given();
                }
                Work::Create(Box::new(spec(part)), part, Arc::clone(&self.args.plan))
            }
            Job::Start(part) => Work::Start(called(part)),
            Job::Stop(part) => {
                let hooked =
                    part == Part::Container && !service.pre_stop.is_empty() && self.machine.up().is_some();
                Work::Stop(
                    called(part),
                    spec(part).stop_grace,
                    hooked.then(|| (self.args.app.clone(), Arc::clone(&service))),
                )
            }
            Job::Unpause => Work::Unpause(called(Part::Container)),
            Job::Remove(part) => Work::Remove(called(part)),
        };
        let answer = Answer(Some((me, job)));
        calls
            .run(&name, async move {
                let result = work.run(&ctx).await;
                answer.give(result);
            })
            .await?;
        Ok(())
    }
}

/// Whether a container failed, and not only an actor.
fn is_of_container(reason: &ExitReason) -> bool {
    reason.downcast_ref::<ContainerExit>().is_some()
}

/// Owed to the actor that made a call: also a call that panics, or whose worker cannot be started, has an end.
struct Answer(Option<(ActorRef<ContainerMsg>, Job)>);

impl Answer {
    fn give(mut self, result: Result<Option<String>, EngineError>) {
        self.send(result);
    }

    fn send(&mut self, result: Result<Option<String>, EngineError>) {
        if let Some((actor, job)) = self.0.take() {
            // Where the container's actor is gone, its next incarnation looks for itself.
            let _ = actor.cast(ContainerMsg::Done(job, result));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.send(Err(EngineError::Broken {
            subject: "the container".into(),
            message: "a call to the engine ended without an answer".into(),
        }));
    }
}

/// A call that changes a container.
enum Work {
    Create(Box<ContainerSpec>, Part, Arc<Plan>),
    Start(String),
    /// With the service whose commands are run before.
    Stop(String, Duration, Option<(AppId, Arc<RenderedService>)>),
    Unpause(String),
    Remove(String),
}

impl Work {
    async fn run(self, ctx: &Ctx) -> Result<Option<String>, EngineError> {
        let engine = &ctx.engine;
        match self {
            Self::Create(spec, part, plan) => {
                if part == Part::Anchor {
                    engine.ensure_pause_image().await?;
                    // Somebody may have taken one away since the install, or its manifest has one more.
                    supply::networks(ctx, &plan).await?;
                }
                return engine.create(&spec).await.map(Some);
            }
            Self::Start(container) => ctx.calls.in_turn(engine.start(&container)).await?,
            Self::Stop(container, grace, hooked) => {
                let grace = match hooked {
                    Some((app, service)) => inside::farewell(ctx, &app, &service, &container).await,
                    None => grace,
                };
                engine.stop(&container, grace).await?;
            }
            Self::Unpause(container) => engine.unpause(&container).await?,
            Self::Remove(container) => engine.remove(&container, true).await?,
        }
        Ok(None)
    }
}
