//! Commands name a valid app, and what is taken has one meaning.
#![no_main]

use protocol::Command;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(command) = serde_json::from_str::<Command>(text) {
        let app = command.app().as_str();
        assert!((1..=40).contains(&app.len()));
        assert!(app.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        let again = serde_json::to_string(&command).expect("it can be written");
        assert_eq!(serde_json::from_str::<Command>(&again).expect("it can be read"), command);
    }
});
