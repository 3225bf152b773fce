//! The end of a supervisor that was stopped by ractor's stop, not by a call: its mailbox is closed already.

use std::time::Duration;

use futures_util::future::join_all;
use ractor::{ActorCell, ActorRef};

use super::actions::ask_to_stop;
use super::{SupMsg, SupState};
use crate::report::ReportEvent;
use crate::{ExitReason, Shutdown};

impl SupState {
    /// Stops the children as `Event::Shutdown` would, but without hearing why they end.
    pub(super) async fn shut_down_without_mailbox(&mut self, myself: &ActorRef<SupMsg>) {
        self.ended = true;
        for place in &mut self.places {
            place.task = None;
        }
        let grace = self.core.flags.kill_grace;
        let children: Vec<_> = self
            .core
            .children
            .iter()
            .filter_map(|(slot, child)| {
                let cell = self.places.get(slot as usize)?.cell.clone()?;
                Some((slot, cell, child.spec.shutdown))
            })
            .collect();
        let mut left = Vec::new();
        if self.core.simple {
            let ends = children.iter().map(|(_, cell, shutdown)| stop_and_wait(cell, *shutdown, grace));
            left = join_all(ends).await;
        } else {
            for (_, cell, shutdown) in children.iter().rev() {
                left.push(stop_and_wait(cell, *shutdown, grace).await);
            }
            left.reverse();
        }
        let now = self.now();
        for ((slot, ..), reason) in children.into_iter().zip(left).rev() {
            let event = match reason {
                Some(reason) => ReportEvent::ChildTerminated { reason, restarting: false },
                None => ReportEvent::Unkillable,
            };
            let about = self.core.children.get(slot).map(|child| child.about(slot));
            self.report(now, about, event);
        }
        // Actors that start functions left half-way are linked, and ractor kills them now.
        for stray in myself.get_children() {
            stray.kill();
        }
        self.report(now, None, ReportEvent::SupervisorEnded { reason: ExitReason::Shutdown(None) });
    }
}

/// Returns how the child ended, as far as that can be known, or `None` if it did not.
async fn stop_and_wait(cell: &ActorCell, shutdown: Shutdown, grace: Duration) -> Option<ExitReason> {
    let asked = match shutdown {
        Shutdown::BrutalKill => false,
        Shutdown::Timeout(timeout) => {
            ask_to_stop(cell);
            cell.wait(Some(timeout)).await.is_ok()
        }
        Shutdown::Infinity => {
            ask_to_stop(cell);
            cell.wait(None).await.is_ok()
        }
    };
    if asked {
        return Some(ExitReason::Shutdown(None));
    }
    cell.kill();
    cell.wait(Some(grace)).await.ok().map(|()| ExitReason::Killed)
}
