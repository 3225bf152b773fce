//! The checks that types cannot make.

use std::collections::HashSet;

use crate::{AutoShutdown, Backoff, ChildSpec, Restart, SpecError, SupFlags};

/// Checks specifications that are to run together under a supervisor with the given automatic shutdown.
///
/// ```
/// use supervisor::{check_childspecs, AutoShutdown, ChildSpec, Started};
/// let spec = ChildSpec::worker("a", |_| async { Ok(Started::ignore()) });
/// assert!(check_childspecs(&[spec], AutoShutdown::Never).is_ok());
/// ```
///
/// # Errors
///
/// Fails with the first contradiction: two children of one id, a significance that can never show, an unusable backoff.
pub fn check_childspecs(specs: &[ChildSpec], auto_shutdown: AutoShutdown) -> Result<(), SpecError> {
    let mut ids = HashSet::with_capacity(specs.len());
    for spec in specs {
        if !ids.insert(&spec.id) {
            return Err(SpecError::DuplicateChildId(spec.id.clone()));
        }
        check_childspec(spec, auto_shutdown)?;
    }
    Ok(())
}

pub(crate) fn check_childspec(spec: &ChildSpec, auto_shutdown: AutoShutdown) -> Result<(), SpecError> {
    if spec.significant && (spec.restart == Restart::Permanent || auto_shutdown == AutoShutdown::Never) {
        return Err(SpecError::BadCombination(spec.id.clone()));
    }
    match &spec.backoff {
        Some(backoff) if !usable(backoff) => Err(SpecError::InvalidBackoff(spec.id.clone())),
        _ => Ok(()),
    }
}

fn usable(backoff: &Backoff) -> bool {
    backoff.factor.is_finite() && backoff.factor >= 1.0 && (0.0..=1.0).contains(&backoff.jitter)
}

pub(crate) fn check_flags(flags: &SupFlags) -> Result<(), SpecError> {
    if flags.period.is_zero() { Err(SpecError::ZeroPeriod) } else { Ok(()) }
}

/// Returns the ids of the children that wait so long between restarts that they can never exceed the intensity alone.
///
/// Such a child is retried for ever, which may be meant; with [`OnExhausted`](crate::OnExhausted) in mind it often is not.
///
/// ```
/// use supervisor::{unreachable_intensity, Backoff, ChildSpec, Started, Strategy, SupFlags};
/// let spec = ChildSpec::worker("a", |_| async { Ok(Started::ignore()) }).backoff(Backoff::default());
/// let flags = SupFlags::new(Strategy::OneForOne).intensity(50, std::time::Duration::from_secs(5));
/// assert_eq!(unreachable_intensity(&[spec], &flags), ["a"]);
/// ```
pub fn unreachable_intensity(specs: &[ChildSpec], flags: &SupFlags) -> Vec<crate::ChildId> {
    let never = |backoff: &Backoff| {
        let mut spent = std::time::Duration::ZERO;
        // The best chance to exceed it are the first restarts, with the shortest waits.
        for failures in 1..=flags.intensity {
            spent = spent.saturating_add(backoff.delay(failures, 0.0));
            if spent > flags.period {
                return true;
            }
        }
        false
    };
    specs
        .iter()
        .filter(|spec| spec.backoff.as_deref().is_some_and(never))
        .map(|spec| spec.id.clone())
        .collect()
}
