use super::{event::patience, *};
use crate::container::look::{Lag, Look, Sight};
use engine::EngineError;
use protocol::ContainerPhase;

const CONTAINER: Part = Part::Container;
const ANCHOR: Part = Part::Anchor;
const CLEAR: Want = Want::Run { clear: true };

fn process(pid: u32) -> ProcessRef {
    ProcessRef { pid, start_time: 1 }
}
fn is_up(id: &str, pid: u32) -> Look {
    Look::Up(Up {
        id: id.into(),
        process: process(pid),
        monitor: Some(process(1000 + pid)),
        started_at: Some(pid.into()),
        paused: false,
        adrift: false,
        stale: false,
        adopted: false,
    })
}
fn is_down(id: &str, code: i32) -> Look {
    Look::Down { id: id.into(), ran: true, code, oom: false, ended: true, stale: false, adopted: false }
}
fn is_behind(id: &str, why: Lag) -> Look {
    Look::Behind { id: id.into(), why, adopted: false }
}
/// A container without an anchor.
fn alone(container: Look) -> Result<Sight, EngineError> {
    Ok(Sight { container, anchor: None })
}
fn both(container: Look, anchor: Look) -> Result<Sight, EngineError> {
    Ok(Sight { container, anchor: Some(anchor) })
}
fn up(pid: u32) -> Result<Sight, EngineError> {
    alone(is_up("c", pid))
}
fn down(code: i32) -> Result<Sight, EngineError> {
    alone(is_down("c", code))
}
fn behind(why: Lag) -> Result<Sight, EngineError> {
    alone(is_behind("c", why))
}
fn away() -> EngineError {
    EngineError::Unreachable { message: "gone".into() }
}

/// A machine that wants its container up and has seen it so.
fn running() -> Machine {
    let mut m = Machine::new(false, false);
    m.want(CLEAR);
    assert_eq!(m.next_job(), Some(Job::Look));
    assert_eq!(m.looked(up(7)), Effect::Probe);
    assert_eq!((m.next_job(), m.phase()), (None, ContainerPhase::Running));
    m
}

#[test]
fn it_creates_and_starts_what_is_wanted_and_absent() {
    let mut m = Machine::new(false, false);
    m.want(Want::Run { clear: false });
    assert_eq!(m.next_job(), Some(Job::Look));
    assert_eq!(m.next_job(), None, "one call is in flight at a time");
    m.looked(alone(Look::Absent));
    assert_eq!(m.next_job(), Some(Job::Create(CONTAINER)));
    m.done(Job::Create(CONTAINER), Ok(Some("c".into())));
    assert_eq!((m.next_job(), m.phase()), (None, ContainerPhase::Waiting));
    m.want(CLEAR);
    assert_eq!(m.next_job(), Some(Job::Start(CONTAINER)));
    m.done(Job::Start(CONTAINER), Ok(None));
    assert_eq!(m.next_job(), Some(Job::Look));
    assert_eq!(m.looked(up(7)), Effect::Probe);
}

#[test]
fn nothing_is_done_before_the_app_says_what_it_wants() {
    for look in [up(7), down(1), alone(Look::Absent)] {
        let mut m = Machine::new(true, false);
        assert_eq!(m.next_job(), Some(Job::Look));
        m.looked(look);
        assert_eq!(m.next_job(), None);
    }
}

#[test]
fn a_death_ends_the_machine_with_the_exit_code() {
    let mut m = running();
    m.died(process(8));
    assert_eq!(m.phase(), ContainerPhase::Running, "another process's death is none of ours");
    m.died(process(7));
    assert_eq!((m.phase(), m.next_job()), (ContainerPhase::Exited, Some(Job::Look)));
    assert_eq!(m.looked(down(137)), Effect::Fail(ContainerExit::Exited { code: 137 }));
    assert_eq!(m.phase(), ContainerPhase::Exited, "the last thing shown is the death");
}

