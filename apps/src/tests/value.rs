//! Values with a notation of their own.

use crate::{
    Cpus, Size,
    manifest::{Encoding, Owner, Pointer, Ready},
};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn secrets_are_written_as_asked() {
    let bytes = [0xfb, 0xff, 0x00, 0x3e];
    assert_eq!(Encoding::Hex.encode(&bytes), "fbff003e");
    assert_eq!(Encoding::Base64.encode(&bytes), "+/8APg==");
    assert_eq!(Encoding::Base64url.encode(&bytes), "-_8APg");
    assert_eq!(Encoding::Alnum.encode(&[0; 24]).len(), 33);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn letters_and_digits_keep_all_of_the_randomness(a in any::<[u8; 24]>(), b in any::<[u8; 24]>()) {
        let (one, other) = (Encoding::Alnum.encode(&a), Encoding::Alnum.encode(&b));
        prop_assert!(one.chars().all(|c| c.is_ascii_alphanumeric()));
        prop_assert_eq!(one.len(), other.len());
        prop_assert_eq!(a == b, one == other);
    }

    #[test]
    fn the_largest_number_still_fits(length in 1..256usize) {
        let most = vec![u8::MAX; length];
        let mut less = most.clone();
        less[0] -= 1;
        prop_assert_ne!(Encoding::Alnum.encode(&most), Encoding::Alnum.encode(&less));
    }

    #[test]
    fn what_is_written_is_read(millis in 1..1_024_000u32, bytes in any::<u64>(), uid in any::<u32>()) {
        let cpus = Cpus { millis };
        prop_assert_eq!(String::from(cpus).parse::<Cpus>(), Ok(cpus));
        prop_assert_eq!(String::from(Size(bytes)).parse::<Size>(), Ok(Size(bytes)));
        let owner = Owner { uid, gid: 7 };
        let json = serde_json::to_value(owner).unwrap();
        prop_assert_eq!(serde_json::from_value::<Owner>(json).unwrap(), owner);
    }
}

#[test]
fn shares_of_processors_are_read() {
    for (text, millis) in [("1", 1000), ("0.5", 500), ("1.250", 1250)] {
        assert_eq!(text.parse::<Cpus>().unwrap().millis, millis);
    }
    for bad in ["", "0", "-1", "1.", ".5", "1.0001", "1e3", "2000", "99999999999"] {
        assert!(bad.parse::<Cpus>().is_err(), "{bad}");
    }
}

#[test]
fn pointers_are_those_of_the_standard() {
    for good in ["", "/", "/a/0", "/a~1b/~0"] {
        assert!(Pointer::try_from(good.to_owned()).is_ok(), "{good}");
    }
    for bad in ["a", "/~", "/~2", "#/a"] {
        assert!(Pointer::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}

#[test]
fn conditions_hold_of_answers() {
    let answer = json!({"ibd": false, "progress": 0.5, "blocks": 7, "txindex": {"synced": true}});
    let holds = |condition: Value| serde_json::from_value::<Ready>(condition).unwrap().holds(&answer);
    assert!(holds(json!({"pointer": "/ibd", "equals": false})));
    assert!(!holds(json!({"pointer": "/ibd", "equals": true})));
    assert!(holds(json!({"pointer": "/txindex/synced", "equals": true})));
    assert!(holds(json!({"pointer": "/blocks", "notEquals": 8})));
    assert!(
        !holds(json!({"pointer": "/nothing", "notEquals": 8})),
        "what is not there is not something else"
    );
    assert!(
        holds(json!({"pointer": "/blocks", "atLeast": 7}))
            && !holds(json!({"pointer": "/blocks", "atLeast": 8}))
    );
    assert!(holds(json!({"pointer": "/progress", "atMost": 0.5})));
    assert!(!holds(json!({"pointer": "/ibd", "atMost": 1})), "false is no number");
    assert!(
        holds(json!({"pointer": "/pruned", "exists": false}))
            && holds(json!({"pointer": "/ibd", "exists": true}))
    );
}
