//! The ractor actor round the core: it carries the core's actions out and tells it what happened.
//!
//! No handler awaits anything, so nothing that a child does can hold the supervisor up.

mod actions;
mod events;
mod fallback;
mod grave;
mod query;
mod task;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::core::{Action, CallId, Core, Event, Op, Slot, Time, Token};
use crate::report::{ReportSink, Subscriber, Subscription};
use crate::{
    ChildCounts, ChildInfo, ChildSpec, ExitReason, StartError, Started, SupFlags, SupervisorError,
    SupervisorInfo,
};
use events::Early;
pub(crate) use grave::Grave;
use grave::Lease;
use task::{Ashes, StartResult, Task};

pub(crate) type CallReply = oneshot::Sender<Result<Started, SupervisorError>>;

/// What a supervisor is told.
pub(crate) enum SupMsg {
    Boot,
    Started(StartResult),
    TryAgain(Slot, Token),
    Tick,
    /// A child's actor is gone that may not have been linked.
    Gone(ActorId),
    Call(Op, CallReply),
    TerminateCell(ActorCell, CallReply),
    Which(oneshot::Sender<Vec<ChildInfo>>),
    Count(oneshot::Sender<ChildCounts>),
    Info(oneshot::Sender<SupervisorInfo>),
    Spec(Wanted, oneshot::Sender<Option<ChildSpec>>),
    Subscribe(usize, oneshot::Sender<Subscription>),
    Shutdown(ExitReason),
}

/// The child whose specification somebody wants.
pub(crate) enum Wanted {
    Id(crate::ChildId),
    Cell(ActorId),
}

pub(crate) struct SupActor;

pub(crate) struct SupArgs {
    pub(crate) path: Arc<str>,
    pub(crate) flags: SupFlags,
    pub(crate) simple: bool,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) sink: Option<ReportSink>,
    pub(crate) grave: Option<Arc<Grave>>,
    pub(crate) booted: oneshot::Sender<Result<(), StartError>>,
}

#[derive(Default)]
struct Place {
    cell: Option<ActorCell>,
    /// The last actor's id, under which the child is known also while it is restarted.
    known_as: Option<ActorId>,
    info: Option<crate::StartInfo>,
    task: Option<Task>,
    ashes: Option<Ashes>,
    /// What a child that is a supervisor leaves behind.
    grave: Option<Arc<Grave>>,
}

pub(crate) struct SupState {
    core: Core,
    actions: Vec<Action>,
    places: Vec<Place>,
    actors: HashMap<ActorId, (Slot, Token)>,
    early: HashMap<ActorId, Early>,
    starting: usize,
    calls: HashMap<CallId, CallReply>,
    last_call: CallId,
    path: Arc<str>,
    sink: Option<ReportSink>,
    subscribers: Vec<Subscriber>,
    began: (Instant, SystemTime),
    /// The actor whose end is being handled.
    ended_cell: Option<ActorCell>,
    alarm: Option<(Time, Task)>,
    booted: Option<oneshot::Sender<Result<(), StartError>>>,
    lease: Option<Lease>,
    ended: bool,
}

