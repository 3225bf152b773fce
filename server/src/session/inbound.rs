//! What clients say.

use super::{End, Session, now_ms};
use crate::frame;
use axum::extract::ws::Message;
use futures_util::Sink;
use protocol::{ClientMsg, ServerMsg, StreamId, StreamName, SubStream, close_code};
use std::time::Duration;
use tokio::time::Instant;

/// Messages per second; acks of a frame that was under way are free, as the window bounds them.
pub(super) const PER_SECOND: u32 = 20;
/// Streams in one message.
const MAX_STREAMS: usize = 32;

impl<W, E> Session<W>
where
    W: Sink<Message, Error = E> + Unpin,
    E: std::error::Error,
{
    pub(super) async fn inbound(&mut self, msg: Option<Result<Message, E>>) -> Result<(), End> {
        let msg = match msg {
            Some(Ok(msg)) => msg,
            Some(Err(error)) => return Err(broken(&error)),
            None => return Err(End::Gone),
        };
        let now = Instant::now();
        self.last_in = now;
        let text = match msg {
            Message::Text(text) => text,
            Message::Close(_) => return Err(End::Gone),
            // The WebSocket layer answers pings by itself.
            Message::Ping(_) | Message::Pong(_) if self.rate.take(now) => return Ok(()),
            Message::Ping(_) | Message::Pong(_) => return Err(too_many()),
            Message::Binary(_) => return Err(End::close(close_code::BAD_MESSAGE, "frames are text")),
        };
        let parsed = serde_json::from_str::<ClientMsg>(&text);
        if let Ok(ClientMsg::Ack { stream, seq }) = &parsed
            && self.flow.ack(stream, *seq)
        {
            return Ok(());
        }
        if !self.rate.take(now) {
            return Err(too_many());
        }
        match parsed {
            Ok(ClientMsg::Sub { r#ref, streams }) => self.subscribe(r#ref, streams).await,
            Ok(ClientMsg::Unsub { streams }) => {
                streams.iter().for_each(|stream| self.unsubscribe(stream));
                Ok(())
            }
            Ok(ClientMsg::Ack { .. }) => Ok(()),
            Ok(ClientMsg::Tune { stream, min_interval_ms }) => {
                if self.flow.tune(&stream, Duration::from_millis(min_interval_ms.into())) {
                    return Ok(());
                }
                self.error(None, "not_subscribed", format!("{stream} is not subscribed")).await
            }
            Ok(ClientMsg::Ping { id }) => {
                self.send(frame::plain(&ServerMsg::Pong { id, now_ms: now_ms() })).await
            }
            Err(error) => self.refuse(&text, &error).await,
        }
    }

    async fn subscribe(&mut self, reference: u32, streams: Vec<SubStream>) -> Result<(), End> {
        if streams.len() > MAX_STREAMS {
            let message = format!("at most {MAX_STREAMS} streams in one message");
            return self.error(Some(reference), "too_many_streams", message).await;
        }
        let mut current = false;
        for sub in streams {
            // That the client acks, and how rarely it wants frames, is kept.
            self.feeds.remove(&sub.stream);
            self.waiting.remove(&sub.stream);
            let more = self.flow.sent_of(&sub.stream).is_none();
            if more && self.flow.len() + self.waiting.len() >= MAX_STREAMS {
                let reason = format!("more than {MAX_STREAMS} subscriptions");
                return Err(End::close(close_code::TOO_MUCH, reason));
            }
            // An empty list of apps from a node that has not looked yet would be a lie.
            if sub.stream == StreamId::Apps.into() && !self.context.node.is_ready() {
                self.flow.unsubscribe(&sub.stream);
                self.waiting.insert(sub.stream.clone(), sub);
            } else {
                current |= self.begin(reference, sub).await?;
            }
        }
        // Nothing else would tell the client that it is current.
        if current { self.mark().await } else { Ok(()) }
    }

    pub(super) fn unsubscribe(&mut self, stream: &StreamName) {
        self.waiting.remove(stream);
        self.feeds.remove(stream);
        self.flow.unsubscribe(stream);
    }

    /// Refuses a frame that could be of a newer client; what is no frame at all ends the connection.
    async fn refuse(&mut self, text: &str, error: &serde_json::Error) -> Result<(), End> {
        let Ok(frame) = serde_json::from_str::<serde_json::Value>(text) else {
            return Err(End::close(close_code::BAD_MESSAGE, "not JSON"));
        };
        if !frame.get("t").is_some_and(serde_json::Value::is_string) {
            return Err(End::close(close_code::BAD_MESSAGE, "a frame is an object with a member t"));
        }
        let reference = frame.get("ref").and_then(serde_json::Value::as_u64);
        let reference = reference.and_then(|reference| u32::try_from(reference).ok());
        self.error(reference, "bad_frame", error.to_string()).await
    }

    async fn error(&mut self, reference: Option<u32>, code: &str, message: String) -> Result<(), End> {
        let error = ServerMsg::Error { r#ref: reference, code: code.into(), message, retryable: false };
        self.send(frame::plain(&error)).await
    }
}

fn too_many() -> End {
    End::close(close_code::BAD_MESSAGE, "more than 20 messages in a second")
}

/// Tells a message that is too big from a broken connection.
fn broken(error: &dyn std::error::Error) -> End {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        // Naming the error's type would tie the crate to axum's version of tungstenite.
        if error.to_string().contains("too long") {
            return End::close(close_code::MESSAGE_TOO_BIG, "messages are 16 KiB at most");
        }
        next = error.source();
    }
    End::Gone
}
