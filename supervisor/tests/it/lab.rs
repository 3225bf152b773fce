//! Children that do as they are told and write down what happens to them.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use supervisor::{
    ChildId, ChildInfo, ChildSpec, ChildState, DynamicSpec, DynamicSupervisor, ExitReason, Report,
    ReportEvent, ReportSink, StartCause, StartCtx, StartError, Started, SupFlags, Supervisor, SupervisorRef,
};
use tokio::sync::{Notify, watch};

/// Where a child blocks its thread.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    reached: watch::Sender<bool>,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// Blocks the thread until somebody opens.
    pub(crate) fn block(&self) {
        self.reached.send_replace(true);
        // A test that has failed opens no gate, and its runtime waits for this thread.
        let open = self.opened.wait_timeout_while(self.open.lock().unwrap(), secs(30), |open| !*open);
        drop(open.unwrap());
    }

    /// Waits until a child blocks here.
    pub(crate) async fn reached(&self) {
        let mut reached = self.reached.subscribe();
        tokio::time::timeout(secs(60), reached.wait_for(|reached| *reached)).await.unwrap().unwrap();
    }

    pub(crate) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// What a child can be told to do.
#[derive(Clone, Debug)]
pub(crate) enum Cmd {
    /// Stop by itself without a reason.
    Stop,
    /// Stop by itself with this text.
    StopWith(String),
    /// Return this error from the handler.
    Fail(&'static str),
    /// Panic in the handler.
    Panic,
    /// Take itself off its supervisor.
    Unlink,
    /// Stay in the handler without blocking the thread.
    Hang,
    /// Block the thread until the gate opens.
    Block(Arc<Gate>),
}

/// How a child behaves apart from commands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// How long its `post_stop` takes.
    pub(crate) slow_stop: Option<Duration>,
    /// `post_stop` panics.
    pub(crate) panic_in_post_stop: bool,
    /// The drop of its state panics.
    pub(crate) panic_in_drop: bool,
    /// `post_stop` unlinks the child.
    pub(crate) unlink_in_post_stop: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("told to fail: {0}")]
pub(crate) struct Told(pub(crate) &'static str);

/// What happened to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Start,
    PostStop,
    Drop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) what: What,
    pub(crate) id: String,
    pub(crate) generation: u64,
}

/// The record of an experiment.
#[derive(Clone, Default)]
pub(crate) struct Lab {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    log: Mutex<Vec<Entry>>,
    causes: Mutex<Vec<(String, StartCause)>>,
    reports: Mutex<Vec<Report>>,
    changed: Notify,
}

struct Probe {
    lab: Lab,
    ctx: StartCtx,
    manner: Manner,
}

pub(crate) struct Life {
    lab: Lab,
    id: ChildId,
    generation: u64,
    panic_in_drop: bool,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.lab.note(What::Drop, &self.id, self.generation);
        assert!(!self.panic_in_drop, "told to panic in drop");
    }
}

