//! Random ends and calls on several threads, for half a minute, against what must always hold.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorStatus};
use supervisor::{
    ChildSpec, ChildState, ExitReason, OnExhausted, Report, ReportEvent, ReportSink, Restart, StartError,
    Strategy, SupFlags, Supervisor, SupervisorError, SupervisorRef,
};

/// All incarnations that have been, by path and id of their child.
#[derive(Default)]
struct World {
    members: Mutex<HashMap<String, Vec<ActorCell>>>,
    faults: Mutex<Vec<String>>,
    /// Children that were terminated and not asked for since.
    down: Mutex<HashSet<String>>,
    restarts: Mutex<HashMap<String, Vec<Instant>>>,
    ends: Mutex<Vec<String>>,
}

impl World {
    fn fault(&self, text: String) {
        self.faults.lock().unwrap().push(text);
    }

    /// Notes a new incarnation; the one before must be over.
    fn born(&self, name: &str, cell: &ActorCell) {
        let mut members = self.members.lock().unwrap();
        let family = members.entry(name.to_owned()).or_default();
        // ractor tells of an end an instant before it sets the status, so one that is ending gets that instant.
        let begin = Instant::now();
        while family.iter().any(|member| member.get_status() == ActorStatus::Stopping)
            && begin.elapsed() < Duration::from_millis(100)
        {
            std::thread::yield_now();
        }
        family.retain(|member| member.get_status() != ActorStatus::Stopped);
        if !family.is_empty() {
            self.fault(format!("two incarnations of {name}"));
        }
        if self.down.lock().unwrap().contains(name) {
            self.fault(format!("{name} came back after it was terminated"));
        }
        family.push(cell.clone());
    }

    fn sink(self: &Arc<Self>) -> ReportSink {
        let world = self.clone();
        Arc::new(move |report: &Report| {
            let mut restarts = world.restarts.lock().unwrap();
            match report.event {
                // A new incarnation, or one with a parked child, counts from nothing.
                ReportEvent::SupervisorStarted { .. }
                | ReportEvent::MaxIntensity { .. }
                | ReportEvent::Unparked => {
                    restarts.remove(&*report.path);
                }
                ReportEvent::ChildTerminated { restarting: true, .. } if &*report.path != "root" => {
                    let times = restarts.entry(report.path.to_string()).or_default();
                    times.push(Instant::now());
                    // The one that is too many is reported before it is found to be so.
                    let earlier = times.len().checked_sub(42).map(|at| times[at]);
                    if earlier.is_some_and(|earlier| earlier.elapsed() < Duration::from_millis(900)) {
                        world.fault(format!("more than 40 restarts in a second under {}", report.path));
                    }
                }
                _ => {}
            }
        })
    }
}

struct Member {
    world: Arc<World>,
    name: String,
}

enum Order {
    Fail,
    Panic,
    Stop,
    Nap,
}

impl Actor for Member {
    type Msg = Order;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Order>, (): ()) -> Result<(), ActorProcessingErr> {
        self.world.born(&self.name, &myself.get_cell());
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Order>,
        order: Order,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Fail => return Err("told to fail".into()),
            Order::Panic => std::panic::resume_unwind(Box::new("told to panic")),
            Order::Stop => myself.stop(None),
            Order::Nap => {
                // Long enough for others to come upon it while it is busy.
                for _ in 0..500 {
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<Order>, (): &mut ()) -> Result<(), ActorProcessingErr> {
        self.world.ends.lock().unwrap().push(self.name.clone());
        Ok(())
    }
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % limit
    }
}

fn member(world: &Arc<World>, path: &str, id: &str, restart: Restart) -> ChildSpec {
    let (world, name) = (world.clone(), format!("{path}/{id}"));
    ChildSpec::worker(id, move |ctx| {
        let member = Member { world: world.clone(), name: name.clone() };
        async move {
            if ctx.generation % 11 == 10 {
                return Err(StartError::failed(supervisor::Panic::new("every eleventh start fails")));
            }
            tokio::task::yield_now().await;
            ctx.spawn(member, ()).await
        }
    })
    .restart(restart)
}

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn branch(world: &Arc<World>, id: &str, strategy: Strategy) -> ChildSpec {
    let flags = SupFlags::new(strategy)
        .intensity(40, Duration::from_secs(1))
        .on_exhausted(OnExhausted::Park { retry_after: Some(Duration::from_millis(20)) });
    let path = format!("root/{id}");
    let restarts =
        [Restart::Permanent, Restart::Transient, Restart::Permanent, Restart::Temporary, Restart::Permanent];
    let children = IDS.iter().zip(restarts).map(|(id, restart)| member(world, &path, id, restart)).collect();
    Supervisor::child_spec(id, flags, children)
}

