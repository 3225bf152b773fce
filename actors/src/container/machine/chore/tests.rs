use super::*;
use crate::container::{
    look::{Look, Sight, Up},
    machine::{Part, Want},
};
use engine::ProcessRef;
use protocol::ContainerPhase;

const CLEAR: Want = Want::Run { clear: true };
const START: Job = Job::Start(Part::Container);
const STOP: Job = Job::Stop(Part::Container);

fn machine(restart: RestartPolicy, hooks: bool) -> Machine {
    let digest = || hooks.then(|| "h".to_owned());
    let duties = Duties { restart, copies: digest(), commands: digest(), greets: hooks };
    let mut m = Machine::new(false, false).with(duties, Note::default(), false);
    m.want(CLEAR);
    m
}

fn up(run: u32) -> Look {
    Look::Up(Up {
        id: "c".into(),
        process: ProcessRef { pid: run, start_time: 1 },
        monitor: None,
        started_at: Some(run.into()),
        paused: false,
        adrift: false,
        stale: false,
        adopted: false,
    })
}

fn down(code: i32, ended: bool) -> Look {
    Look::Down { id: "c".into(), ran: true, code, oom: false, ended, stale: false, adopted: false }
}

fn look(m: &mut Machine, container: Look) -> Effect {
    assert_eq!(m.next_job(), Some(Job::Look));
    m.looked(Ok(Sight { container, anchor: None }))
}

fn refused() -> EngineError {
    EngineError::Refused { subject: "command x".into(), message: "ended with code 1".into() }
}

/// Through a first start up to the first look at what runs.
fn started(m: &mut Machine) {
    look(m, Look::Absent);
    assert_eq!(m.next_job(), Some(Job::Create(Part::Container)));
    m.done(Job::Create(Part::Container), Ok(Some("c".into())));
    if m.duties.copies.is_some() {
        assert_eq!(m.next_job(), Some(Job::Chore(Chore::Copy)), "before its first start");
        m.done(Job::Chore(Chore::Copy), Ok(None));
    }
    assert_eq!(m.next_job(), Some(START));
    m.done(START, Ok(None));
    assert_eq!(look(m, up(7)), Effect::Probe);
}

#[test]
fn chores_are_done_in_their_order_once_per_container_or_run() {
    let mut m = machine(RestartPolicy::Always, true);
    started(&mut m);
    assert!(m.is_unfinished());
    assert_eq!(m.next_job(), Some(Job::Chore(Chore::Greet)), "right after the start");
    assert_eq!(m.phase(), ContainerPhase::Running);
    m.done(Job::Chore(Chore::Greet), Ok(None));
    assert_eq!(m.next_job(), None, "the hooks wait until it is ready");
    m.set_fit(true);
    assert_eq!(m.next_job(), Some(Job::Chore(Chore::Install)));
    m.done(Job::Chore(Chore::Install), Ok(None));
    assert_eq!((m.next_job(), m.is_unfinished()), (None, false));

    // Another incarnation that adopts it has nothing to do.
    let mut next = Machine::new(false, false).with(m.duties.clone(), m.note().clone(), false);
    next.want(CLEAR);
    look(&mut next, up(7));
    next.set_fit(true);
    assert_eq!((next.next_job(), next.is_unfinished()), (None, false));

    // Another run is greeted again, and not installed again.
    let mut next = Machine::new(false, false).with(m.duties.clone(), m.note().clone(), true);
    next.want(CLEAR);
    look(&mut next, down(1, true));
    assert_eq!(next.next_job(), Some(START));
    next.done(START, Ok(None));
    look(&mut next, up(8));
    next.set_fit(true);
    assert_eq!(next.next_job(), Some(Job::Chore(Chore::Greet)));
    next.done(Job::Chore(Chore::Greet), Ok(None));
    assert_eq!(next.next_job(), None);
}

