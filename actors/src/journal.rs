//! The journal: numbers what happened, writes it to the store and shows it on the board.
//!
//! Parent: node, permanent. Children: none.
//! Invariants: what is on the board is in the store; numbers have no holes. What waits to be written is kept in a
//! bounded queue outside the actor, so a restart of the actor or the store loses nothing but what the bound cuts off,
//! and that is counted.

pub(crate) mod draft;
mod rate;
pub(crate) mod reports;
pub(crate) mod rows;

use crate::{ctx::Ctx, names::name, store::StoreError};
use protocol::Event;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use rate::Rate;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use draft::EventDraft;

/// Events that may wait for the store.
const MAX_WAITING: usize = 2_000;
/// Events that are written in one step.
const BATCH: usize = 100;
/// Time to the next attempt while the store refuses.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Waiting {
    rate: Rate,
    events: VecDeque<Event>,
    /// Left out because too many were waiting.
    lost: u64,
}

/// Where events are put. Cheap to clone; outlives the actor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inbox(Arc<Mutex<Waiting>>);

impl Inbox {
    /// Takes an event unless its cause is too loud.
    fn put(&self, draft: EventDraft, now_ms: u64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(suppressed) = waiting.rate.admit(&draft.cause_key(), now_ms) else { return };
        if waiting.events.len() >= MAX_WAITING {
            waiting.lost += 1 + suppressed;
            return;
        }
        let lost = std::mem::take(&mut waiting.lost);
        waiting.events.push_back(draft.at(now_ms, suppressed + lost));
    }

    /// The next events to write; they stay until [`Self::written`].
    fn batch(&self) -> Vec<Event> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.events.iter().take(BATCH).cloned().collect()
    }

    fn written(&self, count: usize) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = count.min(waiting.events.len());
        waiting.events.drain(..count);
    }
}

impl Ctx {
    /// Puts an event into the journal.
    pub(crate) fn record(&self, draft: EventDraft) {
        self.inbox.put(draft, crate::clock::now_ms());
        // A journal that is away looks into the inbox when it is back.
        self.names.cast(name::JOURNAL, JournalMsg::Write);
    }
}

/// Messages of the journal.
pub(crate) enum JournalMsg {
    /// Cast: write what waits.
    Write,
}

/// The actor.
pub(crate) struct Journal;

impl Actor for Journal {
    type Msg = JournalMsg;
    type State = Ctx;
    type Arguments = Ctx;

    async fn pre_start(&self, myself: ActorRef<JournalMsg>, ctx: Ctx) -> Result<Ctx, ActorProcessingErr> {
        // What the store has and the board has not: all of it at the node's start, little after a failure.
        let mut missing = ctx.store.events(None, None, crate::board::KEPT_EVENTS).await?;
        missing.reverse();
        for (seq, json) in missing {
            ctx.board.journal().push(seq, json.into());
        }
        ctx.names.register(name::JOURNAL, myself.get_cell());
        Ok(ctx)
    }

    async fn post_start(&self, myself: ActorRef<JournalMsg>, _: &mut Ctx) -> Result<(), ActorProcessingErr> {
        Ok(myself.cast(JournalMsg::Write)?)
    }

    async fn handle(
        &self,
        myself: ActorRef<JournalMsg>,
        JournalMsg::Write: JournalMsg,
        ctx: &mut Ctx,
    ) -> Result<(), ActorProcessingErr> {
        loop {
            let batch = ctx.inbox.batch();
            if batch.is_empty() {
                return Ok(());
            }
            let count = batch.len();
            match ctx.store.append_events(batch).await {
                Ok(written) => {
                    ctx.inbox.written(count);
                    for (seq, json) in written {
                        ctx.board.journal().push(seq, json.into());
                    }
                }
                Err(error) => {
                    retry(&myself, &error);
                    return Ok(());
                }
            }
        }
    }
}

/// A full disk or a store that is being restarted: what waits goes on waiting.
fn retry(myself: &ActorRef<JournalMsg>, error: &StoreError) {
    tracing::warn!(%error, "events could not be written");
    myself.send_after(AGAIN, || JournalMsg::Write);
}

#[cfg(test)]
mod tests;