impl Actor for Probe {
    type Msg = Cmd;
    type State = Life;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Cmd>, (): ()) -> Result<Life, ActorProcessingErr> {
        self.lab.note(What::Start, &self.ctx.id, self.ctx.generation);
        Ok(Life {
            lab: self.lab.clone(),
            id: self.ctx.id.clone(),
            generation: self.ctx.generation,
            panic_in_drop: self.manner.panic_in_drop,
        })
    }

    async fn handle(&self, myself: ActorRef<Cmd>, cmd: Cmd, _: &mut Life) -> Result<(), ActorProcessingErr> {
        match cmd {
            Cmd::Stop => myself.stop(None),
            Cmd::StopWith(text) => myself.stop(Some(text)),
            Cmd::Fail(text) => return Err(Box::new(Told(text))),
            Cmd::Panic => panic!("told to panic"),
            Cmd::Unlink => myself.unlink(self.ctx.supervisor.clone()),
            Cmd::Hang => std::future::pending().await,
            Cmd::Block(gate) => gate.block(),
        }
        Ok(())
    }

    async fn post_stop(&self, myself: ActorRef<Cmd>, _: &mut Life) -> Result<(), ActorProcessingErr> {
        if self.manner.unlink_in_post_stop {
            myself.unlink(self.ctx.supervisor.clone());
        }
        assert!(!self.manner.panic_in_post_stop, "told to panic in post_stop");
        if let Some(time) = self.manner.slow_stop {
            takes(time).await;
        }
        self.lab.note(What::PostStop, &self.ctx.id, self.ctx.generation);
        Ok(())
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn note(&self, what: What, id: &ChildId, generation: u64) {
        self.inner.log.lock().unwrap().push(Entry { what, id: id.to_string(), generation });
        self.inner.changed.notify_waiters();
    }

    /// Specifies a child that obeys.
    pub(crate) fn child(&self, id: &str) -> ChildSpec {
        self.child_with(id, Manner::default())
    }

    pub(crate) fn child_with(&self, id: &str, manner: Manner) -> ChildSpec {
        let lab = self.clone();
        ChildSpec::worker(id, move |ctx| {
            let (lab, manner) = (lab.clone(), manner.clone());
            async move { lab.spawn(ctx, manner).await }
        })
    }

    /// Specifies a child whose start asks `gate` first.
    pub(crate) fn child_if<F>(&self, id: &str, gate: F) -> ChildSpec
    where
        F: Fn(&StartCtx) -> Result<(), StartError> + Send + Sync + 'static,
    {
        let (lab, gate) = (self.clone(), Arc::new(gate));
        ChildSpec::worker(id, move |ctx| {
            let (lab, gate) = (lab.clone(), gate.clone());
            async move {
                gate(&ctx)?;
                lab.spawn(ctx, Manner::default()).await
            }
        })
    }

    pub(crate) async fn spawn(&self, ctx: StartCtx, manner: Manner) -> Result<Started, StartError> {
        self.inner.causes.lock().unwrap().push((ctx.id.to_string(), ctx.cause.clone()));
        ctx.spawn(Probe { lab: self.clone(), ctx: ctx.clone(), manner }, ()).await
    }

    /// Specifies dynamic children that obey.
    pub(crate) fn dynamic(&self) -> DynamicSpec<Manner> {
        let lab = self.clone();
        DynamicSpec::new(move |ctx, manner| {
            let lab = lab.clone();
            async move { lab.spawn(ctx, manner).await }
        })
    }

    pub(crate) async fn dynamic_supervisor(
        &self,
        flags: SupFlags,
        spec: DynamicSpec<Manner>,
    ) -> DynamicSupervisor<Manner> {
        DynamicSupervisor::start_link("root", flags, spec, None, Some(self.sink())).await.unwrap()
    }

    pub(crate) fn sink(&self) -> ReportSink {
        let lab = self.clone();
        Arc::new(move |report: &Report| {
            lab.inner.reports.lock().unwrap().push(report.clone());
            lab.inner.changed.notify_waiters();
        })
    }

    pub(crate) async fn supervisor(&self, flags: SupFlags, children: Vec<ChildSpec>) -> SupervisorRef {
        Supervisor::start_link("root", flags, children, None, Some(self.sink())).await.unwrap()
    }

    pub(crate) fn log(&self) -> Vec<Entry> {
        self.inner.log.lock().unwrap().clone()
    }

    /// Takes the first entry from `from` on that is `unwanted` out of the log.
    pub(crate) fn remove_first(&self, from: usize, unwanted: impl Fn(&Entry) -> bool) {
        let mut log = self.inner.log.lock().unwrap();
        if let Some(at) = log.iter().skip(from).position(unwanted) {
            log.remove(from + at);
        }
    }

    /// The log as short words: `+a1` started, `-a1` stopped in order, `xa1` state dropped.
    pub(crate) fn words(&self) -> Vec<String> {
        self.log().iter().filter(|entry| entry.what != What::Drop).map(word).collect()
    }

    pub(crate) fn forget(&self) {
        self.inner.log.lock().unwrap().clear();
        self.inner.reports.lock().unwrap().clear();
        self.inner.causes.lock().unwrap().clear();
    }

    pub(crate) fn causes(&self) -> Vec<(String, StartCause)> {
        self.inner.causes.lock().unwrap().clone()
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        self.inner.reports.lock().unwrap().clone()
    }

    /// Counts the reports that `wanted` accepts.
    pub(crate) fn count(&self, wanted: impl Fn(&ReportEvent) -> bool) -> usize {
        self.reports().iter().filter(|report| wanted(&report.event)).count()
    }

    /// Waits until the record fulfils a condition, at most five virtual minutes.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.inner.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if condition(self) {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(300), wait).await.is_err() {
            panic!("never: {what}; log {:?}, reports {:?}", self.words(), self.reports());
        }
    }

    pub(crate) async fn until_word(&self, word: &str) {
        self.until(word, |lab| lab.words().iter().any(|it| it == word)).await;
    }

    pub(crate) async fn until_report(&self, what: &str, wanted: impl Fn(&ReportEvent) -> bool) {
        self.until(what, |lab| lab.count(&wanted) > 0).await;
    }
}

