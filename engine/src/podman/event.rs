//! The engine's events.

use super::{call::Call, raw::Answer};
use crate::{Event, EventAction, Result};
use bytes::BytesMut;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};

/// An event is some kilobytes at most; a longer line means that this is no event stream.
const MAX_LINE: usize = 1 << 20;

/// Attributes that the engine mixes among a container's labels.
const NOT_LABELS: &[&str] = &[
    "name",
    "image",
    "containerExitCode",
    "podId",
    "execID",
    "health_status",
    "health_failing_streak",
    "health_log",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    #[serde(default)]
    r#type: String,
    action: String,
    actor: Actor,
    #[serde(default, rename = "timeNano")]
    time_nano: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    attributes: Option<BTreeMap<String, String>>,
}

/// One line of the stream; `None` where it is about something else than a container.
pub(super) fn parse(line: &[u8]) -> serde_json::Result<Option<Event>> {
    let body: Body = serde_json::from_slice(line)?;
    if !matches!(body.r#type.as_str(), "container" | "") {
        return Ok(None);
    }
    let mut labels = body.actor.attributes.unwrap_or_default();
    let name = labels.get("name").cloned().unwrap_or_default();
    labels.retain(|key, _| !NOT_LABELS.contains(&key.as_str()));
    let action = match body.action.as_str() {
        "create" => EventAction::Create,
        "start" => EventAction::Start,
        // `die` is Docker's word, which the compatible API uses.
        "died" | "die" => EventAction::Died,
        "remove" => EventAction::Remove,
        other => EventAction::Other(other.to_owned()),
    };
    Ok(Some(Event { id: body.actor.id, name, labels, action, time_nano: body.time_nano }))
}

/// The events of an answer; the stream ends with the connection.
pub(super) fn events(call: Call, answer: Answer) -> BoxStream<'static, Result<Event>> {
    struct State {
        call: Call,
        answer: Option<Answer>,
        buffer: BytesMut,
        ready: VecDeque<Event>,
    }
    let state = State { call, answer: Some(answer), buffer: BytesMut::new(), ready: VecDeque::new() };
    stream::unfold(state, |mut state| async move {
        loop {
            if let Some(event) = state.ready.pop_front() {
                return Some((Ok(event), state));
            }
            let part = match state.answer.as_mut()?.next().await? {
                Ok(part) => part,
                Err(error) => {
                    state.answer = None;
                    return Some((Err(error), state));
                }
            };
            state.buffer.extend_from_slice(&part);
            while let Some(end) = state.buffer.iter().position(|byte| *byte == b'\n') {
                let line = state.buffer.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                match parse(&line) {
                    Ok(event) => state.ready.extend(event),
                    // One event that is not understood must not cost those behind it; the relist covers it.
                    Err(error) => {
                        tracing::warn!(%error, line = %String::from_utf8_lossy(&line), "event not understood");
                    }
                }
            }
            if state.buffer.len() > MAX_LINE {
                state.answer = None;
                return Some((Err(state.call.not_understood("an event is too long")), state));
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const LINES: &str = concat!(
        r#"{"status":"died","id":"4056","from":"localhost/x:1","Type":"container","Action":"died","Actor":{"ID":"4056","Attributes":{"archipelago.app":"demo","containerExitCode":"137","image":"localhost/x:1","name":"web"}},"scope":"local","time":1795238498,"timeNano":1795238498957018707}"#,
        "\n",
        r#"{"Type":"volume","Action":"create","Actor":{"ID":"v","Attributes":{}},"timeNano":1}"#,
        "\nnot json\n\n",
        r#"{"Type":"container","Action":"health_status","Actor":{"ID":"4056","Attributes":null},"HealthStatus":"healthy","timeNano":2}"#,
        "\n"
    );

    #[tokio::test]
    async fn events_survive_split_lines_and_unknown_words() {
        for chunk in [1, 7, 64, LINES.len()] {
            let parts: Vec<_> =
                LINES.as_bytes().chunks(chunk).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
            let call = Call::new("events", "the engine".into(), 10);
            let got: Vec<_> = events(call, stream::iter(parts).boxed()).map(Result::unwrap).collect().await;
            assert_eq!(got.len(), 2, "{got:?}");
            assert_eq!(got[0].action, EventAction::Died);
            assert_eq!(got[0].name, "web");
            assert_eq!(got[0].labels, BTreeMap::from([("archipelago.app".into(), "demo".into())]));
            assert_eq!(got[0].time_nano, 1_795_238_498_957_018_707);
            assert_eq!(got[1].action, EventAction::Other("health_status".into()));
        }
    }
}
