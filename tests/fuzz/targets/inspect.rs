//! What the engine says of a container is understood or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Some(found) = engine::fuzz::inspect(body) {
        assert!(found.addresses.values().all(|address| !address.is_empty()));
    }
});
