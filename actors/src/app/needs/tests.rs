//! Requirements that are met, are not met, and are lost.

use super::*;
use apps::Manifest;
use std::collections::BTreeSet;

const GATED: &str = "requires: [{capability: coin, gate: synced}]";

struct Rig {
    needs: Needs,
    requires: Vec<Require>,
    own: Own,
}

fn rig(requires: &str) -> Rig {
    let text = format!(
        "manifest_version: 1\nid: shop\nname: S\nversion: '1'\n{requires}\nservices: {{web: {{image: localhost/x:1}}}}\n"
    );
    let manifest = Manifest::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    let own = Own { wanted: true, any_up: false, all_at_rest: false };
    Rig { needs: Needs::default(), requires: manifest.requires, own }
}

fn losing(on_lost: &str) -> Rig {
    let mut rig = rig(&GATED.replace("synced}", &format!("synced, on_lost: {on_lost}}}")));
    rig.provider(Phase::Running);
    rig
}

impl Rig {
    fn weigh(&mut self) -> &Needs {
        self.needs.weigh(&self.requires, self.own);
        &self.needs
    }
    fn provider(&mut self, phase: Phase) {
        self.provider_of("2", phase, Some(ContainerPhase::Running));
    }
    fn provider_of(&mut self, version: &str, phase: Phase, container: Option<ContainerPhase>) {
        let containers = container.map(|phase| ("main".parse().unwrap(), (None, phase)));
        let other = Neighbour {
            id: "chain".parse().unwrap(),
            name: "Chain".into(),
            version: version.into(),
            provides: vec!["coin".into()],
            installed: true,
            desired: Desired::Running,
            phase,
            containers: containers.into_iter().collect(),
        };
        self.needs.neighbour(&self.requires, Arc::new(other));
    }
    fn gate(&mut self, stand: Stand) -> &Needs {
        self.news(stand, false)
    }
    fn news(&mut self, stand: Stand, may_skip: bool) -> &Needs {
        let news = News {
            app: "chain".parse().unwrap(),
            gate: "synced".into(),
            stand,
            state: GateState::Progressing,
            progress: Some(0.456),
            detail: Some("5 peers".into()),
            may_skip,
            waiters: BTreeSet::new(),
        };
        self.needs.gate(&self.requires, Arc::new(news));
        self.weigh()
    }
    /// Its containers run.
    fn up(&mut self) {
        (self.own.any_up, self.own.all_at_rest) = (true, false);
        self.weigh();
    }
    /// Its containers have been stopped.
    fn down(&mut self) {
        (self.own.any_up, self.own.all_at_rest) = (false, true);
        self.weigh();
        self.own.all_at_rest = false;
    }
}

/// Whether it may start, has to stop, waits, and misses something.
fn of(needs: &Needs) -> (bool, bool, bool, bool) {
    (needs.is_clear(), needs.is_draining(), !needs.waits().is_empty(), needs.misses().is_some())
}

const WAITS: (bool, bool, bool, bool) = (false, false, true, false);
const RUNS: (bool, bool, bool, bool) = (true, false, false, false);
const RUNS_WITHOUT: (bool, bool, bool, bool) = (true, false, false, true);

#[test]
fn an_app_without_requirements_is_clear() {
    let mut rig = rig("x-none: 1");
    assert_eq!(of(rig.weigh()), RUNS);
}

#[test]
fn it_waits_for_a_gate_with_what_is_known_and_starts_when_it_opens() {
    let mut rig = rig(GATED);
    assert_eq!(of(rig.weigh()), WAITS);
    assert_eq!(rig.needs.held().as_deref(), Some("waits for coin/synced: is not there yet"));
    rig.provider(Phase::Running);
    rig.weigh();
    assert_eq!(rig.needs.waits()[0].state, Some(GateState::Unknown));
    assert_eq!(of(rig.gate(Stand::Closed)), WAITS);
    assert_eq!(rig.needs.held().as_deref(), Some("waits for chain/synced (45 %): 5 peers"));
    let me = "shop".parse().unwrap();
    assert_eq!(rig.needs.to_correct(&me), [("chain".parse().unwrap(), "synced".into(), true)]);
    assert_eq!(of(rig.gate(Stand::Open)), RUNS);
    assert!(rig.needs.to_correct(&me).is_empty());
}

#[test]
fn a_gate_is_heard_of_before_its_app() {
    let mut rig = rig(GATED);
    assert_eq!(of(rig.gate(Stand::Open)), WAITS);
    rig.provider(Phase::Running);
    assert_eq!(of(rig.weigh()), RUNS);
    rig.needs.departed(&"chain".parse().unwrap());
    assert_eq!(of(rig.weigh()), WAITS);
}

#[test]
fn what_is_lost_does_what_the_manifest_says() {
    for (on_lost, expected) in [
        ("degrade", RUNS_WITHOUT),
        ("ignore", RUNS),
        ("restart", RUNS_WITHOUT),
        ("stop", (true, true, true, true)),
    ] {
        let mut rig = losing(on_lost);
        rig.gate(Stand::Open);
        rig.up();
        assert_eq!(of(rig.gate(Stand::Unknown)), RUNS, "{on_lost}: nobody knows");
        assert_eq!(of(rig.gate(Stand::Closed)), expected, "{on_lost}");
    }
}

