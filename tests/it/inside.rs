//! What the node does inside of containers: probes, commands, files; and containers that end for good.

use engine::{EngineError, ExecOutput};
use protocol::{AppView, ContainerPhase, Health, OpState, Phase};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tests::{SimNode, phase_of, shop};
use tokio::time::sleep;

const HEAD: &str = "manifest_version: 1\nid: shop\nname: Shop\nversion: '1'\n\
    supervisor: {intensity: 3, period: 10m, backoff: {min: 1s, max: 4s, factor: 2, jitter: 0}}\n";

/// Answers commands by their first word: those that are listed fail. Says which were run.
#[derive(Clone, Default)]
struct Commands {
    failing: Arc<Mutex<Vec<&'static str>>>,
    run: Arc<Mutex<Vec<String>>>,
}

impl Commands {
    fn of(t: &SimNode) -> Self {
        let commands = Self::default();
        let it = commands.clone();
        t.sim.on_exec(move |container, argv| {
            it.run.lock().unwrap().push(format!("{container} {}", argv.join(" ")));
            let fails = it.failing.lock().unwrap().iter().any(|word| argv[0] == *word);
            ExecOutput { code: i32::from(fails), output: "it says so\n".into() }
        });
        commands
    }

    fn fail(&self, words: &[&'static str]) {
        *self.failing.lock().unwrap() = words.to_vec();
    }

    /// How often a command was run.
    fn count(&self, line: &str) -> usize {
        self.run.lock().unwrap().iter().filter(|it| *it == line).count()
    }
}

fn container<'a>(app: &'a AppView, service: &str) -> &'a protocol::ContainerView {
    app.containers.iter().find(|c| c.service.as_str() == service).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_others_ask_when_startup_has_succeeded_and_its_failures_restart_the_container() {
    let text = format!(
        "{HEAD}services:\n  web:\n    image: localhost/web:1\n    probes:\n      \
         startup: {{exec: {{command: [up]}}, periodSeconds: 2, failureThreshold: 5}}\n      \
         readiness: {{exec: {{command: [ready]}}}}\n      liveness: {{exec: {{command: [alive]}}}}\n"
    );
    let t = SimNode::start(&[&text]).await;
    let commands = Commands::of(&t);
    commands.fail(&["up", "ready", "alive"]);
    let op = t.submit(shop::install()).await.unwrap();
    let app = t.wait_app("shop", |app| container_restarts(app) == 1).await;
    let cause = container(&app, "web").last_restart.clone().unwrap().cause;
    assert_eq!(cause, ["startup probe failed 5 times in a row: its command ended with 1: it says so"]);
    assert_eq!((commands.count("shop-web ready"), commands.count("shop-web alive")), (0, 0));
    commands.fail(&[]);
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
    assert!(commands.count("shop-web ready") > 0);
    // Whoever takes over knows that it has come up.
    let asked = commands.count("shop-web up");
    commands.fail(&["up"]);
    let t = t.restart().await;
    t.wait_phase("shop", Phase::Running).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!((commands.count("shop-web up"), container_restarts(&t.app("shop").unwrap())), (asked, 0));
}

fn container_restarts(app: &AppView) -> u32 {
    app.containers.iter().map(|c| c.restarts).sum()
}

