//! One container of an app, with the anchor that owns its network.
//!
//! Parent: the app's `containers` supervisor, permanent. Children: workers for looks, probes and pidfds.
//! It learns of the container's death from the kernel, adopts what runs, and drives its container to what the app
//! wants; the state machine is in [`machine`].
//!
//! Invariants: one call to the engine is in flight at a time, also across incarnations; the actor's own failure touches
//! no container; a container that dies while it is wanted ends the actor with a [`ContainerExit`].

mod call;
mod exit;
mod inside;
mod look;
mod machine;
mod note;
mod probe;
mod pulse;
mod status;
mod vitals;

pub use exit::ContainerExit;
pub(crate) use look::is_adoptable;
pub(crate) use machine::Want;
pub(crate) use status::Status;

use crate::{
    agree::Agreement,
    app::AppMsg,
    clock::now_ms,
    ctx::Ctx,
    names::name,
    stack::{self, Plan},
    worker,
};
use apps::{ContainerSpec, LABEL_APP, LABEL_ROLE, LABEL_SERVICE, RenderedService};
use engine::{EngineError, EngineState, ProcessRef, Summary};
use futures_util::future::select_all;
use look::Sight;
use machine::{Duties, Effect, Job, Listed, Machine, Part};
use note::Note;
use protocol::{AppId, ContainerPhase, Health};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::{sync::Arc, time::Duration};
use supervisor::StartCause;
use tokio::time::Instant;
use ulid::Ulid;
use vitals::{Answer, Kind, Vitals};

/// From here on a call that has not ended is shown as slow.
const SLOW: Duration = Duration::from_secs(30);
/// What a stop may take beyond its grace before it is shown as slow.
const STOP_MARGIN: Duration = Duration::from_secs(15);

/// Messages of a container.
pub(crate) enum ContainerMsg {
    /// Cast: the app wants this, by the order of this number.
    Want(Want, Ulid),
    /// Cast: tell your status, the app is new.
    Tell,
    /// Cast: restart what runs, for this reason, which is no failure.
    Bounce(String),
    /// Cast: the engine hinted that something happened to the container.
    Hint,
    /// Cast: all containers of this node.
    Listed(Arc<Vec<Summary>>),
    /// Cast, own: a look ended.
    Looked(Result<Sight, EngineError>),
    /// Cast, own: another call ended.
    Done(Job, Result<Option<String>, EngineError>),
    /// Cast, own: the call of this number should have ended by now.
    Slow(u64),
    /// Cast, own: some process could not be watched.
    Unwatched,
    /// Cast, own: one of the watched processes ended.
    Died(ProcessRef),
    /// Cast, own: a probe of this process has its answer.
    Probed(ProcessRef, Kind, Answer),
    /// Cast, own: the time to rest is over.
    Rested,
}

/// Arguments of a container.
#[derive(Clone)]
pub(crate) struct ContainerArgs {
    /// The node.
    pub(crate) ctx: Ctx,
    /// The app.
    pub(crate) app: AppId,
    /// What to run.
    pub(crate) service: Arc<RenderedService>,
    /// The app's plan.
    pub(crate) plan: Arc<Plan>,
    /// Why this incarnation was started.
    pub(crate) cause: StartCause,
}

/// State of a container.
pub(crate) struct ContainerState {
    args: ContainerArgs,
    me: ActorId,
    machine: Machine,
    /// What the probes say of what runs.
    vitals: Option<Vitals>,
    probers: Vec<ActorCell>,
    /// Who works inside of the container.
    chore: Option<ActorCell>,
    /// What is on the disk of the machine's note.
    kept: Note,
    /// Which of the given secrets the container is being made with.
    secrets: String,
    /// The watched processes, and who watches them.
    watch: (Vec<ProcessRef>, Option<ActorCell>),
    /// Some could not be watched: that is tried again at the next list.
    unwatched: bool,
    /// Calls made so far, and whether the last one is in flight.
    calls: (u64, bool),
    /// Containers that pose as this one, as of the lists.
    doubles: Agreement,
    /// The sibling's failure for which this one is restarted, in words.
    because: Option<String>,
    /// The app's last order.
    order: Option<Ulid>,
    shown: Status,
}

/// The actor.
pub(crate) struct Container;

