//! The phase of an app: one pure function of intent, observation, health and the running operation.
//!
//! Nobody else infers it.

use protocol::{ContainerPhase, Desired, Health, OpKind, Phase};

/// What the phase of an app depends on.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    /// Whether an install has succeeded.
    pub(crate) installed: bool,
    /// What the user wants.
    pub(crate) desired: Desired,
    /// The running operation.
    pub(crate) op: Option<OpKind>,
    /// Whether the containers' supervisor has given up.
    pub(crate) parked: bool,
    /// What of other apps it waits for, in words.
    pub(crate) held: Option<&'a str>,
    /// What of other apps it runs without, in words.
    pub(crate) misses: Option<&'a str>,
    /// Which of its containers has ended for good and badly, in words.
    pub(crate) failed: Option<&'a str>,
    /// Whether it is stopped until that is there again, or to be restarted.
    pub(crate) draining: bool,
    /// Its containers: name, phase, health, what is wrong with it.
    pub(crate) containers: &'a [(&'a str, ContainerPhase, Health, Option<&'a str>)],
}

fn is_up(phase: ContainerPhase) -> bool {
    use ContainerPhase as P;
    match phase {
        P::Running | P::Starting | P::Stopping => true,
        P::Unknown
        | P::Absent
        | P::Creating
        | P::Created
        | P::Waiting
        | P::Exited
        | P::Backoff
        | P::Parked => false,
    }
}

/// The phase, and why, in words.
pub(crate) fn phase(facts: &Facts<'_>) -> (Phase, Option<String>) {
    match facts.op {
        Some(OpKind::Install) => return (Phase::Installing, None),
        Some(OpKind::Uninstall) => return (Phase::Uninstalling, None),
        Some(OpKind::Update) => return (Phase::Updating, None),
        Some(OpKind::Backup) => return (Phase::BackingUp, None),
        Some(OpKind::Restore) => return (Phase::Restoring, None),
        Some(OpKind::Restart) => return (Phase::Restarting, Some("restart was asked for".into())),
        Some(OpKind::Start | OpKind::Stop) | None => {}
    }
    if !facts.installed {
        // It is here because it is about to be installed, or because a failed install left something behind.
        return match facts.desired {
            Desired::Absent => {
                (Phase::Failed, Some("its install failed and left something behind: uninstall it".into()))
            }
            Desired::Running | Desired::Stopped => (Phase::Installing, None),
        };
    }
    match facts.desired {
        Desired::Absent => {
            (Phase::Failed, Some("its uninstall did not come to its end: uninstall it again".into()))
        }
        Desired::Stopped => {
            let find =
                |is: fn(ContainerPhase) -> bool| facts.containers.iter().find(|(_, phase, ..)| is(*phase));
            if let Some((name, ..)) = find(is_up) {
                return (Phase::Stopping, Some(format!("{name} is being stopped")));
            }
            match find(|phase| phase == ContainerPhase::Unknown) {
                Some((name, _, _, trouble)) => {
                    let trouble = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
                    (Phase::Stopping, Some(format!("whether {name} is down is being looked at{trouble}")))
                }
                None => (Phase::Stopped, Some("stopped by the user".into())),
            }
        }
        Desired::Running => running(facts),
    }
}