impl Actor for SupActor {
    type Msg = SupMsg;
    type State = SupState;
    type Arguments = SupArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SupMsg>,
        args: SupArgs,
    ) -> Result<SupState, ActorProcessingErr> {
        let seed = myself.get_id().pid().wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        myself.send_message(SupMsg::Boot)?;
        Ok(SupState {
            core: Core::new(args.flags, args.simple, args.children, seed),
            actions: Vec::new(),
            places: Vec::new(),
            actors: HashMap::new(),
            early: HashMap::new(),
            starting: 0,
            calls: HashMap::new(),
            last_call: 0,
            path: args.path,
            sink: args.sink,
            subscribers: Vec::new(),
            began: (Instant::now(), SystemTime::now()),
            ended_cell: None,
            alarm: None,
            booted: Some(args.booted),
            lease: args.grave.map(Lease::new),
            ended: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SupMsg>,
        message: SupMsg,
        state: &mut SupState,
    ) -> Result<(), ActorProcessingErr> {
        state.on_message(&myself, message);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupMsg>,
        event: SupervisionEvent,
        state: &mut SupState,
    ) -> Result<(), ActorProcessingErr> {
        state.on_supervision(&myself, event);
        Ok(())
    }

    async fn post_stop(
        &self,
        myself: ActorRef<SupMsg>,
        state: &mut SupState,
    ) -> Result<(), ActorProcessingErr> {
        if !state.ended {
            state.shut_down_without_mailbox(&myself).await;
        }
        Ok(())
    }
}

impl SupState {
    fn on_message(&mut self, myself: &ActorRef<SupMsg>, message: SupMsg) {
        match message {
            SupMsg::Boot => {
                self.watch_starter(myself);
                self.step(myself, Event::Boot);
            }
            SupMsg::Started(result) => self.on_started(myself, result),
            SupMsg::TryAgain(slot, token) => self.step(myself, Event::TryAgain { slot, token }),
            SupMsg::Tick => {
                self.alarm = None;
                self.step(myself, Event::Tick);
            }
            SupMsg::Gone(id) => self.on_gone(myself, id),
            SupMsg::Call(op, reply) => self.on_call(myself, op, reply),
            SupMsg::TerminateCell(cell, reply) => self.on_terminate_cell(myself, &cell, reply),
            SupMsg::Shutdown(reason) => self.step(myself, Event::Shutdown { reason }),
            SupMsg::Which(reply) => drop(reply.send(self.which_children())),
            SupMsg::Count(reply) => drop(reply.send(self.count_children())),
            SupMsg::Info(reply) => drop(reply.send(self.info(myself))),
            SupMsg::Spec(wanted, reply) => drop(reply.send(self.childspec(&wanted))),
            SupMsg::Subscribe(capacity, reply) => {
                let (subscriber, subscription) = crate::report::subscription(capacity);
                if reply.send(subscription).is_ok() {
                    self.subscribers.push(subscriber);
                }
            }
        }
    }

    fn now(&self) -> Time {
        self.began.0.elapsed()
    }

    /// Shows a time that no clock can show as one far away.
    fn wall_clock(&self, at: Time) -> SystemTime {
        const FAR: Time = Time::from_secs(1000 * 365 * 24 * 60 * 60);
        let began = self.began.1;
        began.checked_add(at).or_else(|| began.checked_add(FAR)).unwrap_or(began)
    }

    /// Ends a supervisor without a parent when its starter gives up before it has booted: nobody else could.
    fn watch_starter(&mut self, myself: &ActorRef<SupMsg>) {
        if myself.try_get_supervisor().is_some() {
            return;
        }
        let Some(mut starter) = self.booted.take() else { return };
        let (booted, result) = oneshot::channel();
        self.booted = Some(booted);
        let myself = myself.clone();
        // It ends with the boot or with the supervisor, whichever is first.
        task::detach(async move {
            let heard = tokio::select! {
                () = starter.closed() => false,
                result = result => match result {
                    Ok(result) => starter.send(result).is_ok(),
                    Err(_) => true,
                },
            };
            if !heard {
                // The supervisor may have ended meanwhile.
                let _ = myself.send_message(SupMsg::Shutdown(ExitReason::Normal));
            }
        });
    }

    fn place(&mut self, slot: Slot) -> &mut Place {
        let index = slot as usize;
        if index >= self.places.len() {
            self.places.resize_with(index + 1, Place::default);
        }
        &mut self.places[index]
    }

    /// Lets the core take an event in and does what it says.
    fn step(&mut self, myself: &ActorRef<SupMsg>, event: Event) {
        let now = self.now();
        let mut actions = std::mem::take(&mut self.actions);
        self.core.step(now, event, &mut actions);
        for action in actions.drain(..) {
            self.carry_out(myself, now, action);
        }
        self.actions = actions;
        self.set_alarm(myself);
    }

    fn on_call(&mut self, myself: &ActorRef<SupMsg>, op: Op, reply: CallReply) {
        self.last_call += 1;
        let call = self.last_call;
        self.calls.insert(call, reply);
        self.step(myself, Event::Call { call, op });
    }

    /// Wakes the core at its next deadline.
    fn set_alarm(&mut self, myself: &ActorRef<SupMsg>) {
        let Some(at) = self.core.next_deadline() else { return };
        if self.alarm.as_ref().is_some_and(|(set, _)| *set <= at) {
            return;
        }
        let myself = myself.clone();
        let instant = self.began.0.checked_add(at);
        let task = Task::spawn(async move {
            match instant {
                Some(instant) => tokio::time::sleep_until(instant).await,
                None => std::future::pending().await,
            }
            // The supervisor may have ended meanwhile.
            let _ = myself.send_message(SupMsg::Tick);
        });
        self.alarm = Some((at, task));
    }
}
