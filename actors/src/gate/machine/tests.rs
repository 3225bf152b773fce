//! Every row of the table, and what is shown on the way.

use super::*;
use crate::gate::tests::gate;
use GateState::{Lost, Open, Progressing, Stalled, Unknown, Unreachable};

const COUNTED: &str = "{probe: {exec: {command: [x]}}, ready: {pointer: /ready, equals: true}, progress: /share, \
    count: {current: /blocks, target: /headers, unit: blocks}, stalled_after: 10m}";

struct Rig {
    machine: Machine,
    now: Instant,
}

fn rig(manifest: &str) -> Rig {
    Rig { machine: Machine::new(&gate(manifest), None), now: Instant::now() }
}

fn counted() -> Rig {
    rig(COUNTED)
}

fn closing() -> Rig {
    rig(&COUNTED.replace("stalled_after", "failure: closed, stalled_after"))
}

impl Rig {
    fn step(&mut self, event: Event) -> (GateState, Stand) {
        self.now += Duration::from_secs(15);
        self.machine.step(event, self.now);
        (self.machine.state(), self.machine.stand())
    }
    fn at(&mut self, blocks: u64) -> (GateState, Stand) {
        self.step(answer(Reading { current: Some(blocks), target: Some(100), ..Reading::default() }))
    }
    fn ready(&mut self) -> (GateState, Stand) {
        let reading = Reading { ready: true, progress: Some(0.9999), ..Reading::default() };
        self.step(answer(reading))
    }
    fn silent(&mut self) -> (GateState, Stand) {
        self.step(Event::Looked(Outcome::Silent("connection refused".into())))
    }
    fn warming(&mut self) -> (GateState, Stand) {
        self.step(Event::Looked(Outcome::Warming("is starting".into())))
    }
    fn stopped(&mut self) -> (GateState, Stand) {
        self.step(Event::Stopped("it is stopped".into()))
    }
}

fn answer(reading: Reading) -> Event {
    Event::Looked(Outcome::Answer(reading))
}

#[tokio::test(start_paused = true)]
async fn it_progresses_and_opens() {
    let mut rig = counted();
    assert_eq!((rig.machine.state(), rig.machine.stand()), (Unknown, Stand::Unknown));
    assert_eq!(rig.at(10), (Progressing, Stand::Closed));
    assert_eq!(rig.machine.progress(), Some(0.1));
    assert_eq!(rig.ready(), (Open, Stand::Open));
    assert_eq!((rig.machine.progress(), rig.machine.eta()), (Some(0.9999), None));
}

#[tokio::test(start_paused = true)]
async fn rate_and_time_left_come_with_the_third_look_and_go_with_the_answer() {
    let mut rig = counted();
    for blocks in [10, 25] {
        rig.at(blocks);
        assert_eq!((rig.machine.rate(), rig.machine.eta()), (None, None));
    }
    rig.at(40);
    assert_eq!((rig.machine.rate(), rig.machine.eta()), (Some(1.0), Some((60, 60))));
    rig.silent();
    assert_eq!((rig.machine.rate(), rig.machine.eta()), (None, None));
    assert_eq!(rig.machine.progress(), Some(0.4), "the last thing known");
    rig.at(55);
    assert_eq!(rig.machine.rate(), None, "a gap says nothing about the pace");
}

#[tokio::test(start_paused = true)]
async fn a_share_that_says_done_opens_nothing_and_is_not_shown_as_done() {
    let mut rig = counted();
    for blocks in [10, 25, 40] {
        let reading =
            Reading { progress: Some(1.0), current: Some(blocks), target: Some(100), ..Reading::default() };
        assert_eq!(rig.step(answer(reading)), (Progressing, Stand::Closed));
        assert_eq!(rig.machine.progress(), Some(0.999));
    }
    assert_eq!(rig.machine.eta(), Some((60, 60)), "what is counted tells how long it takes then");
}

