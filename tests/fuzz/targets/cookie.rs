//! Cookies: few are looked at, and only those of the node's own name.
#![no_main]

use axum::http::{HeaderMap, HeaderValue, header};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(8) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(header::COOKIE, value);
        }
    }
    let (plain, tls) = (server::fuzz::cookies(&headers, false), server::fuzz::cookies(&headers, true));
    assert!(tls <= plain && plain <= 4);
    let named = |name: &[u8]| bytes.windows(name.len()).any(|part| part == name);
    assert!(plain == 0 || named(b"archy_session="));
    assert!(tls == 0 || named(b"__Host-archy_session="));
});