async fn disturb(world: &Arc<World>, root: &SupervisorRef, chance: &mut Chance) {
    let branch = ["one", "all", "rest"][chance.below(3) as usize];
    let Ok(branches) = root.which_children().await else { return world.fault("the root is gone".into()) };
    let Some(cell) = branches.iter().find(|it| it.id == branch).and_then(|it| it.cell.clone()) else {
        return;
    };
    let Some(sup) = SupervisorRef::from_cell(&cell) else { return world.fault("no supervisor".into()) };
    if chance.below(200) == 0 {
        return cell.kill();
    }
    let id = IDS[chance.below(5) as usize];
    let name = format!("root/{branch}/{id}");
    let child = match sup.which_children().await {
        Ok(children) => children.into_iter().find(|it| it.id == id),
        Err(_) => return,
    };
    let cell = child.and_then(|child| child.cell);
    match (chance.below(12), cell) {
        (0, _) if branch == "one" => {
            // Only this task starts and stops, so a terminated child must stay down until it says otherwise.
            let terminated = sup.terminate_child(id).await;
            if terminated.is_ok() {
                world.down.lock().unwrap().insert(name.clone());
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                world.down.lock().unwrap().remove(&name);
                let _ = sup.restart_child(id).await;
            }
        }
        (1, None) => {
            let _ = sup.start_child(member(world, &format!("root/{branch}"), id, Restart::Temporary)).await;
        }
        (2, _) => {
            let _ = sup.restart_child(id).await;
        }
        (3..=5, Some(cell)) => cell.kill(),
        (6, Some(cell)) => drop(cell.send_message(Order::Fail)),
        (7, Some(cell)) => drop(cell.send_message(Order::Panic)),
        (8, Some(cell)) => drop(cell.send_message(Order::Stop)),
        (9, Some(cell)) => drop(cell.send_message(Order::Nap)),
        (10, Some(cell)) => cell.stop(Some("shutdown".into())),
        (11, Some(cell)) => cell.unlink(sup.cell()),
        _ => {}
    }
}

#[test]
fn invariants_hold_under_random_ends() {
    let seed = std::env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
    });
    let seconds = std::env::var("CHAOS_SECONDS").ok().and_then(|n| n.parse().ok()).unwrap_or(30);
    println!("CHAOS_SEED={seed} CHAOS_SECONDS={seconds}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(chaos(seed, Duration::from_secs(seconds)));
}

async fn chaos(seed: u64, time: Duration) {
    let world = Arc::new(World::default());
    let branches = vec![
        branch(&world, "one", Strategy::OneForOne),
        branch(&world, "all", Strategy::OneForAll),
        branch(&world, "rest", Strategy::RestForOne),
    ];
    let flags = SupFlags::default().intensity(1_000_000, Duration::from_secs(1));
    let root = Supervisor::start_link("root", flags, branches, None, Some(world.sink())).await.unwrap();
    let mut chance = Chance(seed | 1);
    let begin = Instant::now();
    let mut disturbances = 0_u64;
    while begin.elapsed() < time && world.faults.lock().unwrap().is_empty() {
        disturb(&world, &root, &mut chance).await;
        disturbances += 1;
        if chance.below(400) == 0 {
            come_to_rest(&root).await;
        }
    }
    come_to_rest(&root).await;
    check_counts(&world, &root).await;
    world.ends.lock().unwrap().clear();
    root.stop(ExitReason::Shutdown(None)).await;
    check_end(&world);
    let faults = world.faults.lock().unwrap().clone();
    assert!(faults.is_empty(), "{faults:?}");
    println!("{disturbances} disturbances in {:?}, no invariant broken", begin.elapsed());
}

async fn come_to_rest(root: &SupervisorRef) {
    let quiet = async {
        while !is_quiet(root).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), quiet).await.expect("it comes to rest");
}

async fn is_quiet(root: &SupervisorRef) -> bool {
    let Ok(branches) = root.which_children().await else { return false };
    for branch in branches {
        let Some(sup) = branch.cell.as_ref().and_then(SupervisorRef::from_cell) else { return false };
        let children: Result<_, SupervisorError> = sup.which_children().await;
        let settled = |state| matches!(state, ChildState::Running | ChildState::Undefined);
        if !children.is_ok_and(|children| children.iter().all(|child| settled(child.state))) {
            return false;
        }
    }
    true
}

/// What the supervisors show is what there is: nothing leaked, nothing lost.
async fn check_counts(world: &World, root: &SupervisorRef) {
    let mut shown = 0;
    for branch in root.which_children().await.unwrap() {
        let sup = SupervisorRef::from_cell(branch.cell.as_ref().unwrap()).unwrap();
        let counts = sup.count_children().await.unwrap();
        let children = sup.which_children().await.unwrap();
        assert_eq!(counts.specs, children.len());
        assert_eq!(counts.active, children.iter().filter(|child| child.cell.is_some()).count());
        shown += counts.active;
    }
    let members = world.members.lock().unwrap();
    let live = members.values().flatten().filter(|cell| cell.get_status() < ActorStatus::Stopping).count();
    assert_eq!(live, shown, "every live child is shown by its supervisor");
}

/// Nothing outlives the root, and all end in reverse.
fn check_end(world: &World) {
    let members = world.members.lock().unwrap();
    assert!(members.values().flatten().all(|cell| cell.get_status() == ActorStatus::Stopped));
    let ends = world.ends.lock().unwrap();
    let branches: Vec<_> = ends.iter().filter_map(|name| name.split('/').nth(1)).collect();
    let mut sorted = branches.clone();
    let order = ["rest", "all", "one"];
    sorted.sort_by_key(|branch| order.iter().position(|it| it == branch));
    assert_eq!(branches, sorted, "branches end in reverse");
    for branch in order {
        let prefix = format!("root/{branch}/");
        let ids: Vec<_> = ends.iter().filter_map(|name| name.strip_prefix(&prefix)).collect();
        // The temporary child may have been added again at the end.
        let firm: Vec<_> = ids.iter().filter(|id| **id != "d").collect();
        let mut reverse = ["e", "c", "b", "a"].iter();
        assert!(firm.iter().all(|id| reverse.any(|it| it == *id)), "{branch} ended in the order {firm:?}");
    }
}
