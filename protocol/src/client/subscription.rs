//! A subscription that outlives its connections.

use super::{
    Client, ClientError, StreamEvent,
    socket::{Lost, Socket},
    state::{Reply, State},
};
use crate::{ClientMsg, ErrorCode, ServerMsg, StreamName, SubStream};
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

/// First pause before a reconnection; it doubles.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest pause.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// A connection without any frame for so long is dead: the node marks every 10 s.
const SILENCE: Duration = Duration::from_secs(45);

/// Typed changes of the subscribed streams, in order.
///
/// It has no task of its own: it works while [`next`](Self::next) is awaited, which a caller does again and again.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    state: State,
    socket: Option<Socket>,
    ping: Duration,
    next_ping: Instant,
    deadline: Instant,
    /// Sent when the caller has taken all events of a frame.
    ack: Option<(StreamName, u64)>,
    /// Failed attempts since the last row.
    attempts: u32,
    refs: u32,
}

impl Subscription {
    pub(super) async fn connect(client: Client, streams: Vec<SubStream>) -> Result<Self, ClientError> {
        let now = Instant::now();
        let mut subscription = Self {
            client,
            state: State::new(streams),
            socket: None,
            ping: SILENCE,
            next_ping: now,
            deadline: now,
            ack: None,
            attempts: 0,
            refs: 0,
        };
        subscription.open().await?;
        Ok(subscription)
    }

    /// The next change. It may be dropped and called anew without losing any.
    ///
    /// A lost connection is told once as [`StreamEvent::Disconnected`], and then sought again without end, with pauses.
    ///
    /// # Errors
    ///
    /// When trying again cannot help: the session ended, or the node speaks another protocol.
    pub async fn next(&mut self) -> Result<StreamEvent, ClientError> {
        loop {
            if let Some(event) = self.state.events.pop_front() {
                return Ok(event);
            }
            if self.socket.is_none() {
                self.reopen().await?;
                return Ok(StreamEvent::Reconnected);
            }
            match self.step().await {
                Ok(()) => {}
                Err(Lost::Fatal(error)) => return Err(error),
                Err(Lost::Retry(reason)) => {
                    self.socket = None;
                    self.ack = None;
                    return Ok(StreamEvent::Disconnected { reason });
                }
            }
        }
    }

    /// Sends what is due and takes one frame.
    async fn step(&mut self) -> Result<(), Lost> {
        let Some(socket) = &mut self.socket else { return Err(Lost::Retry("not connected".into())) };
        if let Some((stream, seq)) = &self.ack {
            socket.send(&ClientMsg::Ack { stream: stream.clone(), seq: *seq }).await?;
            self.ack = None;
        }
        let msg = tokio::select! {
            msg = socket.recv() => msg?,
            () = sleep_until(self.next_ping) => {
                self.next_ping = Instant::now() + self.ping;
                self.refs += 1;
                return socket.send(&ClientMsg::Ping { id: self.refs }).await;
            }
            () = sleep_until(self.deadline) => return Err(Lost::Retry("the node is silent".into())),
        };
        self.deadline = Instant::now() + SILENCE;
        let Some(msg) = msg else { return Ok(()) };
        if let ServerMsg::Error { code, message, retryable: false, .. } = &msg {
            return Err(Lost::Fatal(ClientError::Protocol(format!("{message} ({code})"))));
        }
        match self.state.apply(msg) {
            Reply::Nothing => {}
            Reply::Ack(stream, seq) => {
                self.attempts = 0;
                self.ack = Some((stream, seq));
            }
            Reply::Resubscribe(stream) => {
                self.refs += 1;
                let streams = self.state.again(&stream).into_iter().collect();
                socket.send(&ClientMsg::Sub { r#ref: self.refs, streams }).await?;
            }
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<(), ClientError> {
        let (mut socket, hello) = Socket::connect(&self.client).await?;
        self.state.hello(&hello.epoch);
        self.refs += 1;
        let sub = ClientMsg::Sub { r#ref: self.refs, streams: self.state.wanted() };
        match socket.send(&sub).await {
            Ok(()) => {}
            Err(Lost::Retry(reason)) => return Err(self.client.unreachable(reason)),
            Err(Lost::Fatal(error)) => return Err(error),
        }
        let now = Instant::now();
        self.ping = hello.ping;
        self.next_ping = now + hello.ping;
        self.deadline = now + SILENCE;
        self.socket = Some(socket);
        Ok(())
    }

    async fn reopen(&mut self) -> Result<(), ClientError> {
        loop {
            sleep(pause(self.attempts)).await;
            self.attempts = self.attempts.saturating_add(1);
            match self.open().await {
                Ok(()) => return Ok(()),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether the node may take the connection later.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        _ => matches!(
            error.code(),
            Some(ErrorCode::TooManyRequests | ErrorCode::Unavailable | ErrorCode::Internal)
        ),
    }
}

/// Doubles up to the longest, and takes a random part between half and all of it, so that clients do not come at once.
fn pause(attempts: u32) -> Duration {
    let full = RETRY_FIRST.saturating_mul(1 << attempts.min(8)).min(RETRY_MAX);
    let random = RandomState::new().hash_one(attempts) % 1_000;
    full / 2 + full / 2 * u32::try_from(random).unwrap_or(0) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds_with_half_jitter() {
        for (attempts, full) in [(0, 250), (1, 500), (3, 2_000), (9, 10_000), (4_000_000, 10_000)] {
            let pause = pause(attempts);
            assert!(pause >= Duration::from_millis(full / 2), "{pause:?}");
            assert!(pause <= Duration::from_millis(full), "{pause:?}");
        }
    }
}