#[test]
fn an_engine_that_is_behind_is_asked_again_and_then_held_for_wrong() {
    let mut m = running();
    m.died(process(7));
    let mut waits = Duration::ZERO;
    while m.next_job() == Some(Job::Look) {
        match m.looked(behind(Lag::Telling)) {
            Effect::Again(wait) => {
                waits += wait;
                assert_eq!(m.next_job(), None, "it rests");
                m.rested();
            }
            effect => {
                assert_eq!(effect, Effect::None);
                break;
            }
        }
    }
    assert!(waits > Duration::from_secs(2) && waits < Duration::from_secs(10), "{waits:?}");
    assert_eq!(m.next_job(), Some(Job::Remove(CONTAINER)));
    assert_eq!(m.done(Job::Remove(CONTAINER), Ok(None)), Effect::Fail(ContainerExit::Zombie));
}

#[test]
fn an_engine_that_cleans_up_gets_more_time() {
    let mut m = running();
    m.died(process(7));
    let mut waits = Duration::ZERO;
    for _ in 0..2 * patience(Lag::Telling) {
        assert_eq!(m.next_job(), Some(Job::Look));
        let Effect::Again(wait) = m.looked(behind(Lag::Cleaning)) else { panic!() };
        waits += wait;
        m.rested();
    }
    assert!(waits > Duration::from_secs(10), "{waits:?}");
    m.next_job();
    assert_eq!(m.looked(down(1)), Effect::Fail(ContainerExit::Exited { code: 1 }));
}

#[test]
fn a_stop_on_purpose_is_no_failure() {
    let mut m = running();
    m.want(Want::Stop);
    assert_eq!(m.next_job(), Some(Job::Stop(CONTAINER)));
    m.died(process(7));
    assert_eq!(m.done(Job::Stop(CONTAINER), Ok(None)), Effect::None);
    assert_eq!(m.next_job(), Some(Job::Look));
    assert_eq!(m.looked(down(0)), Effect::None);
    assert_eq!((m.next_job(), m.phase()), (None, ContainerPhase::Exited));
}

#[test]
fn a_death_that_a_stop_overtakes_is_no_failure() {
    let mut m = running();
    m.died(process(7));
    assert_eq!(m.next_job(), Some(Job::Look));
    m.want(Want::Stop);
    assert_eq!(m.looked(down(1)), Effect::None);
    m.want(CLEAR);
    assert_eq!(m.next_job(), Some(Job::Start(CONTAINER)));
}

#[test]
fn removal_stops_first_and_is_confirmed_by_a_look() {
    let mut m = running();
    m.want(Want::Remove);
    assert_eq!(m.next_job(), Some(Job::Stop(CONTAINER)));
    m.done(Job::Stop(CONTAINER), Ok(None));
    m.next_job();
    m.looked(down(0));
    assert_eq!(m.next_job(), Some(Job::Remove(CONTAINER)));
    m.done(Job::Remove(CONTAINER), Ok(None));
    assert_eq!(m.phase(), ContainerPhase::Unknown);
    assert_eq!(m.next_job(), Some(Job::Look));
    m.looked(alone(Look::Absent));
    assert_eq!((m.next_job(), m.phase()), (None, ContainerPhase::Absent));
}

#[test]
fn a_siblings_failure_restarts_a_running_container_once() {
    let mut m = Machine::new(true, false);
    m.want(CLEAR);
    m.next_job();
    m.looked(up(7));
    assert_eq!(m.next_job(), Some(Job::Stop(CONTAINER)));
    m.done(Job::Stop(CONTAINER), Ok(None));
    m.next_job();
    m.looked(down(0));
    assert_eq!(m.next_job(), Some(Job::Start(CONTAINER)));
    m.done(Job::Start(CONTAINER), Ok(None));
    m.next_job();
    m.looked(up(8));
    assert_eq!(m.next_job(), None);
}