impl Actor for Container {
    type Msg = ContainerMsg;
    type State = ContainerState;
    type Arguments = ContainerArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ContainerMsg>,
        args: ContainerArgs,
    ) -> Result<ContainerState, ActorProcessingErr> {
        args.ctx.names.register(name::container(&args.app, &args.service.service), myself.get_cell());
        // Only a sibling's *container* failure restarts this container; an actor's failure restarts nothing.
        let because = match &args.cause {
            StartCause::SiblingFailure { id, reason } => {
                let exit = reason.downcast_ref::<ContainerExit>();
                exit.map(|exit| format!("restarted because {id} {exit}"))
            }
            _ => None,
        };
        let own = match &args.cause {
            StartCause::OwnFailure { reason } => reason.downcast_ref(),
            _ => None,
        };
        let path = stack::container_path(&args.app, &args.service.service);
        let asked_for = args.ctx.tree.was_asked_for(&path);
        let repaired = own == Some(&ContainerExit::Damaged) && !asked_for;
        let machine = Machine::new(because.is_some(), repaired);
        // What has completed is not run again for a sibling.
        let failed = own.is_some();
        let mut state = ContainerState {
            machine,
            vitals: None,
            probers: Vec::new(),
            chore: None,
            kept: Note::default(),
            secrets: String::new(),
            watch: (Vec::new(), None),
            unwatched: false,
            calls: (0, false),
            doubles: Agreement::default(),
            because,
            order: None,
            shown: Status::unknown(),
            me: myself.get_id(),
            args,
        };
        state.kept = state.kept_note();
        let duties = Duties::of(&state.args.service);
        state.machine = state.machine.with(duties, state.kept.clone(), failed);
        Ok(state)
    }

    async fn post_start(
        &self,
        myself: ActorRef<ContainerMsg>,
        state: &mut ContainerState,
    ) -> Result<(), ActorProcessingErr> {
        state.tell();
        state.drive(&myself).await
    }

    async fn handle(
        &self,
        myself: ActorRef<ContainerMsg>,
        message: ContainerMsg,
        state: &mut ContainerState,
    ) -> Result<(), ActorProcessingErr> {
        let effect = match message {
            ContainerMsg::Want(want, order) => {
                state.machine.want(want);
                state.order = Some(order);
                Effect::None
            }
            ContainerMsg::Tell => {
                state.tell();
                Effect::None
            }
            ContainerMsg::Bounce(why) => {
                if state.machine.bounce() {
                    tracing::info!(container = %state.args.service.spec.name, reason = %why, "container is restarted");
                    state.because = Some(why);
                }
                Effect::None
            }
            ContainerMsg::Hint => {
                state.machine.hint();
                Effect::None
            }
            ContainerMsg::Listed(list) => {
                state.listed(&list).await?;
                Effect::None
            }
            ContainerMsg::Looked(look) => {
                state.calls.1 = false;
                state.machine.looked(look.map(|sight| state.as_made(sight)))
            }
            ContainerMsg::Done(job, result) => {
                state.calls.1 = false;
                if let (Job::Create(Part::Container), Ok(Some(id))) = (job, &result) {
                    state.machine.note_mut().about(id).secrets = state.secrets.clone();
                }
                state.machine.done(job, result)
            }
            ContainerMsg::Slow(call) => {
                if state.calls == (call, true) {
                    state.machine.slow("the engine takes longer than usual".into());
                }
                Effect::None
            }
            ContainerMsg::Unwatched => {
                state.unwatched = true;
                Effect::None
            }
            ContainerMsg::Died(process) => {
                if state.watch.0.contains(&process) {
                    state.watch = (Vec::new(), None);
                }
                state.machine.died(process);
                Effect::None
            }
            ContainerMsg::Probed(process, kind, answer) => {
                state.probed(&myself, (process, kind, answer)).await?;
                Effect::None
            }
            ContainerMsg::Rested => {
                state.machine.rested();
                Effect::None
            }
        };
        match effect {
            Effect::None => {}
            Effect::Probe => state.probe(&myself).await?,
            Effect::Again(delay) => {
                drop(myself.send_after(delay, || ContainerMsg::Rested));
            }
            Effect::Fail(exit) => {
                state.show();
                return Err(exit.into());
            }
        }
        state.drive(&myself).await
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ContainerMsg>,
        event: SupervisionEvent,
        _: &mut ContainerState,
    ) -> Result<(), ActorProcessingErr> {
        worker::ended(event)
    }
}

impl ContainerState {
    /// Starts the next call, if there is one, and shows what changed.
    async fn drive(&mut self, myself: &ActorRef<ContainerMsg>) -> Result<(), ActorProcessingErr> {
        self.watch(myself).await?;
        self.machine.set_fit(
            self.vitals.as_ref().is_none_or(|it| matches!(it.health(), Health::Healthy | Health::None)),
        );
        self.keep_note()?;
        if !self.machine.is_at_chore()
            && let Some(left) = self.chore.take()
        {
            left.kill();
        }
        if let Some(job) = self.machine.next_job() {
            self.calls = (self.calls.0 + 1, true);
            let (number, grace) = (self.calls.0, self.args.service.spec.stop_grace);
            let slow = if matches!(job, Job::Stop(_)) { grace + STOP_MARGIN } else { SLOW };
            // A command in the container takes its time, and that is not the engine's.
            if !matches!(job, Job::Chore(_)) {
                drop(myself.send_after(slow, move || ContainerMsg::Slow(number)));
            }
            self.call(myself, job).await?;
        }
        self.show();
        Ok(())
    }