#[test]
fn an_actor_that_starts_anew_finds_out_from_what_runs() {
    let mut rig = losing("degrade");
    rig.up();
    assert_eq!(of(rig.weigh()), RUNS, "unknown");
    assert_eq!(of(rig.gate(Stand::Closed)), RUNS_WITHOUT);
}

#[test]
fn stopped_for_a_loss_it_waits_and_starts_again() {
    let mut rig = losing("stop");
    rig.gate(Stand::Open);
    rig.up();
    rig.gate(Stand::Closed);
    assert!(rig.needs.is_draining());
    rig.down();
    assert_eq!(of(&rig.needs), WAITS);
    assert_eq!(of(rig.gate(Stand::Open)), RUNS);
}

#[test]
fn a_gate_that_opens_while_it_is_being_stopped_starts_it_afterwards() {
    let mut rig = losing("stop");
    rig.gate(Stand::Open);
    rig.up();
    rig.gate(Stand::Closed);
    assert!(rig.gate(Stand::Open).is_draining());
    rig.down();
    assert_eq!(of(&rig.needs), RUNS);
}

#[test]
fn restarted_means_once_when_it_is_there_again() {
    let mut rig = losing("restart");
    rig.gate(Stand::Open);
    rig.up();
    rig.gate(Stand::Closed);
    assert!(!rig.needs.is_draining());
    assert!(!rig.gate(Stand::Unknown).is_draining(), "not there yet");
    assert!(rig.gate(Stand::Open).is_draining());
    rig.down();
    assert_eq!(of(&rig.needs), RUNS);
    rig.up();
    assert_eq!(of(rig.gate(Stand::Open)), RUNS);
}

#[test]
fn started_anyway_it_runs_without_until_everything_is_there() {
    let mut rig = losing("stop");
    rig.news(Stand::Closed, true);
    assert!(rig.needs.missing(&rig.requires)[0].may_skip);
    rig.needs.anyway = true;
    assert_eq!(of(rig.weigh()), RUNS_WITHOUT);
    rig.up();
    assert_eq!(of(&rig.needs), RUNS_WITHOUT, "what was never there is not lost");
    assert_eq!(of(rig.gate(Stand::Open)), RUNS);
    assert!(!rig.needs.anyway);
    assert!(rig.gate(Stand::Closed).is_draining());
}

#[test]
fn a_stop_ends_all_of_it() {
    let mut rig = losing("restart");
    rig.gate(Stand::Open);
    rig.up();
    rig.gate(Stand::Closed);
    rig.own.wanted = false;
    assert_eq!(of(rig.gate(Stand::Open)), (false, false, false, false));
    rig.own = Own { wanted: true, any_up: false, all_at_rest: false };
    assert_eq!(of(rig.weigh()), RUNS, "no restart is owed");
}

#[test]
fn an_optional_requirement_keeps_nobody_waiting_and_is_lost_after_it_was_met() {
    let mut rig = rig(&GATED.replace("synced}", "synced, optional: true}"));
    assert_eq!(of(rig.weigh()), RUNS);
    rig.provider(Phase::Running);
    rig.up();
    assert_eq!(of(rig.gate(Stand::Closed)), RUNS);
    rig.gate(Stand::Open);
    assert_eq!(of(rig.gate(Stand::Closed)), RUNS_WITHOUT);
    rig.needs.departed(&"chain".parse().unwrap());
    assert_eq!(of(rig.weigh()), RUNS, "who is gone is not missed");
}

#[test]
fn another_app_counts_by_its_condition_and_version() {
    for (condition, phase, container, expected) in [
        ("exists", Phase::Stopped, ContainerPhase::Exited, RUNS),
        ("service_started", Phase::Starting, ContainerPhase::Running, RUNS),
        ("service_started", Phase::Starting, ContainerPhase::Starting, WAITS),
        ("service_healthy", Phase::Running, ContainerPhase::Running, RUNS),
        ("service_healthy", Phase::Unhealthy, ContainerPhase::Running, WAITS),
    ] {
        let mut rig = rig(&format!("requires: [{{app: chain, condition: {condition}, version: '>=2'}}]"));
        rig.provider_of("2", phase, Some(container));
        assert_eq!(of(rig.weigh()), expected, "{condition} {phase:?}");
        rig.provider_of("1.9", Phase::Running, Some(ContainerPhase::Running));
        assert_eq!(of(rig.weigh()), WAITS, "{condition}: too old");
    }
}

#[test]
fn an_app_that_nobody_has_looked_at_is_not_lost() {
    let mut rig = rig("requires: [{app: chain, on_lost: stop}]");
    rig.up();
    for container in [None, Some(ContainerPhase::Unknown)] {
        rig.provider_of("2", Phase::Starting, container);
        assert_eq!(of(rig.weigh()), RUNS, "{container:?}");
    }
    rig.provider_of("2", Phase::Restarting, Some(ContainerPhase::Exited));
    assert!(rig.weigh().is_draining());
}

#[test]
fn of_several_providers_one_that_meets_it_is_enough() {
    let mut rig = rig("requires: [{capability: coin}]");
    rig.provider_of("2", Phase::Stopped, Some(ContainerPhase::Exited));
    assert_eq!(of(rig.weigh()), WAITS);
    let mut other = Neighbour::clone(&rig.needs.neighbours.values().next().unwrap().clone());
    (other.id, other.phase) = ("coins".parse().unwrap(), Phase::Running);
    rig.needs.neighbour(&rig.requires, Arc::new(other));
    assert_eq!(of(rig.weigh()), RUNS);
}