#[test]
fn an_engine_that_is_away_changes_nothing_and_is_asked_again() {
    let mut m = running();
    m.hint();
    assert_eq!(m.next_job(), Some(Job::Look));
    assert!(matches!(m.looked(Err(away())), Effect::Again(_)));
    assert_eq!((m.phase(), m.next_job()), (ContainerPhase::Running, None));
    assert!(m.trouble().is_some());
    m.rested();
    assert_eq!(m.next_job(), Some(Job::Look));
    assert_eq!(m.looked(up(7)), Effect::None, "the same process is watched already");
    assert_eq!(m.trouble(), None);
}

#[test]
fn a_start_that_may_have_landed_is_looked_at_and_one_that_was_refused_fails() {
    let mut m = Machine::new(false, false);
    m.want(CLEAR);
    m.next_job();
    m.looked(down(0));
    m.next_job();
    let timeout = EngineError::Timeout { call: "start", subject: "c".into(), after: Duration::from_secs(1) };
    assert!(matches!(m.done(Job::Start(CONTAINER), Err(timeout)), Effect::Again(_)));
    m.rested();
    assert_eq!(m.next_job(), Some(Job::Look));
    m.looked(down(0));
    m.next_job();
    let refused = EngineError::PortInUse { subject: "c".into(), message: "80".into() };
    assert!(matches!(
        m.done(Job::Start(CONTAINER), Err(refused)),
        Effect::Fail(ContainerExit::Refused { .. })
    ));
}

#[test]
fn a_container_that_is_not_ours_is_never_touched() {
    for want in [CLEAR, Want::Stop, Want::Remove, Want::GiveBack, Want::Nothing] {
        let mut m = Machine::new(false, false);
        m.want(want);
        m.next_job();
        let effect = m.looked(alone(Look::Foreign));
        assert_eq!(effect == Effect::Fail(ContainerExit::Foreign), want == CLEAR);
        if want != CLEAR {
            assert_eq!(m.next_job(), None);
        }
    }
}

#[test]
fn a_list_that_disagrees_leads_to_a_look() {
    let mut m = running();
    let is = Listed { id: "c", runs: true, process: Some(process(7)) };
    m.listed(CONTAINER, Some(is));
    assert_eq!(m.next_job(), None);
    for found in [
        None,
        Some(Listed { runs: false, ..is }),
        Some(Listed { id: "other", ..is }),
        Some(Listed { process: None, ..is }),
        Some(Listed { process: Some(process(8)), ..is }),
    ] {
        let mut m = running();
        m.listed(CONTAINER, found);
        assert_eq!(m.next_job(), Some(Job::Look), "{found:?}");
    }
}

/// Lets the machine work until it has nothing to do: what a look finds follows what was done.
fn settle(m: &mut Machine, mut container: Look, mut anchor: Look) -> Vec<Job> {
    let mut jobs = Vec::new();
    while let Some(job) = m.next_job() {
        let effect = match job {
            Job::Look => m.looked(both(container.clone(), anchor.clone())),
            _ => {
                jobs.push(job);
                let pid = 100 + u32::try_from(jobs.len()).unwrap();
                match job {
                    Job::Create(CONTAINER) => container = is_down("c", 0),
                    Job::Create(ANCHOR) => anchor = is_down("a", 0),
                    Job::Start(CONTAINER) => container = is_up("c", pid),
                    Job::Start(ANCHOR) => anchor = is_up("a", pid),
                    Job::Stop(CONTAINER) => container = is_down("c", 143),
                    Job::Stop(ANCHOR) => anchor = is_down("a", 143),
                    Job::Remove(CONTAINER) => container = Look::Absent,
                    Job::Remove(ANCHOR) => anchor = Look::Absent,
                    Job::Look | Job::Unpause | Job::Chore(_) => {}
                }
                m.done(job, Ok(matches!(job, Job::Create(_)).then(|| "c".to_owned())))
            }
        };
        match effect {
            Effect::Again(_) => m.rested(),
            Effect::None | Effect::Probe => {}
            Effect::Fail(exit) => panic!("{exit} after {jobs:?}"),
        }
        assert!(jobs.len() < 20, "it does not settle: {jobs:?}");
    }
    jobs
}

