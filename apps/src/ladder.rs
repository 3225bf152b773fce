//! The ladder that an app climbs in its test: each rung is worth something only when all below it hold.

/// A rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rung {
    /// Its number.
    pub level: u8,
    /// What it proves.
    pub proves: &'static str,
    /// Whether a running node is needed for it.
    pub needs_node: bool,
}

/// All rungs, the lowest first.
pub const RUNGS: &[Rung] = &[
    Rung { level: 0, proves: "the manifest is valid and keeps to the policy", needs_node: false },
    Rung { level: 1, proves: "lint finds no error", needs_node: false },
    Rung { level: 2, proves: "what the engine will be asked for is what it was", needs_node: false },
    Rung { level: 3, proves: "a cold install becomes ready and its page is reached", needs_node: true },
    Rung {
        level: 4,
        proves: "it comes back after stop, restart, kill, and restarts of daemon and machine",
        needs_node: true,
    },
    Rung { level: 5, proves: "a backup brings its state back", needs_node: true },
    Rung { level: 6, proves: "an update keeps its data, and can be gone back on", needs_node: true },
    Rung {
        level: 7,
        proves: "an uninstall leaves nothing behind, and it can be installed again",
        needs_node: true,
    },
    Rung { level: 8, proves: "the new version starts on the data of the last good one", needs_node: true },
];

/// What came of a rung.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not, and why.
    Failed(String),
    /// Nobody has tried, and why. It counts as little as one that failed.
    NotRun(String),
}

impl Outcome {
    /// As a word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::NotRun(_) => "not run",
        }
    }

    /// Why it did not pass.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Passed => None,
            Self::Failed(why) | Self::NotRun(why) => Some(why),
        }
    }
}

/// The highest rung that was reached without a gap; `None` where not even the lowest holds.
pub fn verdict(outcomes: &[Outcome]) -> Option<Rung> {
    let reached = outcomes.iter().take_while(|outcome| **outcome == Outcome::Passed).count();
    RUNGS.get(reached.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_without_a_gap_counts() {
        let (passed, failed) = (Outcome::Passed, Outcome::Failed("no".into()));
        let not_run = Outcome::NotRun("no node".into());
        let level = |outcomes: &[&Outcome]| {
            let outcomes: Vec<Outcome> = outcomes.iter().map(|outcome| (*outcome).clone()).collect();
            verdict(&outcomes).map(|rung| rung.level)
        };
        assert_eq!(level(&[&failed, &passed]), None);
        assert_eq!(level(&[]), None);
        assert_eq!(level(&[&passed, &failed, &passed]), Some(0));
        assert_eq!(level(&[&passed, &passed, &not_run, &passed]), Some(1));
        assert_eq!(level(&[&passed; 9]), Some(8));
        assert!(RUNGS.iter().enumerate().all(|(i, rung)| usize::from(rung.level) == i));
    }
}