fn word(entry: &Entry) -> String {
    let sign = match entry.what {
        What::Start => '+',
        What::PostStop => '-',
        What::Drop => 'x',
    };
    format!("{sign}{}{}", entry.id, entry.generation)
}

pub(crate) async fn child(supervisor: &SupervisorRef, id: &str) -> ChildInfo {
    find(supervisor, id).await.unwrap_or_else(|| panic!("no child {id}"))
}

pub(crate) async fn find(supervisor: &SupervisorRef, id: &str) -> Option<ChildInfo> {
    supervisor.which_children().await.unwrap().into_iter().find(|child| child.id == id)
}

pub(crate) async fn cell(supervisor: &SupervisorRef, id: &str) -> ActorCell {
    child(supervisor, id).await.cell.unwrap_or_else(|| panic!("{id} does not run"))
}

pub(crate) async fn tell(supervisor: &SupervisorRef, id: &str, cmd: Cmd) {
    cell(supervisor, id).await.send_message(cmd).unwrap();
}

pub(crate) async fn state(supervisor: &SupervisorRef, id: &str) -> ChildState {
    child(supervisor, id).await.state
}

pub(crate) async fn ids(supervisor: &SupervisorRef) -> Vec<String> {
    supervisor.which_children().await.unwrap().iter().map(|child| child.id.to_string()).collect()
}

pub(crate) async fn stop(supervisor: &SupervisorRef) {
    supervisor.stop(ExitReason::Shutdown(None)).await;
}

/// The ways in which a child ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Kill,
    Abnormal,
    Normal,
    Shutdown,
    ShutdownTerm,
}

impl Way {
    pub(crate) const ALL: [Self; 5] =
        [Self::Kill, Self::Abnormal, Self::Normal, Self::Shutdown, Self::ShutdownTerm];

    pub(crate) fn is_abnormal(self) -> bool {
        matches!(self, Self::Kill | Self::Abnormal)
    }

    pub(crate) fn is_reason(self, reason: &ExitReason) -> bool {
        match self {
            Self::Kill => matches!(reason, ExitReason::Killed),
            Self::Abnormal => reason.downcast_ref::<Told>().is_some(),
            Self::Normal => matches!(reason, ExitReason::Normal),
            Self::Shutdown => matches!(reason, ExitReason::Shutdown(None)),
            Self::ShutdownTerm => matches!(reason, ExitReason::Shutdown(Some(term)) if &**term == "term"),
        }
    }

    /// Ends a child that way.
    pub(crate) fn end(self, cell: &ActorCell) {
        match self {
            Self::Kill => cell.kill(),
            Self::Abnormal => cell.send_message(Cmd::Fail("abnormal")).unwrap(),
            Self::Normal => cell.send_message(Cmd::Stop).unwrap(),
            Self::Shutdown => cell.send_message(Cmd::StopWith("shutdown".into())).unwrap(),
            Self::ShutdownTerm => cell.send_message(Cmd::StopWith("shutdown: term".into())).unwrap(),
        }
    }
}

impl Lab {
    /// Ends a child by itself and waits until the supervisor has noticed.
    pub(crate) async fn end(&self, cell: &ActorCell, way: Way) {
        let before = self.ends();
        way.end(cell);
        self.until("the end is noticed", |lab| lab.ends() > before).await;
    }

    /// How many ends of children have been noticed.
    pub(crate) fn ends(&self) -> usize {
        self.count(|event| matches!(event, ReportEvent::ChildTerminated { .. }))
    }

    /// Waits until a child runs in its `generation`.
    pub(crate) async fn until_started(&self, id: &str, generation: u64) {
        self.until("started", |lab| {
            lab.reports().iter().any(|report| {
                matches!(report.event, ReportEvent::ChildStarted { .. })
                    && report
                        .offender
                        .as_ref()
                        .is_some_and(|child| child.id == id && child.generation == generation)
            })
        })
        .await;
    }
}

/// Work that takes so long; whoever uses it runs under a paused clock.
pub(crate) async fn takes(time: Duration) {
    tokio::time::sleep(time).await;
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Flags with room for the restarts of a test.
pub(crate) fn roomy(strategy: supervisor::Strategy) -> SupFlags {
    SupFlags::new(strategy).intensity(100, secs(10))
}