#[test]
fn every_state_of_a_service_is_brought_to_what_is_wanted() {
    use Job::{Create, Remove, Start, Stop};
    let (c, a) = (CONTAINER, ANCHOR);
    let stale = |look: Look| match look {
        Look::Down { id, ran, code, oom, ended, .. } => {
            Look::Down { id, ran, code, oom, ended, stale: true, adopted: false }
        }
        Look::Up(up) => Look::Up(Up { stale: true, ..up }),
        look => look,
    };
    let zombie = is_behind("a", Lag::Unmonitored);
    let (up, down) = (is_up("c", 7), is_down("c", 1));
    let (net_up, net_down) = (is_up("a", 8), is_down("a", 1));
    let cases: &[(&Look, &Look, Want, &[Job])] = &[
        (&Look::Absent, &Look::Absent, CLEAR, &[Create(a), Start(a), Create(c), Start(c)]),
        (&down, &net_down, CLEAR, &[Start(a), Start(c)]),
        (&down, &net_up, CLEAR, &[Start(c)]),
        (&up, &net_up, CLEAR, &[]),
        (&up, &net_down, CLEAR, &[Stop(c), Start(a), Start(c)]),
        (&up, &zombie, CLEAR, &[Stop(c), Remove(c), Remove(a), Create(a), Start(a), Create(c), Start(c)]),
        (&down, &zombie, CLEAR, &[Remove(c), Remove(a), Create(a), Start(a), Create(c), Start(c)]),
        (&Look::Absent, &zombie, CLEAR, &[Remove(a), Create(a), Start(a), Create(c), Start(c)]),
        (&stale(down.clone()), &net_up, CLEAR, &[Remove(c), Create(c), Start(c)]),
        (&stale(up.clone()), &net_up, CLEAR, &[]),
        (&stale(up.clone()), &stale(net_up.clone()), CLEAR, &[]),
        (
            &down,
            &stale(net_up.clone()),
            CLEAR,
            &[Remove(c), Remove(a), Create(a), Start(a), Create(c), Start(c)],
        ),
        (&up, &net_up, Want::Stop, &[Stop(c), Stop(a)]),
        (&up, &zombie, Want::Stop, &[Stop(c), Remove(c), Remove(a)]),
        (&down, &net_up, Want::Stop, &[Stop(a)]),
        (&stale(down.clone()), &net_down, Want::Stop, &[]),
        (&Look::Absent, &Look::Absent, Want::Stop, &[]),
        (&up, &net_up, Want::Remove, &[Stop(c), Remove(c), Remove(a)]),
        (&down, &zombie, Want::Remove, &[Remove(c), Remove(a)]),
        (&Look::Absent, &net_down, Want::Remove, &[Remove(a)]),
        (&up, &net_down, Want::Nothing, &[]),
    ];
    for (container, anchor, want, jobs) in cases {
        let mut m = Machine::new(false, false);
        m.want(*want);
        assert_eq!(
            settle(&mut m, (*container).clone(), (*anchor).clone()),
            *jobs,
            "{container:?} {anchor:?} {want:?}"
        );
    }
}

#[test]
fn a_stop_is_not_over_while_the_anchor_holds_the_ports() {
    let mut m = Machine::new(false, false);
    m.want(Want::Stop);
    m.next_job();
    m.looked(both(is_down("c", 0), is_up("a", 8)));
    assert_eq!(m.phase(), ContainerPhase::Stopping);
    assert_eq!(m.next_job(), Some(Job::Stop(ANCHOR)));
    m.done(Job::Stop(ANCHOR), Ok(None));
    m.next_job();
    m.looked(both(is_down("c", 0), is_down("a", 0)));
    assert_eq!(m.phase(), ContainerPhase::Exited);
}

