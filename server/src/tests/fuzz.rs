//! Whatever comes over the wire: no panic, bounded work, and what is taken has one meaning.
//!
//! These are properties on random input with a bounded number of cases; what needs no session is fed by cargo-fuzz as
//! well, see `tests/fuzz`. The corpus are the golden fixtures of the protocol, mutated byte by byte.

use super::Stub;
use crate::{
    Limits,
    auth::cookies,
    host::{HostPolicy, check_origin},
    live::{Caller, Identity, Live},
    session::{Context, End, run},
};
use axum::{
    extract::ws::Message,
    http::{HeaderMap, HeaderValue, header},
};
use futures_util::{sink, stream};
use proptest::prelude::*;
use protocol::{ClientMsg, Command, LoginRequest, StreamName};
use std::{io, sync::Arc};

const CORPUS: &str = include_str!("../../../protocol/fixtures/client.json");

/// Frames of the corpus, some bytes of which are replaced, removed or doubled.
fn mutated() -> impl Strategy<Value = String> {
    let corpus: Vec<serde_json::Value> = serde_json::from_str(CORPUS).unwrap();
    let seeds: Vec<String> = corpus.iter().map(|item| item["value"].to_string()).collect();
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    (prop::sample::select(seeds), prop::collection::vec(change, 0..6)).prop_map(|(seed, changes)| {
        let mut bytes = seed.into_bytes();
        for (at, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![3 => mutated(), 1 => any::<String>(), 1 => "[\\[{\"]{0,200}"]
}

/// A session that is sent these messages and then left.
async fn session(messages: Vec<String>) -> End {
    let node = Stub::new().await;
    let caller = Caller::admin(Identity::Local);
    let ticket = Arc::new(Live::new(Limits::default())).admit(caller.clone()).unwrap();
    let context = Context { node, frames: Arc::default(), stats: Arc::default() };
    let reader = stream::iter(messages.into_iter().map(|text| Ok::<_, io::Error>(Message::text(text))));
    let writer = Box::pin(sink::unfold((), |(), _: Message| async { Ok::<_, io::Error>(()) }));
    run(Box::pin(reader), writer, context, caller, ticket.closed.clone()).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_that_are_taken_have_one_meaning(text in anything()) {
        if let Ok(frame) = serde_json::from_str::<ClientMsg>(&text) {
            let again = serde_json::to_string(&frame).unwrap();
            prop_assert_eq!(serde_json::from_str::<ClientMsg>(&again).unwrap(), frame);
        }
    }

    #[test]
    fn commands_that_are_taken_name_a_valid_app(app in any::<String>(), kind in "install|start|stop|restart|uninstall") {
        let text = serde_json::json!({ "command": kind, "app": app }).to_string();
        match serde_json::from_str::<Command>(&text) {
            Ok(command) => {
                prop_assert_eq!(command.app().as_str(), &app);
                prop_assert!(!app.contains(['/', '.', '\0', ' ', '%']) && app.len() <= 40);
            }
            Err(_) => prop_assert!(app.parse::<protocol::AppId>().is_err()),
        }
        let _ = serde_json::from_str::<LoginRequest>(&text);
    }

    #[test]
    fn cookies_are_bounded_and_only_those_of_the_own_name(bytes in prop::collection::vec(32_u8..127, 0..400)) {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_bytes(&bytes).unwrap());
        let found = cookies(&headers, false);
        prop_assert!(found.len() <= 4);
        let text = String::from_utf8(bytes).unwrap();
        prop_assert!(found.is_empty() || text.contains("archy_session="));
    }

    #[test]
    fn no_other_host_or_origin_passes(text in any::<String>()) {
        let peer = crate::conn::Peer {
            remote: [10, 0, 0, 1].into(),
            local: ([192, 168, 1, 5], 8420).into(),
            via: crate::conn::Via::Plain,
            inside: false,
        };
        let Ok(value) = HeaderValue::from_str(&text) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, value.clone());
        let policy = HostPolicy::new(&[]);
        if policy.check(&"/".parse().unwrap(), &headers, peer).is_ok() {
            let name = text.rsplit_once(':').map_or(text.as_str(), |(name, _)| name);
            prop_assert!(["localhost", "127.0.0.1", "[::1]", "[:", "192.168.1.5"].contains(&&*name.to_lowercase()));
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, value);
        if check_origin(&headers, "localhost:8420", true).is_ok() {
            prop_assert!(["http://localhost:8420", "https://localhost:8420"].contains(&&*text.to_lowercase()));
        }
    }

    #[test]
    fn names_of_streams_that_are_taken_are_written_as_they_came(text in "(logs:)?[a-z0-9/:.-]{0,20}") {
        if let Ok(name) = text.parse::<StreamName>() {
            prop_assert_eq!(name.to_string(), text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_session_survives_or_closes_with_a_code_whatever_it_is_sent(messages in prop::collection::vec(anything(), 0..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match runtime.block_on(session(messages)) {
            End::Gone => {}
            End::Close { code, .. } => prop_assert!([1009, 4400, 4413].contains(&code), "{}", code),
        }
    }
}