fn running(facts: &Facts<'_>) -> (Phase, Option<String>) {
    use ContainerPhase as P;
    if facts.parked {
        return (Phase::CrashLooping, None);
    }
    let with = |wanted: &[P]| facts.containers.iter().find(|(_, phase, ..)| wanted.contains(phase));
    if facts.draining {
        let why = facts.misses.or(facts.held).unwrap_or("what it needs is there again: it is restarted");
        return (Phase::Stopping, Some(why.to_owned()));
    }
    let words = |name: &str, what: &str, trouble: Option<&str>| {
        Some(trouble.map_or_else(|| format!("{name} {what}"), |trouble| format!("{name} {what}: {trouble}")))
    };
    // A start that was asked for is no restart.
    let ends: &[P] =
        if facts.op == Some(OpKind::Start) { &[P::Backoff] } else { &[P::Exited, P::Backoff, P::Stopping] };
    if let Some((name, _, _, trouble)) = with(ends) {
        return (Phase::Restarting, words(name, "is being restarted", *trouble));
    }
    if let Some((name, _, _, trouble)) = with(&[P::Unknown]) {
        return (Phase::Starting, words(name, "is being looked at", *trouble));
    }
    let unhealthy = facts
        .containers
        .iter()
        .find(|(_, phase, health, _)| *phase == P::Running && *health == Health::Unhealthy);
    if let Some((name, _, _, trouble)) = unhealthy {
        let what = if trouble.is_some() { "is not ready" } else { "does not answer its readiness probe" };
        return (Phase::Unhealthy, words(name, what, *trouble));
    }
    if let Some((name, _, _, trouble)) =
        with(&[P::Absent, P::Creating, P::Created, P::Exited, P::Stopping, P::Starting])
    {
        return (Phase::Starting, words(name, "is being started", *trouble));
    }
    let waking = facts
        .containers
        .iter()
        .find(|(_, phase, health, _)| *phase == P::Running && *health == Health::Starting);
    if let Some((name, ..)) = waking {
        return (Phase::Starting, words(name, "runs, its readiness is being checked", None));
    }
    if let (Some((name, ..)), Some(failed)) = (with(&[P::Waiting]), facts.failed) {
        return (Phase::Failed, Some(format!("{failed}, and {name} waits for it")));
    }
    match (with(&[P::Waiting]), facts.held, facts.misses.or(facts.failed)) {
        (Some(_), Some(held), _) => (Phase::Waiting, Some(held.to_owned())),
        (Some((name, ..)), None, _) => (Phase::Waiting, words(name, "waits for its dependencies", None)),
        (None, _, Some(misses)) => (Phase::Degraded, Some(misses.to_owned())),
        (None, _, None) => (Phase::Running, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ContainerPhase as P;

    fn of(desired: Desired, op: Option<OpKind>, parked: bool, containers: &[(P, Health)]) -> Phase {
        let containers: Vec<_> =
            containers.iter().map(|(phase, health)| ("c", *phase, *health, None)).collect();
        phase(&Facts {
            installed: true,
            desired,
            op,
            parked,
            containers: &containers,
            held: None,
            misses: None,
            failed: None,
            draining: false,
        })
        .0
    }

    #[test]
    fn a_users_stop_beats_everything_that_looks_alive() {
        let up = [(P::Running, Health::Healthy)];
        assert_eq!(of(Desired::Stopped, None, false, &up), Phase::Stopping);
        assert_eq!(of(Desired::Stopped, None, true, &[(P::Parked, Health::None)]), Phase::Stopped);
        assert_eq!(
            of(Desired::Stopped, Some(OpKind::Stop), false, &[(P::Exited, Health::None)]),
            Phase::Stopped
        );
    }

    #[test]
    fn what_nobody_has_looked_at_does_not_count_as_stopped() {
        let containers = [(P::Exited, Health::None), (P::Unknown, Health::None)];
        assert_eq!(of(Desired::Stopped, None, false, &containers), Phase::Stopping);
    }

    #[test]
    fn running_means_that_everything_runs_and_is_ready() {
        let run = |containers: &[(P, Health)]| of(Desired::Running, None, false, containers);
        assert_eq!(run(&[(P::Running, Health::Healthy), (P::Running, Health::None)]), Phase::Running);
        assert_eq!(run(&[(P::Running, Health::Healthy), (P::Running, Health::Starting)]), Phase::Starting);
        assert_eq!(run(&[(P::Running, Health::Unhealthy)]), Phase::Unhealthy);
        assert_eq!(run(&[(P::Running, Health::Healthy), (P::Exited, Health::None)]), Phase::Restarting);
        assert_eq!(run(&[(P::Running, Health::Healthy), (P::Backoff, Health::None)]), Phase::Restarting);
        assert_eq!(run(&[(P::Running, Health::Healthy), (P::Waiting, Health::None)]), Phase::Waiting);
        assert_eq!(run(&[(P::Running, Health::Starting), (P::Waiting, Health::None)]), Phase::Starting);
        assert_eq!(run(&[(P::Unknown, Health::None)]), Phase::Starting);
    }

    #[test]
    fn exhaustion_shows_as_crash_looping() {
        assert_eq!(of(Desired::Running, None, true, &[(P::Exited, Health::None)]), Phase::CrashLooping);
    }

    #[test]
    fn what_a_failed_install_left_behind_is_shown() {
        let of = |desired| {
            phase(&Facts {
                installed: false,
                desired,
                op: None,
                parked: false,
                containers: &[],
                held: None,
                misses: None,
                failed: None,
                draining: false,
            })
            .0
        };
        assert_eq!(of(Desired::Absent), Phase::Failed);
        assert_eq!(of(Desired::Running), Phase::Installing);
    }

    #[test]
    fn an_operation_names_the_phase() {
        let up = [(P::Running, Health::Healthy)];
        assert_eq!(of(Desired::Running, Some(OpKind::Install), false, &[]), Phase::Installing);
        assert_eq!(of(Desired::Absent, Some(OpKind::Uninstall), false, &up), Phase::Uninstalling);
        assert_eq!(of(Desired::Running, Some(OpKind::Restart), false, &up), Phase::Restarting);
        assert_eq!(of(Desired::Running, Some(OpKind::Start), false, &up), Phase::Running);
        let down = [(P::Exited, Health::None)];
        assert_eq!(of(Desired::Running, Some(OpKind::Start), false, &down), Phase::Starting);
    }
}
