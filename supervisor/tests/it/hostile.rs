//! Children that do what they must not: none takes the supervisor down, loses an exit or runs twice.

mod drops;
mod ends;
mod orphans;
mod starts;

use supervisor::{ChildSpec, ChildState, Strategy, SupervisorRef};

use crate::lab::{Lab, child, roomy, state, stop};

/// The supervisor is as it should be if a bystander has not been touched and both still obey.
async fn unharmed(lab: &Lab, sup: &SupervisorRef) {
    assert_eq!(child(sup, "bystander").await.generation, 1);
    assert_eq!(state(sup, "bystander").await, ChildState::Running);
    stop(sup).await;
    assert!(lab.words().contains(&"-bystander1".to_owned()));
}

async fn with_bystander(lab: &Lab, spec: ChildSpec) -> SupervisorRef {
    lab.supervisor(roomy(Strategy::OneForOne), vec![lab.child("bystander"), spec]).await
}
