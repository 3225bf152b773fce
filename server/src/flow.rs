//! How much is under way to one client: a cursor per stream and an ack window of one; pure.

use protocol::StreamName;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Between deltas to a client that acks: one painted frame, which also bounds the number of acks.
const ACKED_INTERVAL: Duration = Duration::from_millis(16);
/// Between deltas to a client that never acks.
const UNACKED_INTERVAL: Duration = Duration::from_millis(50);
/// Longest interval that a client may ask for: it would look dead beyond the heartbeat.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// How long a client that acks may take for one frame.
pub(crate) const ACK_DEADLINE: Duration = Duration::from_secs(30);

/// Whether the next delta of a stream may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Yes.
    Open,
    /// Not before this moment.
    At(Instant),
    /// Not before the ack of the last one.
    Ack,
}

#[derive(Debug)]
struct Cursor {
    sent: u64,
    /// The client has acked at least once.
    acks: bool,
    /// The last frame is not acked.
    open: bool,
    last: Option<Instant>,
    /// What the client asked for by `tune`.
    least: Duration,
    /// Nothing shared is there before this.
    hold: Option<Instant>,
}

/// The subscribed streams of one client.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    cursors: BTreeMap<StreamName, Cursor>,
}

impl Flow {
    /// Begins a stream, or begins it anew: the client has everything up to `seq`.
    pub(crate) fn subscribe(&mut self, stream: StreamName, seq: u64) {
        let (acks, least) =
            self.cursors.get(&stream).map_or((false, Duration::ZERO), |cursor| (cursor.acks, cursor.least));
        self.cursors.insert(stream, Cursor { sent: seq, acks, open: false, last: None, least, hold: None });
    }

    pub(crate) fn unsubscribe(&mut self, stream: &StreamName) {
        self.cursors.remove(stream);
    }

    /// Number of subscribed streams.
    pub(crate) fn len(&self) -> usize {
        self.cursors.len()
    }

    /// What went out last of a stream.
    pub(crate) fn sent_of(&self, stream: &StreamName) -> Option<u64> {
        self.cursors.get(stream).map(|cursor| cursor.sent)
    }

    /// What went out last, per stream.
    pub(crate) fn sent(&self) -> BTreeMap<StreamName, u64> {
        self.cursors.iter().map(|(stream, cursor)| (stream.clone(), cursor.sent)).collect()
    }

    pub(crate) fn gate(&self, stream: &StreamName, now: Instant) -> Gate {
        let Some(cursor) = self.cursors.get(stream) else { return Gate::Ack };
        if cursor.acks && cursor.open {
            return Gate::Ack;
        }
        let interval = if cursor.acks { ACKED_INTERVAL } else { UNACKED_INTERVAL }.max(cursor.least);
        match cursor.last.map(|last| last + interval).max(cursor.hold) {
            Some(at) if now < at => Gate::At(at),
            _ => Gate::Open,
        }
    }

    /// Sends a stream less often from now on.
    pub(crate) fn tune(&mut self, stream: &StreamName, least: Duration) -> bool {
        let Some(cursor) = self.cursors.get_mut(stream) else { return false };
        cursor.least = least.min(MAX_INTERVAL);
        true
    }

    /// Sends nothing of a stream before this moment.
    pub(crate) fn hold(&mut self, stream: &StreamName, at: Instant) {
        if let Some(cursor) = self.cursors.get_mut(stream) {
            cursor.hold = Some(at);
        }
    }

    /// When the client has taken too long to ack, unless it acks until then.
    pub(crate) fn ack_due(&self) -> Option<Instant> {
        let open = self.cursors.values().filter(|cursor| cursor.acks && cursor.open);
        open.filter_map(|cursor| cursor.last).min().map(|last| last + ACK_DEADLINE)
    }

    /// A frame went out.
    pub(crate) fn record(&mut self, stream: &StreamName, seq: u64, now: Instant) {
        if let Some(cursor) = self.cursors.get_mut(stream) {
            cursor.sent = seq;
            cursor.open = true;
            cursor.last = Some(now);
            cursor.hold = None;
        }
    }