#[test]
fn a_command_that_fails_stops_the_container_and_an_engine_that_fails_does_not() {
    let mut m = machine(RestartPolicy::Always, true);
    started(&mut m);
    m.next_job();
    let away = EngineError::Unreachable { message: "gone".into() };
    assert!(matches!(m.done(Job::Chore(Chore::Greet), Err(away)), Effect::Again(_)));
    m.rested();
    assert_eq!(look(&mut m, up(7)), Effect::None);
    assert_eq!(m.next_job(), Some(Job::Chore(Chore::Greet)), "it is tried again");
    assert_eq!(m.done(Job::Chore(Chore::Greet), Err(refused())), Effect::None);
    assert_eq!(m.next_job(), Some(STOP));
    let Effect::Fail(exit) = m.done(STOP, Ok(None)) else { panic!() };
    assert_eq!(exit.to_string(), "command x: ended with code 1");
}

#[test]
fn a_stop_does_not_wait_for_a_command_in_the_container() {
    let mut m = machine(RestartPolicy::Always, true);
    started(&mut m);
    assert_eq!(m.next_job(), Some(Job::Chore(Chore::Greet)));
    m.want(Want::Stop);
    assert_eq!(m.next_job(), Some(STOP));
    assert_eq!(m.done(Job::Chore(Chore::Greet), Err(refused())), Effect::None, "it was left");
    assert_eq!(m.done(STOP, Ok(None)), Effect::None);
}

#[test]
fn a_container_that_is_condemned_is_stopped_and_fails_with_the_reason() {
    let exit = || ContainerExit::Unresponsive { probe: "liveness", message: "3 times".into() };
    let mut m = machine(RestartPolicy::Always, false);
    started(&mut m);
    m.condemn(exit());
    assert_eq!(m.next_job(), Some(STOP));
    assert_eq!(m.done(STOP, Ok(None)), Effect::Fail(exit()));
    // Its own end on the way changes nothing of the reason.
    let mut m = machine(RestartPolicy::Always, false);
    started(&mut m);
    m.condemn(exit());
    m.died(ProcessRef { pid: 7, start_time: 1 });
    assert_eq!(look(&mut m, down(0, true)), Effect::Fail(exit()));
    // A user's stop overtakes it.
    let mut m = machine(RestartPolicy::Always, false);
    started(&mut m);
    m.condemn(exit());
    m.want(Want::Stop);
    assert_eq!(m.next_job(), Some(STOP));
    assert_eq!(m.done(STOP, Ok(None)), Effect::None);
}

#[test]
fn a_run_is_over_for_good_as_the_restart_policy_says() {
    use RestartPolicy::{Always, No, OnFailure};
    for (policy, code, over) in
        [(Always, 0, false), (OnFailure, 0, true), (OnFailure, 3, false), (No, 0, true), (No, 3, true)]
    {
        let mut m = machine(policy, false);
        started(&mut m);
        m.died(ProcessRef { pid: 7, start_time: 1 });
        let effect = look(&mut m, down(code, true));
        let expected = if over { Effect::None } else { Effect::Fail(ContainerExit::Exited { code }) };
        assert_eq!(effect, expected, "{policy:?} {code}");
        if over {
            assert_eq!((m.over(), m.next_job(), m.phase()), (Some(code), None, ContainerPhase::Exited));
            assert_eq!(m.settled(), Some(CLEAR));
        }
    }
}

#[test]
fn what_is_over_is_run_again_for_a_user_and_for_nobody_else() {
    let over = || {
        let mut m = machine(RestartPolicy::OnFailure, false);
        look(&mut m, down(0, true));
        assert_eq!((m.next_job(), m.over()), (None, Some(0)), "a new incarnation knows it");
        m
    };
    let mut m = over();
    m.want(Want::Nothing);
    m.want(CLEAR);
    assert_eq!(m.next_job(), None);
    m.want(Want::Stop);
    assert_eq!(m.next_job(), None);
    m.want(CLEAR);
    assert_eq!(m.next_job(), Some(START));
    // A machine that was started anew left it behind in the middle: it never ended.
    let mut m = machine(RestartPolicy::OnFailure, false);
    look(&mut m, down(0, false));
    assert_eq!(m.next_job(), Some(START));
    // What the node itself has stopped did not end either.
    let mut m = Machine::new(true, false).with(over().duties.clone(), Note::default(), false);
    m.want(CLEAR);
    look(&mut m, up(7));
    assert_eq!(m.next_job(), Some(STOP), "a sibling's failure");
    m.done(STOP, Ok(None));
    look(&mut m, down(0, true));
    assert_eq!(m.next_job(), Some(START));
}