#[tokio::test(start_paused = true)]
async fn the_share_tells_the_time_left_before_the_count_does() {
    let mut rig = counted();
    for share in [0.25, 0.5, 0.75] {
        rig.step(answer(Reading {
            progress: Some(share),
            current: Some(1),
            target: Some(100),
            ..Reading::default()
        }));
    }
    assert_eq!(rig.machine.eta(), Some((15, 15)));
}

#[tokio::test(start_paused = true)]
async fn nothing_moving_for_too_long_is_a_stall_and_a_move_ends_it() {
    let mut rig = counted();
    rig.at(10);
    for _ in 0..39 {
        assert_eq!(rig.at(10), (Progressing, Stand::Closed));
    }
    assert_eq!(rig.at(10), (Stalled, Stand::Closed));
    assert_eq!(rig.machine.eta(), None);
    assert_eq!(rig.at(11), (Progressing, Stand::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_no_stall_and_its_time_does_not_count() {
    let mut rig = counted();
    rig.at(10);
    for _ in 0..100 {
        assert_eq!(rig.silent(), (Unreachable, Stand::Closed));
    }
    assert_eq!(rig.at(10), (Progressing, Stand::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_stall_can_become_a_silence_and_open() {
    let mut rig = counted();
    for _ in 0..42 {
        rig.at(10);
    }
    assert_eq!(rig.machine.state(), Stalled);
    assert_eq!(rig.silent(), (Unreachable, Stand::Closed));
    assert_eq!(rig.ready(), (Open, Stand::Open));
}

#[tokio::test(start_paused = true)]
async fn what_shows_no_move_does_not_stall_unless_it_is_said() {
    for (manifest, expected) in [
        ("{probe: {exec: {command: [x]}}}", Progressing),
        ("{probe: {exec: {command: [x]}}, stalled_after: 1m}", Stalled),
    ] {
        let mut rig = rig(manifest);
        for _ in 0..100 {
            rig.step(answer(Reading::default()));
        }
        assert_eq!(rig.machine.state(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reorganization_goes_back_without_a_stall_and_without_a_rate() {
    let mut rig = counted();
    for blocks in [10, 25, 40, 38] {
        assert_eq!(rig.at(blocks), (Progressing, Stand::Closed));
    }
    assert_eq!((rig.machine.rate(), rig.machine.counts().0), (None, Some(38)));
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_falls_back_is_lost_until_it_opens_again() {
    let mut rig = counted();
    rig.ready();
    for blocks in [10, 25, 40] {
        assert_eq!(rig.at(blocks), (Lost, Stand::Closed));
    }
    assert_eq!(rig.machine.rate(), Some(1.0), "how far it is, is shown all the same");
    for _ in 0..42 {
        assert_eq!(rig.at(40), (Lost, Stand::Closed), "also when it does not move");
    }
    assert_eq!(rig.ready(), (Open, Stand::Open));
}

#[tokio::test(start_paused = true)]
async fn silence_leaves_the_stand_of_a_closed_gate_and_doubts_an_open_one() {
    let mut rig = counted();
    assert_eq!(rig.silent(), (Unreachable, Stand::Unknown));
    assert_eq!(rig.machine.detail().as_deref(), Some("connection refused"));
    rig.at(10);
    assert_eq!(rig.silent(), (Unreachable, Stand::Closed));
    rig.ready();
    assert_eq!(rig.silent(), (Unreachable, Stand::Unknown));
    assert_eq!(rig.at(10), (Lost, Stand::Closed));
}

#[tokio::test(start_paused = true)]
async fn silence_closes_a_gate_whose_manifest_says_so() {
    let mut rig = closing();
    assert_eq!(rig.silent(), (Unreachable, Stand::Closed));
    rig.ready();
    assert_eq!(rig.silent(), (Lost, Stand::Closed));
    assert_eq!(rig.ready(), (Open, Stand::Open));
    assert_eq!(rig.step(Event::Away("it is being restarted".into())), (Lost, Stand::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_ask_closes_nothing() {
    let mut rig = closing();
    rig.ready();
    let blind = Event::Looked(Outcome::Blind("the engine is away".into()));
    assert_eq!(rig.step(blind), (Unreachable, Stand::Unknown));
    assert_eq!(rig.ready(), (Open, Stand::Open));
}

#[tokio::test(start_paused = true)]
async fn warming_up_is_no_failure_whatever_a_failure_means() {
    for mut rig in [counted(), closing()] {
        assert_eq!(rig.warming(), (Progressing, Stand::Unknown));
        assert_eq!(rig.machine.detail().as_deref(), Some("is starting"));
        rig.at(10);
        assert_eq!(rig.warming(), (Progressing, Stand::Closed));
        rig.ready();
        assert_eq!(rig.warming(), (Progressing, Stand::Unknown));
        assert_eq!(rig.ready(), (Open, Stand::Open));
        rig.warming();
        assert_eq!(rig.at(10), (Lost, Stand::Closed), "it fell back with the restart");
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_that_should_not_run_closes_its_gate() {
    let mut rig = counted();
    assert_eq!(rig.stopped(), (Unreachable, Stand::Closed));
    rig.ready();
    assert_eq!(rig.stopped(), (Lost, Stand::Closed));
    assert_eq!(rig.step(Event::Away("it is being started".into())), (Unreachable, Stand::Closed));
    assert_eq!(rig.ready(), (Open, Stand::Open));
}

#[tokio::test(start_paused = true)]
async fn what_can_never_open_stalls_with_the_way_out() {
    let mut rig = counted();
    let pruned =
        Reading { impossible: Some(("it is pruned".into(), "keep all".into())), ..Reading::default() };
    assert_eq!(rig.step(answer(pruned)), (Stalled, Stand::Closed));
    assert_eq!(rig.machine.detail().as_deref(), Some("it is pruned: keep all"));
    assert!(rig.machine.impossible().is_some());
    rig.silent();
    assert!(rig.machine.impossible().is_none(), "nobody knows now");
}

#[tokio::test(start_paused = true)]
async fn a_new_incarnation_knows_whether_it_was_open() {
    for (before, expected) in
        [(Some(Open), Lost), (Some(Lost), Lost), (Some(Unreachable), Progressing), (None, Progressing)]
    {
        let mut rig = Rig { machine: Machine::new(&gate(COUNTED), before), now: Instant::now() };
        assert_eq!(rig.machine.stand(), Stand::Unknown);
        assert_eq!(rig.at(10), (expected, Stand::Closed), "{before:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_event_in_every_state_keeps_what_is_told_and_shown_together() {
    let events = [
        answer(Reading { current: Some(10), ..Reading::default() }),
        answer(Reading { ready: true, ..Reading::default() }),
        Event::Looked(Outcome::Warming("w".into())),
        Event::Looked(Outcome::Silent("s".into())),
        Event::Looked(Outcome::Blind("b".into())),
        Event::Away("a".into()),
        Event::Stopped("x".into()),
    ];
    let gates = [gate(COUNTED), gate(&COUNTED.replace("stalled_after", "failure: closed, stalled_after"))];
    // All histories of four events: every state is reached, and every event follows on each.
    for history in 0..events.len().pow(4) {
        for gate in &gates {
            let mut rig = Rig { machine: Machine::new(gate, None), now: Instant::now() };
            for i in 0..4 {
                let event = events[history / events.len().pow(i) % events.len()].clone();
                let before = rig.machine.stand();
                let (state, stand) = rig.step(event.clone());
                assert_eq!(state == Open, stand == Stand::Open, "{event:?}");
                assert!(state != Lost || stand == Stand::Closed, "{event:?}");
                assert!(
                    !(before == Stand::Closed && stand == Stand::Unknown),
                    "closed becomes open or stays: {event:?}"
                );
                assert!(rig.machine.eta().is_none() || rig.machine.rate().is_some());
            }
        }
    }
}