#[test]
fn an_anchor_that_ends_fails_the_container_once() {
    let mut m = Machine::new(false, false);
    m.want(CLEAR);
    settle(&mut m, is_up("c", 7), is_up("a", 8));
    assert!(!m.is_cut_off());
    m.died(process(8));
    assert_eq!((m.phase(), m.is_cut_off()), (ContainerPhase::Running, true));
    assert_eq!(m.next_job(), Some(Job::Look));
    let lost = m.looked(both(is_up("c", 7), is_down("a", 137)));
    assert_eq!(lost, Effect::Fail(ContainerExit::NetworkLost));
    assert_eq!((m.phase(), m.is_cut_off()), (ContainerPhase::Running, true), "it runs, nobody reaches it");
    let mut next = Machine::new(false, false);
    next.want(CLEAR);
    let jobs = settle(&mut next, is_up("c", 7), is_down("a", 137));
    assert_eq!(jobs, [Job::Stop(CONTAINER), Job::Start(ANCHOR), Job::Start(CONTAINER)]);
}

#[test]
fn nothing_is_destroyed_on_one_look() {
    for why in [Lag::Unmonitored, Lag::Damaged] {
        let mut m = running();
        m.hint();
        m.next_job();
        assert!(matches!(m.looked(behind(why)), Effect::Again(_)));
        m.rested();
        assert_eq!(m.next_job(), Some(Job::Look));
        assert!(
            matches!(m.looked(alone(is_behind("other", why))), Effect::Again(_)),
            "the second look is at another container"
        );
        m.rested();
        m.next_job();
        m.looked(alone(is_behind("other", why)));
        assert_eq!(m.next_job(), Some(Job::Remove(CONTAINER)), "{why:?}");
        let exit = if why == Lag::Damaged { ContainerExit::Damaged } else { ContainerExit::Zombie };
        assert_eq!(m.done(Job::Remove(CONTAINER), Ok(None)), Effect::Fail(exit));
    }
    let mut m = running();
    m.hint();
    m.next_job();
    m.looked(behind(Lag::Unmonitored));
    m.rested();
    m.next_job();
    assert_eq!(m.looked(up(7)), Effect::None);
    assert_eq!((m.next_job(), m.phase()), (None, ContainerPhase::Running), "the first look was wrong");
}

#[test]
fn a_container_and_its_anchor_that_both_died_unseen_are_both_held_for_dead() {
    let mut m = Machine::new(false, false);
    m.want(CLEAR);
    m.next_job();
    m.looked(both(is_up("c", 7), is_up("a", 8)));
    m.died(process(7));
    let dead = || both(is_behind("c", Lag::Unmonitored), is_behind("a", Lag::Unmonitored));
    assert_eq!(m.next_job(), Some(Job::Look));
    assert!(matches!(m.looked(dead()), Effect::Again(_)));
    m.rested();
    assert_eq!(m.next_job(), Some(Job::Look));
    assert_eq!(m.looked(dead()), Effect::None, "the second look agrees with the first on both");
    assert_eq!(m.next_job(), Some(Job::Remove(CONTAINER)));
}

#[test]
fn another_process_with_the_pid_of_a_dead_one_does_not_count_as_it() {
    let mut m = running();
    let reused = |m: &mut Machine| {
        let Look::Up(up) = is_up("c", 7) else { panic!() };
        m.looked(alone(Look::Up(Up { process: ProcessRef { pid: 7, start_time: 2 }, ..up })))
    };
    m.hint();
    m.next_job();
    assert!(matches!(reused(&mut m), Effect::Again(_)));
    m.rested();
    m.next_job();
    reused(&mut m);
    assert_eq!(m.next_job(), Some(Job::Remove(CONTAINER)));
}

#[test]
fn a_paused_container_goes_on_where_it_is_wanted() {
    let mut m = running();
    m.hint();
    m.next_job();
    let Look::Up(it) = is_up("c", 7) else { panic!() };
    m.looked(alone(Look::Up(Up { paused: true, ..it })));
    assert_eq!(m.next_job(), Some(Job::Unpause));
    m.done(Job::Unpause, Ok(None));
    m.next_job();
    m.looked(up(7));
    assert_eq!((m.next_job(), m.phase()), (None, ContainerPhase::Running));
}
