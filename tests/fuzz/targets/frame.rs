//! Frames of clients and of the node: what is taken has one meaning.
#![no_main]

use protocol::{ClientMsg, ServerMsg};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(frame) = serde_json::from_str::<ClientMsg>(text) {
        let again = serde_json::to_string(&frame).expect("it can be written");
        assert_eq!(serde_json::from_str::<ClientMsg>(&again).expect("it can be read"), frame);
    }
    if let Ok(frame) = serde_json::from_str::<ServerMsg>(text) {
        let again = serde_json::to_string(&frame).expect("it can be written");
        serde_json::from_str::<ServerMsg>(&again).expect("it can be read");
    }
});
