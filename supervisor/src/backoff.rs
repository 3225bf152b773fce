//! Waiting before a restart, which OTP does not have.

use std::time::Duration;

/// Delays the restarts of a child that fails again and again; a [`ChildSpec`](crate::ChildSpec) without one restarts at once, as in OTP.
///
/// The first restart after a healthy time waits [`first`](Self::first) (nothing by default), the second [`initial`](Self::initial), and each further one
/// [`factor`](Self::factor) times longer up to [`max`](Self::max), each with a random deviation of [`jitter`](Self::jitter).
///
/// ```
/// use std::time::Duration;
/// use supervisor::Backoff;
/// let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
/// assert_eq!(backoff.delay(0, 0.5), Duration::ZERO);
/// assert_eq!(backoff.delay(1, 0.5), Duration::from_millis(200));
/// assert_eq!(backoff.delay(2, 0.5), Duration::from_millis(400));
/// assert_eq!(backoff.delay(60, 0.5), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// The wait before the first restart.
    pub first: Duration,
    /// The wait before the second restart.
    pub initial: Duration,
    /// How many times longer each further wait is.
    pub factor: f64,
    /// The longest wait, before the jitter.
    pub max: Duration,
    /// The part of the wait by which chance may lengthen or shorten it: 0.2 is ±20 %.
    pub jitter: f64,
    /// How long a child must have run for its next failure to count as its first.
    pub reset_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::ZERO,
            initial: Duration::from_millis(200),
            factor: 2.0,
            max: Duration::from_secs(60),
            jitter: 0.2,
            reset_after: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// Returns the wait before a restart, after `failures` earlier restarts without a healthy time between, for a `chance` in 0..=1 (0.5 is no deviation).
    pub fn delay(&self, failures: u32, chance: f64) -> Duration {
        let base = match failures {
            0 => self.first.as_secs_f64(),
            // However often nothing is multiplied: the factor's power becomes infinite.
            _ if self.initial.is_zero() => 0.0,
            n => {
                let exponent = i32::try_from(n - 1).unwrap_or(i32::MAX);
                (self.initial.as_secs_f64() * self.factor.powi(exponent)).min(self.max.as_secs_f64())
            }
        };
        let wait = base * (1.0 + self.jitter * (2.0 * chance - 1.0));
        if wait <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(wait).unwrap_or(if wait.is_nan() { self.max } else { Duration::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn no_wait_stays_none_after_any_number_of_failures() {
        let none = Backoff { initial: Duration::ZERO, ..Backoff::default() };
        for failures in [0, 1, 2, 1000, 2000, u32::MAX] {
            assert_eq!(none.delay(failures, 1.0), Duration::ZERO);
        }
    }

    #[test]
    fn longest_waits_do_not_overflow() {
        let long = Backoff {
            first: Duration::MAX,
            initial: Duration::MAX,
            max: Duration::MAX,
            ..Backoff::default()
        };
        for failures in [0, 1, 2, u32::MAX] {
            assert_eq!(long.delay(failures, 0.5), Duration::MAX);
            assert_eq!(long.delay(failures, 1.0), Duration::MAX);
            assert!(long.delay(failures, 0.0) < Duration::MAX);
        }
        let capped = Backoff { max: Duration::from_secs(1), jitter: 0.2, ..Backoff::default() };
        assert_eq!(capped.delay(u32::MAX, 1.0), Duration::from_millis(1200));
    }

    #[test]
    fn nonsense_is_no_wait() {
        for factor in [f64::NAN, -2.0] {
            let odd = Backoff { factor, ..Backoff::default() };
            assert!(odd.delay(2, 0.5) <= odd.max);
        }
    }
}
