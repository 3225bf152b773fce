//! Whatever is given as a manifest is read or refused with problems that name a rule.
#![no_main]

use apps::{Manifest, Rule};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match Manifest::parse_bytes(bytes) {
        Ok(manifest) => assert_eq!(manifest.manifest_version, 1),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(Rule::by_id(&problem.rule).is_some(), "{problem}");
                assert!(!problem.message.is_empty() && !problem.remedy.is_empty(), "{problem}");
            }
        }
    }
});
