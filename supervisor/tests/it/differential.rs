//! The same random scripts under real Erlang's supervisor and under ours.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::{Arc, Mutex};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorStatus, SupervisionEvent};
use supervisor::{
    ChildSpec, ChildState, DynamicSpec, DynamicSupervisor, Restart, Shutdown, StartCtx, StartError, Started,
    Strategy, SupFlags, Supervisor, SupervisorError, SupervisorRef,
};

use crate::lab::{Lab, Manner, Told, Way, What, secs, stop};

/// Scripts per run, about as many for each strategy.
const SCRIPTS: u64 = 2400;
const OPS: u64 = 14;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Static(Strategy),
    Simple,
}

/// What a script says of a child: its restart type, and whether it is stopped by `brutal_kill`.
#[derive(Clone, Copy, Debug)]
struct Kept {
    restart: Restart,
    brutal: bool,
}

impl Kept {
    fn random(chance: &mut Chance) -> Self {
        let restart = chance.pick(&[Restart::Permanent, Restart::Transient, Restart::Temporary]);
        Self { restart, brutal: chance.below(3) == 0 }
    }

    fn apply(self, spec: ChildSpec) -> ChildSpec {
        let spec = spec.restart(self.restart);
        if self.brutal { spec.shutdown(Shutdown::BrutalKill) } else { spec }
    }

    fn to_erlang(self) -> String {
        let restart = match self.restart {
            Restart::Permanent => "permanent",
            Restart::Transient => "transient",
            Restart::Temporary => "temporary",
        };
        format!("{restart},{}", if self.brutal { "brutal_kill" } else { "5000" })
    }
}

#[derive(Clone, Debug)]
enum Op {
    Start(String, Kept),
    Terminate(String),
    Delete(String),
    Restart(String),
    Fail(String, u32),
    Exit(String, Way),
}

#[derive(Debug)]
struct Script {
    number: u64,
    kind: Kind,
    intensity: u32,
    children: Vec<(String, Kept)>,
    ops: Vec<Op>,
}

/// xorshift64*, so that a number names a script for ever.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }
}