    /// The client took the frame. Tells whether one was under way, so that surplus acks can be counted.
    pub(crate) fn ack(&mut self, stream: &StreamName, seq: u64) -> bool {
        let Some(cursor) = self.cursors.get_mut(stream) else { return false };
        cursor.acks = true;
        let expected = cursor.open;
        if seq >= cursor.sent {
            cursor.open = false;
        }
        expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: StreamName = StreamName::Rows(protocol::StreamId::Apps);

    fn flow(seq: u64, now: Instant) -> Flow {
        let mut flow = Flow::default();
        flow.subscribe(S, 0);
        flow.record(&S, seq, now);
        flow
    }

    #[tokio::test]
    async fn a_client_that_never_acks_is_paced() {
        let now = Instant::now();
        let flow = flow(3, now);
        assert_eq!(flow.gate(&S, now), Gate::At(now + UNACKED_INTERVAL));
        assert_eq!(flow.gate(&S, now + UNACKED_INTERVAL), Gate::Open);
    }

    #[tokio::test]
    async fn after_the_first_ack_one_frame_is_under_way_at_most() {
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        let mut flow = flow(3, now);
        assert!(flow.ack(&S, 3));
        assert_eq!(flow.gate(&S, later), Gate::Open);
        flow.record(&S, 5, later);
        assert_eq!(flow.gate(&S, later + Duration::from_secs(60)), Gate::Ack);
        assert!(flow.ack(&S, 4), "an older ack was under way");
        assert_eq!(flow.gate(&S, later + Duration::from_secs(60)), Gate::Ack);
        assert!(flow.ack(&S, 5));
        assert_eq!(flow.gate(&S, later), Gate::At(later + ACKED_INTERVAL));
        assert!(!flow.ack(&S, 5), "a surplus ack");
    }

    #[tokio::test]
    async fn a_first_ack_that_lags_behind_closes_the_window() {
        let now = Instant::now();
        let mut flow = flow(3, now);
        flow.record(&S, 5, now);
        flow.ack(&S, 3);
        assert_eq!(flow.gate(&S, now + Duration::from_secs(1)), Gate::Ack);
    }

    #[tokio::test]
    async fn beginning_anew_forgets_what_was_under_way_but_not_that_the_client_acks() {
        let now = Instant::now();
        let mut flow = flow(3, now);
        flow.ack(&S, 3);
        flow.record(&S, 4, now);
        flow.subscribe(S, 9);
        assert_eq!(flow.gate(&S, now), Gate::Open);
        assert_eq!(flow.sent(), [(S, 9)].into());
        flow.record(&S, 10, now);
        assert_eq!(flow.gate(&S, now + Duration::from_secs(1)), Gate::Ack);
        flow.unsubscribe(&S);
        assert!(flow.sent().is_empty());
        assert!(!flow.ack(&S, 10));
    }

    #[tokio::test]
    async fn a_hidden_page_gets_frames_as_rarely_as_it_asked_for() {
        let now = Instant::now();
        let mut flow = flow(3, now);
        flow.ack(&S, 3);
        assert!(flow.tune(&S, Duration::from_secs(2)));
        assert_eq!(flow.gate(&S, now), Gate::At(now + Duration::from_secs(2)));
        flow.subscribe(S, 3);
        flow.record(&S, 4, now);
        flow.ack(&S, 4);
        assert_eq!(flow.gate(&S, now), Gate::At(now + Duration::from_secs(2)), "it is kept");
        assert!(flow.tune(&S, Duration::ZERO));
        assert_eq!(flow.gate(&S, now), Gate::At(now + ACKED_INTERVAL));
        assert!(!flow.tune(&StreamName::Events, Duration::ZERO), "not subscribed");
    }

    #[tokio::test]
    async fn an_ack_is_due_only_of_who_acks() {
        let now = Instant::now();
        let mut flow = flow(3, now);
        assert_eq!(flow.ack_due(), None);
        flow.ack(&S, 3);
        assert_eq!(flow.ack_due(), None);
        flow.record(&S, 4, now);
        assert_eq!(flow.ack_due(), Some(now + ACK_DEADLINE));
    }
}
