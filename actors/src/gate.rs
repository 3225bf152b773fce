//! A gate: asks an app how far it is, for all who wait for it.
//!
//! Parent: `gates`, permanent; one per gate that an app on the node exports. Children: workers that ask.
//! The decisions are [`machine`]'s, what an answer says is [`answer`]'s.
//!
//! Invariants: one question at a time; the gate touches no container. It knows nothing that cannot be found again: its
//! app introduces itself, those who wait say so whenever they hear from it, and until the first answer of a new
//! incarnation everybody keeps what the old one told.

mod answer;
mod family;
mod machine;
mod pace;
mod probe;

pub(crate) use family::{GATES, end_gates, exchange_gates, named_supervisor, start_gates};
pub(crate) use machine::Stand;

use crate::{
    app::{AppMsg, Asker, Neighbour},
    clock::now_ms,
    ctx::Ctx,
    names::name,
    stack::Plan,
    worker,
};
use answer::Outcome;
use apps::{RenderedService, manifest::Gate};
use machine::{Event, Machine};
use probe::Prober;
use protocol::{AppId, ContainerPhase, Desired, GateState, GateView, Row, StreamId};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// First pause between questions to an app that has just come up; it doubles until the gate's own interval.
const EAGER: Duration = Duration::from_millis(500);

/// What a gate tells those who wait.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct News {
    /// The app that opens it.
    pub(crate) app: AppId,
    /// Its name in that app's manifest.
    pub(crate) gate: String,
    /// How it stands.
    pub(crate) stand: Stand,
    /// How it is shown.
    pub(crate) state: GateState,
    /// Progress from 0 to 1.
    pub(crate) progress: Option<f64>,
    /// The last thing that is known, in words.
    pub(crate) detail: Option<String>,
    /// Whether who waits may be started anyway.
    pub(crate) may_skip: bool,
    /// Who waits, as far as the gate knows.
    pub(crate) waiters: BTreeSet<AppId>,
}

/// Messages of a gate.
pub(crate) enum GateMsg {
    /// Cast: its app is like this now.
    Neighbour(Arc<Neighbour>),
    /// Cast: this app wants to know.
    Tell(AppId),
    /// Cast: this app waits, or does not.
    Waiting(AppId, bool),
    /// Cast: publish your row.
    Publish,
    /// Call: why it can never open, and the way out.
    Impossible(RpcReplyPort<Option<(String, String)>>),
    /// Cast, own: time to look, by the timer of this number.
    Due(u64),
    /// Cast, own: the question of this number ended.
    Looked(u64, Outcome),
}

/// Arguments of a gate.
#[derive(Clone)]
pub(crate) struct GateArgs {
    ctx: Ctx,
    plan: Arc<Plan>,
    name: String,
    gate: Arc<Gate>,
    service: Arc<RenderedService>,
}

/// State of a gate.
pub(crate) struct GateActorState {
    args: GateArgs,
    prober: Prober,
    machine: Machine,
    neighbour: Option<Arc<Neighbour>>,
    waiters: BTreeSet<AppId>,
    /// Numbers of the timer and of the question that count.
    timer: u64,
    question: u64,
    /// Questions in vain since the app has come up; `None` after an answer.
    eager: Option<u32>,
    /// Whether anything has happened in this incarnation.
    knows: bool,
    since: u64,
    last_ok: Option<u64>,
    told: Option<Arc<News>>,
}

/// The actor.
pub(crate) struct GateActor;

