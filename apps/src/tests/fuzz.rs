//! No bytes make the parser panic, loop, or speak of its own machinery.

use crate::{Manifest, Rule, yaml::MAX_PROBLEMS};
use proptest::{collection::vec, prelude::*, sample::select};
use protocol::Problem;

const COMPLETE: &str = include_str!("../../tests/complete.yml");

/// What has to hold of every answer.
fn sane(problems: &[Problem]) -> Result<(), TestCaseError> {
    prop_assert!(!problems.is_empty());
    prop_assert!(problems.len() <= MAX_PROBLEMS + 1);
    for problem in problems {
        prop_assert!(Rule::by_id(&problem.rule).is_some());
        prop_assert!(!problem.message.is_empty() && !problem.remedy.is_empty());
        prop_assert!(problem.message.len() < 1000, "{}", problem.message);
        // The schema lets nothing through that the types refuse.
        let undecoded = problem.rule == Rule::InvalidValue.id() && problem.field.is_empty();
        prop_assert!(!undecoded, "{}", problem);
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<(), TestCaseError> {
    match Manifest::parse_bytes(bytes) {
        Ok(_) => Ok(()),
        Err(problems) => sane(&problems),
    }
}

/// What YAML is made of, and what manifests are.
const TOKENS: &[&str] = &[
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    ": ",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "#",
    "&a ",
    "*a",
    "!t ",
    "<<",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "~",
    "null",
    "true",
    "no",
    "0x1f",
    "1e999",
    "-1",
    "8080:80",
    "10s",
    "services",
    "web",
    "image",
    "ports",
    "x-a",
    "{{",
    "}}",
    "\u{feff}",
    "\t",
    "\r\n",
    "é",
];

/// Values that stand in for others.
const VALUES: &[&str] = &[
    "~",
    "true",
    "-1",
    "0",
    "99999999999999999999",
    "1.5",
    "x",
    "\"\"",
    "[]",
    "{}",
    "[1]",
    "[~]",
    "{a: b}",
    "{a: ~}",
    "[[]]",
    "\"a:b:c:d\"",
    "8080:80",
    "\"1\"",
    "[a, a]",
    "{x-a: 1}",
    "''",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..300)) {
        read(&bytes)?;
    }

    #[test]
    fn any_tokens(tokens in vec(select(TOKENS), 0..80)) {
        read(tokens.concat().as_bytes())?;
    }

    #[test]
    fn a_manifest_with_some_bytes_changed(changes in vec((0..COMPLETE.len(), any::<u8>()), 1..4)) {
        let mut bytes = COMPLETE.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        read(&bytes)?;
    }

    #[test]
    fn a_manifest_with_a_value_of_another_kind(line in 0..COMPLETE.lines().count(), value in select(VALUES)) {
        let swap = |(i, text): (usize, &str)| match text.split_once(": ") {
            Some((key, _)) if i == line => format!("{key}: {value}\n"),
            _ => format!("{text}\n"),
        };
        let text: String = COMPLETE.lines().enumerate().map(swap).collect();
        read(text.as_bytes())?;
    }

    #[test]
    fn a_manifest_with_another_value_inside(at in 0..COMPLETE.matches(": ").count(), value in select(VALUES)) {
        let (start, _) = COMPLETE.match_indices(": ").nth(at).unwrap();
        let rest = &COMPLETE[start + 2..];
        let end = rest.find([',', '}', ']', '\n']).unwrap_or(rest.len());
        read(format!("{}: {value}{}", &COMPLETE[..start], &rest[end..]).as_bytes())?;
    }
}