#[tokio::test(start_paused = true)]
async fn liveness_restarts_a_container_that_answers_no_and_none_that_nobody_can_ask() {
    let text = format!(
        "{HEAD}services:\n  web:\n    image: localhost/web:1\n    probes:\n      \
         liveness: {{exec: {{command: [alive]}}, periodSeconds: 10, failureThreshold: 3}}\n"
    );
    let t = SimNode::start(&[&text]).await;
    let commands = Commands::of(&t);
    t.perform(shop::install()).await;
    for error in [
        EngineError::Unreachable { message: "gone".into() },
        EngineError::Broken { subject: "it".into(), message: "500".into() },
        EngineError::Refused { subject: "it".into(), message: "no such program".into() },
    ] {
        t.sim.fail_all(&["exec"], Some(&error));
        sleep(Duration::from_secs(600)).await;
        assert_eq!((t.sim.count("stop", "shop-web"), t.app("shop").unwrap().restarts), (0, 0), "{error}");
    }
    t.sim.fail_all(&["exec"], None);
    commands.fail(&["alive"]);
    sleep(Duration::from_secs(15)).await;
    commands.fail(&[]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(t.app("shop").unwrap().restarts, 0, "once is not often enough");
    commands.fail(&["alive"]);
    let app = t.wait_app("shop", |app| app.restarts == 1).await;
    assert_eq!(t.sim.count("stop", "shop-web"), 1, "it is asked to end");
    let cause = container(&app, "web").last_restart.clone().unwrap().cause;
    assert!(cause[0].starts_with("liveness probe failed 3 times in a row"), "{cause:?}");
    commands.fail(&[]);
    t.wait_phase("shop", Phase::Running).await;
}

const MIGRATED: &str = "services:\n  migrate:\n    image: localhost/db:1\n    restart: RESTART\n  web:\n    \
    image: localhost/web:1\n    depends_on: {migrate: {condition: service_completed_successfully}}\n";

#[tokio::test(start_paused = true)]
async fn one_waits_for_the_good_end_of_another_which_is_run_again_for_a_user_only() {
    let t = SimNode::start(&[&format!("{HEAD}{}", MIGRATED.replace("RESTART", "on-failure"))]).await;
    let op = t.submit(shop::install()).await.unwrap();
    let app = t.wait_app("shop", |app| phase_of(app, "migrate") == ContainerPhase::Running).await;
    let wait = &container(&app, "web").wait;
    assert!(wait.is_empty() || wait[0].condition == "service_completed_successfully");
    t.wait_app("shop", |app| phase_of(app, "web") == ContainerPhase::Waiting).await;
    // It fails first: that is mended.
    t.sim.crash("shop-migrate", 3);
    t.wait_app("shop", |app| app.restarts == 1 && phase_of(app, "migrate") == ContainerPhase::Running).await;
    assert_eq!(t.sim.count("start", "shop-web"), 0);
    t.sim.crash("shop-migrate", 0);
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
    let app = t.wait_phase("shop", Phase::Running).await;
    let migrate = container(&app, "migrate");
    assert_eq!(
        (migrate.phase, migrate.ended, migrate.health),
        (ContainerPhase::Exited, Some(0), Health::None)
    );

    t.sim.forget_calls();
    let t = t.restart().await;
    t.wait_phase("shop", Phase::Running).await;
    for actor in ["container/shop/migrate", "app/shop", "containers/shop"] {
        assert!(t.node.kill_actor(actor), "{actor}");
        sleep(Duration::from_secs(60)).await;
        t.wait_phase("shop", Phase::Running).await;
    }
    assert_eq!(t.sim.calls(), [], "nobody but a user runs it again");

    let op = t.submit(shop::restart()).await.unwrap();
    t.wait_app("shop", |app| {
        phase_of(app, "migrate") == ContainerPhase::Running && phase_of(app, "web") == ContainerPhase::Waiting
    })
    .await;
    t.sim.crash("shop-migrate", 0);
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
    t.perform(shop::uninstall()).await;
    assert!(t.sim.states().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_has_completed_is_not_run_again_for_a_sibling() {
    let head = HEAD.replace("supervisor: {", "supervisor: {strategy: one_for_all, ");
    let t = SimNode::start(&[&format!("{head}{}", MIGRATED.replace("RESTART", "on-failure"))]).await;
    let op = t.submit(shop::install()).await.unwrap();
    t.wait_app("shop", |app| phase_of(app, "migrate") == ContainerPhase::Running).await;
    t.sim.crash("shop-migrate", 0);
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
    t.sim.crash("shop-web", 1);
    t.wait_app("shop", |app| container(app, "web").restarts == 1 && app.phase == Phase::Running).await;
    assert_eq!((t.sim.count("start", "shop-migrate"), t.sim.count("start", "shop-web")), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_never_restarted_and_fails_is_the_failure_of_those_that_wait() {
    let t = SimNode::start(&[&format!("{HEAD}{}", MIGRATED.replace("RESTART", "'no'"))]).await;
    let op = t.submit(shop::install()).await.unwrap();
    t.wait_app("shop", |app| phase_of(app, "migrate") == ContainerPhase::Running).await;
    t.sim.crash("shop-migrate", 3);
    let op = t.ended(&op).await;
    let error = op.error.unwrap();
    assert_eq!(error.message, "migrate ended with code 3 and is not started again");
    assert!(t.sim.states().is_empty(), "what it made is gone");
    assert_eq!(t.sim.count("start", "shop-migrate"), 1);
}

#[tokio::test(start_paused = true)]
async fn commands_run_after_each_start_before_each_stop_and_once_in_each_container() {
    let text = format!(
        "{HEAD}hooks:\n  post_install:\n    - copy_from_host: {{src: page, dest: /www/page}}\n    \
         - exec: {{service: web, command: [fill]}}\nservices:\n  web:\n    image: localhost/web:1\n    \
         stop_grace_period: 30s\n    post_start: [{{command: [greet]}}]\n    pre_stop: [{{command: [drain]}}]\n    \
         probes: {{readiness: {{exec: {{command: [ready]}}}}}}\n"
    );
    let t = SimNode::start(&[&text]).await;
    std::fs::write(t.data_dir().with_file_name("catalog").join("shop/page"), "hello").unwrap();
    let commands = Commands::of(&t);
    commands.fail(&["fill"]);
    let op = t.submit(shop::install()).await.unwrap();
    let app = t.wait_app("shop", |app| app.restarts == 1).await;
    let cause = container(&app, "web").last_restart.clone().unwrap().cause;
    assert_eq!(cause, ["command fill: ended with code 1: it says so"]);
    commands.fail(&["drain"]);
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
    let counts = || ["greet", "fill", "drain"].map(|it| commands.count(&format!("shop-web {it}")));
    let (copies, [greeted, filled, drained]) = (t.sim.copies("shop-web"), counts());
    assert_eq!((copies, greeted, filled, drained), (vec!["/www/page".to_owned()], 2, 2, 1));
    // Another run of the same container, and another life of the node.
    t.sim.crash("shop-web", 1);
    t.wait_app("shop", |app| app.restarts == 2 && app.phase == Phase::Running).await;
    assert_eq!(counts(), [3, 2, 1]);
    let t = t.restart().await;
    t.wait_phase("shop", Phase::Running).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(counts(), [3, 2, 1]);
    // Another container.
    t.sim.remove_behind("shop-web");
    t.wait_app("shop", |app| app.restarts == 1 && app.phase == Phase::Running).await;
    assert_eq!((t.sim.copies("shop-web").len(), counts()), (1, [4, 3, 1]));
    // A command before the stop that fails stops nothing.
    t.perform(shop::stop()).await;
    assert_eq!(counts(), [4, 3, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_ends_in_the_middle_of_a_hook_does_it_after_all() {
    let text = format!(
        "{HEAD}hooks: {{post_install: [{{exec: {{service: web, command: [fill]}}}}]}}\nservices:\n  web:\n    \
         image: localhost/web:1\n"
    );
    let t = SimNode::start(&[&text]).await;
    let commands = Commands::of(&t);
    t.sim.hang("exec");
    let op = t.submit(shop::install()).await.unwrap();
    t.wait_app("shop", |app| app.containers.iter().any(|c| c.health == Health::Starting)).await;
    let sim = t.sim.clone();
    let t = t.restart_after(|| sim.resume("exec")).await;
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
    assert_eq!(commands.count("shop-web fill"), 1);
    assert_eq!(t.sim.count("start", "shop-web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_the_engine_fails_at_costs_no_restart() {
    let text = format!("{HEAD}services:\n  web:\n    image: localhost/web:1\n");
    let t = SimNode::start(&[&text]).await;
    t.perform(shop::install()).await;
    let error = EngineError::Broken { subject: "it".into(), message: "500".into() };
    t.sim.fail_all(&["start"], Some(&error));
    t.sim.crash("shop-web", 1);
    sleep(Duration::from_secs(600)).await;
    let app = t.app("shop").unwrap();
    assert_eq!((app.restarts, app.phase), (1, Phase::Starting), "{app:#?}");
    assert!(app.reason.unwrap().contains("500"));
    t.sim.fail_all(&["start"], None);
    t.wait_phase("shop", Phase::Running).await;
}
