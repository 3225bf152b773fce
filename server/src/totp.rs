//! The second factor: codes of six digits that change every 30 s (RFC 6238).

use totp_rs::{Builder, Secret, Totp};

/// Bytes of a secret, as RFC 4226 recommends.
const SECRET: usize = 20;

/// Whether and in which step a code is right now; a step must be used once only.
pub(crate) fn step(secret: &str, code: &str, now_ms: u64) -> Option<u64> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    totp(secret)?.check(&digits, now_ms / 1_000)
}

fn totp(secret: &str) -> Option<Totp> {
    Builder::new().with_secret(Secret::try_from_base32(secret).ok()?).build().ok()
}

/// A new secret in Base32.
pub(crate) fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; SECRET];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new_stack(bytes).to_base32())
}

/// The address that apps for codes read.
pub(crate) fn uri(secret: &str, host: &str) -> String {
    // A host has no character that would have to be escaped here but the colon of its port.
    let host = host.replace(':', "%3A");
    format!("otpauth://totp/Archipelago:owner%40{host}?secret={secret}&issuer=Archipelago")
}

#[cfg(test)]
pub(crate) fn code(secret: &str, now_ms: u64) -> String {
    totp(secret).unwrap().generate(now_ms / 1_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, SHA-1, the last six of eight digits.
        let secret = Secret::new_stack(*b"12345678901234567890").to_base32();
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(step(&secret, code, seconds * 1_000), Some(seconds / 30), "{seconds}");
            assert_eq!(step(&secret, code, (seconds + 30) * 1_000), Some(seconds / 30), "one step late");
            assert_eq!(step(&secret, code, (seconds + 90) * 1_000), None, "too late");
        }
        assert_eq!(step(&secret, "287 082", 59_000), Some(1));
        for bad in ["", "28708", "2870820", "28708x", "٢٨٧٠٨٢"] {
            assert_eq!(step(&secret, bad, 59_000), None, "{bad}");
        }
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
        assert_eq!(
            uri("ABC", "node.lan:8420"),
            "otpauth://totp/Archipelago:owner%40node.lan%3A8420?secret=ABC&issuer=Archipelago"
        );
    }
}
