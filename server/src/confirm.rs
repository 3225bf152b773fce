//! Confirmations of commands that destroy something: whoever sends one has been shown what it does.

use crate::{answer::Refusal, login::random};
use protocol::{ApiError, Command, Confirm, ErrorCode, Plan};

/// How long a confirmation is good.
const GOOD_MS: u64 = 5 * 60_000;

/// Makes and checks confirmations. They need no memory: each carries its proof.
pub(crate) struct Confirmations {
    key: [u8; 32],
}

impl Default for Confirmations {
    fn default() -> Self {
        let mut key = [0; 32];
        // Without random bytes no confirmation can be made either, see `ask`.
        let _ = getrandom::fill(&mut key);
        Self { key }
    }
}

impl Confirmations {
    fn proof(&self, command: &Command, plan: &Plan, who: &str, until: u64) -> Option<blake3::Hash> {
        let what = serde_json::to_string(&(command, plan, who, until)).ok()?;
        Some(blake3::keyed_hash(&self.key, what.as_bytes()))
    }

    /// Asks for a confirmation.
    pub(crate) fn ask(&self, command: &Command, plan: Plan, who: &str, now: u64) -> Refusal {
        let until = now + GOOD_MS;
        let proof = random().ok().and_then(|_| self.proof(command, &plan, who, until));
        let Some(proof) = proof else { return crate::answer::internal("no confirmation could be made") };
        let token = format!("{until}.{}", proof.to_hex());
        Refusal::from(ApiError {
            confirm: Some(Box::new(Confirm { plan, token })),
            ..ApiError::new(ErrorCode::ConfirmRequired, "this destroys something and has to be confirmed")
                .hint("show the plan, and send the command again with the header Confirm-Token")
        })
    }

    /// Whether this confirms this command with this plan, of this caller, now.
    pub(crate) fn is_given(&self, token: &str, command: &Command, plan: &Plan, who: &str, now: u64) -> bool {
        let Some((until, given)) = token.split_once('.') else { return false };
        let (Ok(until), Ok(given)) = (until.parse::<u64>(), blake3::Hash::from_hex(given)) else {
            return false;
        };
        // Comparing hashes takes the same time wherever they differ.
        now <= until && self.proof(command, plan, who, until) == Some(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confirmation_is_for_one_command_plan_and_caller_and_ends() {
        let confirmations = Confirmations::default();
        let command = |app: &str| Command::Uninstall { app: app.parse().unwrap(), purge: false };
        let plan = || Plan { removes: vec!["3 containers".into()], ..Plan::default() };
        let error = confirmations.ask(&command("demo"), plan(), "me", 1_000).into_error();
        assert_eq!(error.code, ErrorCode::ConfirmRequired);
        let confirm = error.confirm.unwrap();
        assert_eq!(confirm.plan, plan());
        let given = |command: &Command, plan: &Plan, who: &str, now| {
            confirmations.is_given(&confirm.token, command, plan, who, now)
        };
        assert!(given(&command("demo"), &plan(), "me", 1_000 + GOOD_MS));
        assert!(!given(&command("demo"), &plan(), "me", 1_001 + GOOD_MS), "too late");
        assert!(!given(&command("other"), &plan(), "me", 1_000));
        assert!(!given(&command("demo"), &Plan::default(), "me", 1_000), "something else would go now");
        assert!(!given(&command("demo"), &plan(), "you", 1_000));
        for bad in ["", ".", "1", "x.y", "99999999999999.00"] {
            assert!(!confirmations.is_given(bad, &command("demo"), &plan(), "me", 0), "{bad}");
        }
    }
}
