use super::*;
use crate::{Engine, EventAction, testing::spec};
use futures_util::StreamExt;
use tokio::time::Instant;

async fn running(sim: &Sim, name: &str) -> crate::ProcessRef {
    sim.add_image("localhost/web:1");
    sim.create(&spec(name, "localhost/web:1")).await.unwrap();
    sim.start(name).await.unwrap();
    sim.inspect(name).await.unwrap().process.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_seen_by_the_kernel_first_and_by_the_engine_later() {
    let sim = Sim::new();
    sim.delay("cleanup", Duration::from_millis(200));
    let process = running(&sim, "web").await;
    let mut events = sim.events(None).await.unwrap();
    let exit = sim.exit_of(process).await.unwrap();
    let begin = Instant::now();
    sim.crash("web", 3);
    exit.await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(sim.inspect("web").await.unwrap().state, EngineState::Stopped);
    assert_eq!(events.next().await.unwrap().unwrap().action, EventAction::Died);
    assert_eq!(begin.elapsed(), Duration::from_millis(200));
    let inspect = sim.inspect("web").await.unwrap();
    assert_eq!((inspect.state, inspect.exit_code, inspect.oom), (EngineState::Exited, 3, false));
}

#[tokio::test(start_paused = true)]
async fn a_zombie_is_known_to_the_kernel_alone() {
    let sim = Sim::new();
    let process = running(&sim, "web").await;
    let exit = sim.exit_of(process).await.unwrap();
    sim.zombie("web");
    exit.await;
    let inspect = sim.inspect("web").await.unwrap();
    assert_eq!((inspect.state, inspect.process), (EngineState::Running, None));
    sim.start("web").await.unwrap();
    sim.stop("web", Duration::from_secs(1)).await.unwrap();
    assert_eq!(sim.inspect("web").await.unwrap().state, EngineState::Stopping);
    sim.remove("web", true).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn faults_come_as_ordered() {
    let sim = Sim::new();
    running(&sim, "web").await;
    sim.fail_next("inspect", EngineError::NoSpace { subject: "x".into() });
    assert!(matches!(sim.inspect("web").await, Err(EngineError::NoSpace { .. })));
    sim.inspect("web").await.unwrap();

    sim.hang("inspect");
    let begin = Instant::now();
    assert!(matches!(sim.inspect("web").await, Err(EngineError::Timeout { call: "inspect", .. })));
    assert_eq!(begin.elapsed(), Duration::from_secs(10));
    sim.resume("inspect");

    let mut events = sim.events(None).await.unwrap();
    sim.outage(true);
    assert!(events.next().await.is_none());
    assert!(matches!(sim.inspect("web").await, Err(EngineError::Unreachable { .. })));
    sim.outage(false);
    assert_eq!(sim.inspect("web").await.unwrap().state, EngineState::Running);
    assert_eq!(sim.count("start", "web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ignores_the_signal_takes_the_grace() {
    let sim = Sim::new();
    running(&sim, "web").await;
    sim.ignore_term("web");
    let begin = Instant::now();
    sim.stop("web", Duration::from_secs(7)).await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(7));
    assert_eq!(sim.inspect("web").await.unwrap().exit_code, 137);
}

#[tokio::test(start_paused = true)]
async fn a_new_observer_gets_the_past_since_a_time() {
    let sim = Sim::new();
    running(&sim, "web").await;
    let events: Vec<_> = sim.events(Some(0)).await.unwrap().take(3).collect().await;
    let actions: Vec<_> = events.into_iter().map(|event| event.unwrap().action).collect();
    assert_eq!(actions, [EventAction::Create, EventAction::Other("init".into()), EventAction::Start]);
}

/// A case of the contract under the simulated engine.
macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod contract {
            $(
                #[tokio::test(start_paused = true)]
                async fn $case() {
                    crate::contract::$case(super::ground()).await;
                }
            )*
        }
    };
}

crate::contract_cases!(contract);

fn ground() -> crate::contract::Ground {
    let sim = Sim::new();
    sim.add_image("localhost/web:1");
    sim.delay("cleanup", Duration::from_millis(100));
    sim.on_exec(|_, _| ExecOutput { code: 3, output: "hi\n".to_owned() });
    let killer = sim.clone();
    crate::contract::Ground {
        engine: Arc::new(sim),
        image: "localhost/web:1".to_owned(),
        prefix: "archy-sim-".to_owned(),
        port: 8080,
        kill9: Arc::new(move |name, _| killer.crash(name, 137)),
        has_begun: |_| true,
    }
}