impl Actor for GateActor {
    type Msg = GateMsg;
    type State = GateActorState;
    type Arguments = GateArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<GateMsg>,
        args: GateArgs,
    ) -> Result<GateActorState, ActorProcessingErr> {
        let ctx = &args.ctx;
        ctx.names.register(name::gate(&args.plan.id, &args.name), myself.get_cell());
        let row = ctx.board.row(StreamId::Gates, &args.id());
        let before: Option<GateView> = row.and_then(|json| serde_json::from_str(&json).ok());
        Ok(GateActorState {
            prober: Prober::new(ctx, &args.plan.id, Arc::clone(&args.gate), Arc::clone(&args.service)),
            machine: Machine::new(&args.gate, before.as_ref().map(|row| row.state)),
            neighbour: None,
            // Each corrects it when it hears of this incarnation.
            waiters: before
                .iter()
                .flat_map(|row| row.waiters.clone())
                .filter(|app| ctx.names.cell(&name::app(app)).is_some())
                .collect(),
            timer: 0,
            question: 0,
            eager: Some(0),
            knows: false,
            since: before.as_ref().map_or_else(now_ms, |row| row.since),
            last_ok: before.as_ref().and_then(|row| row.last_ok),
            told: None,
            args,
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<GateMsg>,
        state: &mut GateActorState,
    ) -> Result<(), ActorProcessingErr> {
        let args = &state.args;
        if args.ctx.board.row(StreamId::Gates, &args.id()).is_none() {
            args.ctx.publish(Row::Gate(Box::new(state.view())));
        }
        state.look(&myself).await
    }

    async fn handle(
        &self,
        myself: ActorRef<GateMsg>,
        message: GateMsg,
        state: &mut GateActorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            GateMsg::Neighbour(neighbour) => {
                let before = state.whom();
                state.neighbour = Some(neighbour);
                if before != state.whom() {
                    state.eager = Some(0);
                    state.look(&myself).await?;
                }
            }
            GateMsg::Tell(app) => {
                if state.knows {
                    state.args.ctx.names.cast(&name::app(&app), AppMsg::Gate(Arc::new(state.news())));
                }
            }
            GateMsg::Waiting(app, waits) => {
                let changed = if waits { state.waiters.insert(app) } else { state.waiters.remove(&app) };
                if changed {
                    state.show();
                }
            }
            GateMsg::Publish => state.args.ctx.publish(Row::Gate(Box::new(state.view()))),
            GateMsg::Impossible(reply) => {
                // The caller may have given up.
                let _ = reply.send(state.machine.impossible().cloned());
            }
            GateMsg::Due(timer) => {
                if timer == state.timer {
                    state.look(&myself).await?;
                }
            }
            GateMsg::Looked(question, outcome) => {
                if question == state.question {
                    state.looked(&myself, outcome);
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<GateMsg>,
        event: SupervisionEvent,
        _: &mut GateActorState,
    ) -> Result<(), ActorProcessingErr> {
        worker::ended(event)
    }
}

/// Whom there is to ask.
#[derive(Debug, Clone, PartialEq)]
enum Whom {
    /// Its app has not said a word yet.
    Unknown,
    /// The app should not run; why.
    Stopped(String),
    /// There is nobody to ask; why.
    Away(String),
    /// The container of this id.
    Container(String),
}

impl GateArgs {
    fn id(&self) -> String {
        format!("{}/{}", self.plan.id, self.name)
    }
}

impl GateActorState {
    fn whom(&self) -> Whom {
        let Some(app) = &self.neighbour else { return Whom::Unknown };
        let name = &app.name;
        match app.desired {
            Desired::Running => {}
            Desired::Stopped => return Whom::Stopped(format!("{name} is stopped")),
            Desired::Absent => return Whom::Stopped(format!("{name} is being uninstalled")),
        }
        match app.containers.get(&self.args.service.service) {
            Some((Some(id), ContainerPhase::Running)) => Whom::Container(id.clone()),
            _ => Whom::Away(format!("{name} does not run yet")),
        }
    }

    /// Asks, where there is somebody to ask.
    async fn look(&mut self, myself: &ActorRef<GateMsg>) -> Result<(), ActorProcessingErr> {
        // What is still on its way is about another run of the app.
        self.question += 1;
        let event = match self.whom() {
            Whom::Unknown => {
                let asker = Asker::Gate(self.args.plan.id.clone(), self.args.name.clone());
                self.args.ctx.names.cast(&name::app(&self.args.plan.id), AppMsg::Introduce(asker));
                self.wait(myself, self.args.gate.interval.0);
                return Ok(());
            }
            Whom::Container(id) => {
                let (prober, me, question) = (self.prober.clone(), myself.clone(), self.question);
                worker::run(myself.get_cell(), async move {
                    let outcome = prober.ask(&id).await;
                    let _ = me.cast(GateMsg::Looked(question, outcome));
                })
                .await?;
                return Ok(());
            }
            Whom::Stopped(words) => Event::Stopped(words),
            Whom::Away(words) => Event::Away(words),
        };
        self.step(event);
        self.wait(myself, self.args.gate.interval.0);
        Ok(())
    }

    fn looked(&mut self, myself: &ActorRef<GateMsg>, outcome: Outcome) {
        match outcome {
            Outcome::Answer(_) => self.eager = None,
            Outcome::Warming(_) | Outcome::Silent(_) | Outcome::Blind(_) => {
                self.eager = self.eager.map(|vain| vain.saturating_add(1));
            }
        }
        if matches!(outcome, Outcome::Answer(_) | Outcome::Warming(_)) {
            self.last_ok = Some(now_ms());
        }
        let interval = self.args.gate.interval.0;
        let pause = self.eager.map_or(interval, |vain| interval.min(EAGER * (1 << vain.min(12))));
        self.step(Event::Looked(outcome));
        self.wait(myself, pause);
    }

    /// Looks again after a while.
    fn wait(&mut self, myself: &ActorRef<GateMsg>, pause: Duration) {
        self.timer += 1;
        let timer = self.timer;
        drop(myself.send_after(pause, move || GateMsg::Due(timer)));
    }

    fn step(&mut self, event: Event) {
        let before = self.machine.state();
        self.machine.step(event, Instant::now());
        let after = self.machine.state();
        if self.knows && before != after {
            self.since = now_ms();
            tracing::info!(gate = %self.args.id(), from = ?before, to = ?after, "gate changed");
        }
        if !self.knows {
            let shown = self.args.ctx.board.row(StreamId::Gates, &self.args.id());
            let shown: Option<GateView> = shown.and_then(|json| serde_json::from_str(&json).ok());
            if shown.is_none_or(|shown| shown.state != after) {
                self.since = now_ms();
            }
        }
        self.knows = true;
        self.show();
    }

    /// Publishes the row, and tells everybody who may wait what is new.
    fn show(&mut self) {
        let ctx = self.args.ctx.clone();
        if !self.knows {
            return;
        }
        ctx.publish(Row::Gate(Box::new(self.view())));
        let news = Arc::new(self.news());
        if self.told.as_ref() != Some(&news) {
            for app in ctx.names.below::<AppMsg>(name::NEEDY) {
                let _ = app.cast(AppMsg::Gate(Arc::clone(&news)));
            }
            self.told = Some(news);
        }
    }

    fn news(&self) -> News {
        News {
            app: self.args.plan.id.clone(),
            gate: self.args.name.clone(),
            stand: self.machine.stand(),
            state: self.machine.state(),
            progress: self.machine.progress(),
            detail: self.machine.detail(),
            may_skip: self.args.gate.skippable,
            waiters: self.waiters.clone(),
        }
    }

    fn view(&self) -> GateView {
        let (machine, gate) = (&self.machine, &self.args.gate);
        let (current, target) = machine.counts();
        let eta = machine.eta();
        GateView {
            id: self.args.id(),
            app: self.args.plan.id.clone(),
            title: gate.title.clone().unwrap_or_else(|| self.args.id()),
            kind: gate.kind().into(),
            state: machine.state(),
            progress: machine.progress(),
            current,
            target,
            unit: gate.count.as_ref().map(|count| count.unit.clone()),
            rate: machine.rate(),
            eta_s: eta.map(|(least, _)| least),
            eta_max_s: eta.map(|(_, most)| most),
            detail: machine.detail(),
            waiters: self.waiters.iter().cloned().collect(),
            may_skip: gate.skippable,
            since: self.since,
            observed_at: now_ms(),
            last_ok: self.last_ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use apps::{Manifest, manifest::Gate};

    /// A gate of an app with the secret `pw` and the ports `rpc` and `web`.
    pub(super) fn gate(text: &str) -> Gate {
        manifest(text, 2081).gates.remove("g").unwrap()
    }

    pub(super) fn manifest(gate: &str, port: u16) -> Manifest {
        let text = format!(
            "manifest_version: 1\nid: chain\nname: Chain\nversion: '1'\ngates: {{g: {gate}}}\n\
             secrets: {{pw: {{generate: {{bytes: 24}}}}}}\nservices:\n  main:\n    image: localhost/chain:1\n    \
             ports: [{{name: rpc, target: 1, published: {port}, host_ip: 127.0.0.1}}, \
             {{name: web, target: 2, published: 2082, host_ip: 127.0.0.1}}]\n"
        );
        Manifest::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
    }
}