fn script(seed: u64, number: u64) -> Script {
    let mut chance = Chance((seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1);
    let kind = match chance.below(4) {
        0 => Kind::Static(Strategy::OneForOne),
        1 => Kind::Static(Strategy::OneForAll),
        2 => Kind::Static(Strategy::RestForOne),
        _ => Kind::Simple,
    };
    let intensity = chance.pick(&[0, 1, 2, 3, 5, 8]);
    let names: Vec<String> = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
    let template = Kept::random(&mut chance);
    let children = match kind {
        Kind::Simple => vec![("template".to_owned(), template)],
        Kind::Static(_) => {
            let count = chance.below(5) as usize;
            names[..count].iter().map(|id| (id.clone(), Kept::random(&mut chance))).collect()
        }
    };
    let mut started = 0;
    let ops = (0..OPS)
        .map(|_| {
            let id = match kind {
                Kind::Static(_) => chance.pick(&names),
                Kind::Simple => format!("n{}", 1 + chance.below(started + 1)),
            };
            match (kind, chance.below(12)) {
                (Kind::Simple, 0..=3) => {
                    started += 1;
                    Op::Start(format!("n{started}"), template)
                }
                (_, 0) => Op::Start(id, Kept::random(&mut chance)),
                (_, 1) => Op::Terminate(id),
                (Kind::Static(_), 2) => Op::Delete(id),
                (Kind::Static(_), 3) => Op::Restart(id),
                (_, 4 | 5) => Op::Fail(id, chance.below(4) as u32),
                _ => Op::Exit(id, chance.pick(&Way::ALL)),
            }
        })
        .collect();
    Script { number, kind, intensity, children, ops }
}

impl Script {
    fn to_erlang(&self) -> String {
        let strategy = match self.kind {
            Kind::Static(Strategy::OneForOne) => "one_for_one",
            Kind::Static(Strategy::OneForAll) => "one_for_all",
            Kind::Static(Strategy::RestForOne) => "rest_for_one",
            Kind::Simple => "simple_one_for_one",
        };
        let children: Vec<_> =
            self.children.iter().map(|(id, kept)| format!("{{{id},{}}}", kept.to_erlang())).collect();
        let ops: Vec<_> = self
            .ops
            .iter()
            .map(|op| match op {
                Op::Start(id, kept) => format!("{{start,{id},{}}}", kept.to_erlang()),
                Op::Terminate(id) => format!("{{terminate,{id}}}"),
                Op::Delete(id) => format!("{{delete,{id}}}"),
                Op::Restart(id) => format!("{{restart,{id}}}"),
                Op::Fail(id, times) => format!("{{fail,{id},{times}}}"),
                Op::Exit(id, way) => {
                    let how = match way {
                        Way::Kill => "kill",
                        Way::Abnormal => "abnormal",
                        Way::Normal => "normal",
                        Way::Shutdown => "shutdown",
                        Way::ShutdownTerm => "shutdown_term",
                    };
                    format!("{{exit,{id},{how}}}")
                }
            })
            .collect();
        format!(
            "{{script,{},{strategy},{},[{}],[{}]}}.",
            self.number,
            self.intensity,
            children.join(","),
            ops.join(",")
        )
    }
}

type Failures = Arc<Mutex<HashMap<String, u32>>>;

/// Our side of a script.
struct Ours {
    lab: Lab,
    failures: Failures,
    seen: usize,
    simple: bool,
    cells: Arc<Mutex<HashMap<String, ActorCell>>>,
}

impl Ours {
    fn new(simple: bool) -> Self {
        Self { lab: Lab::new(), failures: Failures::default(), seen: 0, simple, cells: Arc::default() }
    }

    fn starter(
        &self,
    ) -> impl Fn(StartCtx, String) -> futures_util::future::BoxFuture<'static, Result<Started, StartError>>
    + Clone
    + use<> {
        let (lab, failures, cells) = (self.lab.clone(), self.failures.clone(), self.cells.clone());
        move |mut ctx, name| {
            let (lab, failures, cells) = (lab.clone(), failures.clone(), cells.clone());
            Box::pin(async move {
                if let Some(left) = failures.lock().unwrap().get_mut(&name)
                    && *left > 0
                {
                    *left -= 1;
                    return Err(StartError::failed(Told("refused")));
                }
                ctx.id = name.as_str().into();
                let started = lab.spawn(ctx, Manner::default()).await?;
                cells.lock().unwrap().insert(name, started.cell().unwrap().clone());
                Ok(started)
            })
        }
    }

    fn spec(&self, id: &str, kept: Kept) -> ChildSpec {
        let (start, name) = (self.starter(), id.to_owned());
        kept.apply(ChildSpec::worker(id, move |ctx| start(ctx, name.clone())))
    }

    fn live(&self, id: &str) -> Option<ActorCell> {
        let cell = self.cells.lock().unwrap().get(id).cloned();
        cell.filter(|cell| cell.get_status() < ActorStatus::Stopping)
    }

    fn trace(&mut self) -> String {
        let log = self.lab.log();
        let mut words: Vec<_> = log[self.seen..]
            .iter()
            .filter_map(|entry| match entry.what {
                What::Start => Some(format!("+{}", entry.id)),
                What::PostStop => Some(format!("-{}", entry.id)),
                What::Drop => None,
            })
            .collect();
        self.seen = log.len();
        if self.simple {
            words.sort();
        }
        words.join(" ")
    }

    async fn settle(&self, sup: &SupervisorRef) {
        loop {
            let Ok(children) = sup.which_children().await else { return sup.wait().await };
            let busy = children.iter().any(|child| {
                !matches!(child.state, ChildState::Running | ChildState::Undefined)
                    || child.cell.as_ref().is_some_and(|cell| cell.get_status() >= ActorStatus::Stopping)
            });
            if !busy {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn print(&mut self, sup: &SupervisorRef, reply: &str, out: &mut String) {
        let shown = match sup.which_children().await {
            Err(_) => "gone".to_owned(),
            Ok(children) => {
                let cells = self.cells.lock().unwrap().clone();
                let name =
                    |cell: &ActorCell| cells.iter().find(|(_, it)| *it == cell).map(|(name, _)| name.clone());
                let mut words: Vec<_> = children
                    .iter()
                    .map(|child| match &child.cell {
                        Some(cell) if self.simple => name(cell).unwrap_or("?".into()),
                        Some(cell) if name(cell).as_deref() == Some(child.id.as_str()) => {
                            format!("{}+", child.id)
                        }
                        Some(_) => format!("{}?", child.id),
                        None => format!("{}-", child.id),
                    })
                    .collect();
                if self.simple {
                    words.sort();
                }
                words.join(" ")
            }
        };
        let counts = match sup.count_children().await {
            Err(_) => "gone".to_owned(),
            Ok(it) => format!("{}/{}/{}/{}", it.specs, it.active, it.supervisors, it.workers),
        };
        writeln!(out, "{reply} [{shown}] {counts} {}", self.trace()).unwrap();
    }
}

fn reply<T>(result: Result<T, SupervisorError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(SupervisorError::AlreadyStarted(_)) => "already_started",
        Err(SupervisorError::AlreadyPresent) => "already_present",
        Err(SupervisorError::Running) => "running",
        Err(SupervisorError::Restarting) => "restarting",
        Err(SupervisorError::NotFound) => "not_found",
        Err(SupervisorError::StartFailed(_)) => "start_failed",
        Err(SupervisorError::SimpleOneForOne) => "simple_one_for_one",
        Err(SupervisorError::NoProc) => "noproc",
        Err(other) => panic!("{other:?}"),
    }
}

async fn run_ours(script: &Script, out: &mut String) {
    writeln!(out, "script {}", script.number).unwrap();
    let simple = script.kind == Kind::Simple;
    let mut ours = Ours::new(simple);
    let flags = SupFlags::default().intensity(script.intensity, secs(3600));
    let mut dynamic = None;
    let end = Arc::new(Mutex::new(None));
    let (parent, _) = Actor::spawn(None, Parent, end.clone()).await.unwrap();
    let sup = match script.kind {
        Kind::Simple => {
            let kept = script.children[0].1;
            let spec = DynamicSpec::<String>::new(ours.starter()).configure(|spec| kept.apply(spec));
            let parent = Some(parent.get_cell());
            let started = DynamicSupervisor::start_link("root", flags, spec, parent, None).await.unwrap();
            dynamic = Some(started.clone());
            started.as_supervisor().clone()
        }
        Kind::Static(strategy) => {
            let children = script.children.iter().map(|(id, kept)| ours.spec(id, *kept)).collect();
            let flags = SupFlags::new(strategy).intensity(flags.intensity, flags.period);
            Supervisor::start_link("root", flags, children, Some(parent.get_cell()), None).await.unwrap()
        }
    };
    ours.print(&sup, "started", out).await;
    for op in &script.ops {
        let reply = match (op, &dynamic) {
            (Op::Start(id, _), Some(dynamic)) => reply(dynamic.start_child(id.clone()).await),
            (Op::Terminate(id), Some(dynamic)) => match ours.live(id) {
                Some(cell) => reply(dynamic.terminate_child(&cell).await),
                None => "skipped",
            },
            (Op::Start(id, kept), None) => reply(sup.start_child(ours.spec(id, *kept)).await),
            (Op::Terminate(id), None) => reply(sup.terminate_child(id.as_str()).await),
            (Op::Delete(id), _) => reply(sup.delete_child(id.as_str()).await),
            (Op::Restart(id), _) => reply(sup.restart_child(id.as_str()).await),
            (Op::Fail(id, times), _) => {
                ours.failures.lock().unwrap().insert(id.clone(), *times);
                "ok"
            }
            (Op::Exit(id, way), _) => match ours.live(id) {
                Some(cell) => {
                    let logs_own_stop = !way.is_abnormal();
                    way.end(&cell);
                    cell.wait(None).await.unwrap();
                    // Ours log `post_stop` also at an end of their own, Erlang's only when told to.
                    if logs_own_stop {
                        ours.forget_own_stop(id);
                    }
                    "ok"
                }
                None => "skipped",
            },
        };
        ours.settle(&sup).await;
        ours.print(&sup, reply, out).await;
        if sup.which_children().await.is_err() {
            break;
        }
    }
    let how = if sup.info().await.is_ok() { "told" } else { "itself" };
    stop(&sup).await;
    let reason = loop {
        if let Some(reason) = *end.lock().unwrap() {
            break reason;
        }
        tokio::task::yield_now().await;
    };
    parent.stop(None);
    writeln!(out, "end {how} {reason} {}", ours.trace()).unwrap();
}

/// Hears why its supervisor ended.
struct Parent;

type End = Arc<Mutex<Option<&'static str>>>;

impl Actor for Parent {
    type Msg = ();
    type State = End;
    type Arguments = End;

    async fn pre_start(&self, _: ActorRef<()>, end: End) -> Result<End, ActorProcessingErr> {
        Ok(end)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        end: &mut End,
    ) -> Result<(), ActorProcessingErr> {
        let reason = match &event {
            SupervisionEvent::ActorTerminated(_, _, None) => "normal",
            SupervisionEvent::ActorTerminated(_, _, Some(text)) if text.starts_with("shutdown") => "shutdown",
            SupervisionEvent::ActorTerminated(_, _, Some(text)) if text == "killed" => "killed",
            SupervisionEvent::ActorTerminated(..) | SupervisionEvent::ActorFailed(..) => "other",
            _ => return Ok(()),
        };
        *end.lock().unwrap() = Some(reason);
        Ok(())
    }
}

impl Ours {
    fn forget_own_stop(&self, id: &str) {
        self.lab.remove_first(self.seen, |entry| entry.what == What::PostStop && entry.id == id);
    }
}

fn erlang(scripts: &[Script], dir: &std::path::Path) -> String {
    let file = dir.join("scripts.txt");
    let text: Vec<_> = scripts.iter().map(Script::to_erlang).collect();
    std::fs::write(&file, text.join("\n")).unwrap();
    let program = dir.join("differential.erl");
    std::fs::write(&program, format!("#!/usr/bin/env escript\n{}", include_str!("differential.erl")))
        .unwrap();
    let output = match Command::new("escript").arg(&program).arg(&file).output() {
        Ok(output) => output,
        Err(error) => panic!(
            "cannot run escript ({error}): install Erlang with `apt-get install erlang-base` or `make prepare`"
        ),
    };
    assert!(output.status.success(), "escript: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn by_script(text: &str) -> Vec<String> {
    text.split("script ")
        .skip(1)
        .map(|part| part.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
        .collect()
}

#[test]
fn scripts_run_as_in_erlang() {
    let seed = match std::env::var("DIFFERENTIAL_SEED") {
        Ok(seed) => seed.parse().expect("DIFFERENTIAL_SEED is a number"),
        Err(_) => std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
    };
    let scripts_wanted =
        std::env::var("DIFFERENTIAL_SCRIPTS").ok().and_then(|n| n.parse().ok()).unwrap_or(SCRIPTS);
    println!("DIFFERENTIAL_SEED={seed} DIFFERENTIAL_SCRIPTS={scripts_wanted}");
    let scripts: Vec<_> = (0..scripts_wanted).map(|number| script(seed, number)).collect();
    let dir = std::env::temp_dir().join(format!("supervisor-differential-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let theirs = erlang(&scripts, &dir);
    std::fs::remove_dir_all(&dir).unwrap();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let mut ours = String::new();
    runtime.block_on(async {
        for script in &scripts {
            run_ours(script, &mut ours).await;
        }
    });
    let (theirs, ours) = (by_script(&theirs), by_script(&ours));
    assert_eq!(theirs.len(), scripts.len());
    let mut different = 0;
    for ((script, theirs), ours) in scripts.iter().zip(&theirs).zip(&ours) {
        if theirs != ours {
            different += 1;
            if different <= 3 {
                eprintln!("{}\n--- Erlang\n{theirs}\n--- ours\n{ours}\n", script.to_erlang());
            }
        }
    }
    assert_eq!(different, 0, "of {} scripts with seed {seed}", scripts.len());
    println!("{} scripts, the same in Erlang and here", scripts.len());
}
