//! A line of the engine's stream of events is understood or left out.
#![no_main]

libfuzzer_sys::fuzz_target!(|line: &[u8]| {
    if let Some(event) = engine::fuzz::event(line) {
        assert!(!event.labels.contains_key("name"));
    }
});