    /// Watches the processes that matter now.
    async fn watch(&mut self, myself: &ActorRef<ContainerMsg>) -> Result<(), ActorProcessingErr> {
        let processes = self.machine.watched();
        if self.watch.0 == processes {
            return Ok(());
        }
        self.unwatch();
        self.watch.0.clone_from(&processes);
        if processes.is_empty() {
            return Ok(());
        }
        let (engine, me) = (Arc::clone(&self.args.ctx.engine), myself.clone());
        let watcher = worker::run(myself.get_cell(), async move {
            let mut exits = Vec::new();
            for process in processes {
                match engine.exit_of(process).await {
                    Ok(exit) => exits.push(Box::pin(async move {
                        exit.await;
                        process
                    })),
                    Err(EngineError::NotFound { .. }) => {
                        let _ = me.cast(ContainerMsg::Died(process));
                        return;
                    }
                    // Events and lists tell of the death meanwhile.
                    Err(error) => {
                        tracing::warn!(pid = process.pid, %error, "process cannot be watched");
                        let _ = me.cast(ContainerMsg::Unwatched);
                    }
                }
            }
            if !exits.is_empty() {
                let _ = me.cast(ContainerMsg::Died(select_all(exits).await.0));
            }
        });
        self.watch.1 = Some(watcher.await?);
        Ok(())
    }

    fn unwatch(&mut self) {
        self.watch.0.clear();
        if let Some(watcher) = self.watch.1.take() {
            watcher.kill();
        }
    }

    /// Compares a list of all containers with what is known, and removes what poses as this container for a while.
    async fn listed(&mut self, list: &[Summary]) -> Result<(), ActorProcessingErr> {
        let service = Arc::clone(&self.args.service);
        let of = |spec: &ContainerSpec, other: &Summary| {
            [LABEL_APP, LABEL_SERVICE, LABEL_ROLE]
                .into_iter()
                .all(|label| other.labels.get(label) == spec.labels.get(label))
        };
        // A paused one deserves a look.
        let runs = |state| state == EngineState::Running;
        let parts = [(Part::Container, Some(&service.spec)), (Part::Anchor, service.anchor.as_ref())];
        let mut doubles = Vec::new();
        for (part, spec) in parts {
            let Some(spec) = spec else { continue };
            let known = self.machine.id(part).map(str::to_owned);
            let mine =
                |it: &&Summary| known.as_ref().map_or_else(|| it.name == spec.name, |known| it.id == *known);
            let all: Vec<_> = list.iter().filter(|it| of(spec, it)).collect();
            let found = all.iter().copied().find(|it| mine(it));
            let listed =
                found.map(|it| Listed { id: it.id.as_str(), runs: runs(it.state), process: it.process });
            self.machine.listed(part, listed);
            // Which of several is the one is decided by a look, not by a list.
            if let (Some(found), Some(_)) = (found, known) {
                doubles.extend(all.iter().filter(|it| it.id != found.id).map(|it| it.id.clone()));
            }
        }
        if std::mem::take(&mut self.unwatched) {
            self.unwatch();
        }
        let agreed = self.doubles.seen(Instant::now(), doubles);
        if agreed.is_empty() {
            return Ok(());
        }
        let ctx = self.args.ctx.clone();
        worker::run_to_its_end(async move {
            let (name, grace) = (&service.spec.name, service.spec.stop_grace);
            for double in agreed {
                tracing::warn!(container = %double, of = %name, "second container of a service is removed");
                if let Err(error) = ctx.calls.dispose(&ctx.engine, name, &double, grace).await {
                    tracing::warn!(container = %double, %error, "it could not be removed");
                }
            }
        })
        .await?;
        Ok(())
    }

    /// Tells the app when something to show has changed.
    fn show(&mut self) {
        let up = self.machine.up();
        if up.is_none() {
            self.stop_probing();
            self.vitals = None;
        }
        let phase = self.machine.phase();
        let health = if self.machine.is_cut_off() { Health::Unhealthy } else { self.health() };
        let blind = || self.vitals.as_ref()?.blind().map(|why| format!("nobody can ask it: {why}"));
        let status = Status {
            phase,
            health,
            id: self
                .machine
                .id(Part::Container)
                .map(str::to_owned)
                .or_else(|| self.shown.id.clone().filter(|_| phase != ContainerPhase::Absent)),
            started_at: up.and_then(|(_, started_at)| started_at),
            trouble: self
                .machine
                .trouble()
                .map(str::to_owned)
                .or_else(|| self.because.clone())
                .or_else(blind),
            over: self.machine.over(),
            settled: self.machine.settled(),
            order: self.order,
            since: if phase == self.shown.phase { self.shown.since } else { now_ms() },
        };
        if status != self.shown {
            self.shown = status;
            self.tell();
        }
    }

    fn tell(&self) {
        let service = self.args.service.service.clone();
        // An app that is not there asks when it is.
        let message = AppMsg::Container(service, self.me, Box::new(self.shown.clone()));
        self.args.ctx.names.cast(&name::app(&self.args.app), message);
    }
}
