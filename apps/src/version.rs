//! Versions of apps, which follow no one scheme: compared part by part, numbers as numbers.

use std::cmp::Ordering;

/// One part of a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    /// `rc1`, `beta`: before the end of the version, so that `2.0-rc1` is older than `2.0`.
    Before(&'a str),
    /// Where the version ends.
    End,
    /// Any other word.
    Word(&'a str),
    /// A number without its leading zeros: its length comes first, then its digits.
    Number(usize, &'a str),
}

/// Words of versions that are not out yet.
const BEFORE: &[&str] = &["alpha", "beta", "dev", "pre", "preview", "rc"];

fn parts(version: &str) -> impl Iterator<Item = Part<'_>> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let words = version.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let split = words.flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let is_number = rest.starts_with(|c: char| c.is_ascii_digit());
            let end = rest.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            rest = after;
            (!part.is_empty()).then_some((is_number, part))
        })
    });
    split.map(|(is_number, part)| match is_number {
        true => {
            let digits = part.trim_start_matches('0');
            Part::Number(digits.len(), digits)
        }
        false if BEFORE.contains(&part.to_ascii_lowercase().as_str()) => Part::Before(part),
        false => Part::Word(part),
    })
}

/// Which of two versions is newer.
pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (parts(one), parts(other));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => match a.unwrap_or(Part::End).cmp(&b.unwrap_or(Part::End)) {
                Ordering::Equal => {}
                different => return different,
            },
        }
    }
}

/// Whether a version will do, for instance `1.18` for `>=1.16`. Without an operator it has to be that very one.
pub(crate) fn fits(wanted: &str, version: &str) -> bool {
    let bare = wanted.trim_start_matches(['>', '<', '=']);
    let operator = wanted.get(..wanted.len() - bare.len()).unwrap_or_default();
    let order = compare(version, bare.trim());
    match operator {
        ">=" => order.is_ge(),
        ">" => order.is_gt(),
        "<=" => order.is_le(),
        "<" => order.is_lt(),
        _ => order.is_eq(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_part_by_part() {
        let newest_last = [
            "1.9",
            "1.10-rc1",
            "1.10-rc2",
            "1.10",
            "1.10.1",
            "2",
            "26.06.6",
            "29.3",
            "29.3.knots2025",
            "29.3.knots2026",
            "260305",
        ];
        for pair in newest_last.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        for (one, other) in [("v3.1.0", "3.1.0"), ("1.02", "1.2"), ("1-2", "1.2"), ("", "")] {
            assert_eq!(compare(one, other), Ordering::Equal, "{one} {other}");
        }
        let long = "9".repeat(50);
        assert_eq!(compare(&long, "10"), Ordering::Greater, "no number is too long");
    }

    #[test]
    fn a_version_will_do_or_not() {
        for (wanted, version, will_do) in [
            (">=1.16", "1.16", true),
            (">= 1.16", "1.9", false),
            (">1.16", "1.16", false),
            ("<2", "1.99", true),
            ("<=2", "2.0.1", false),
            ("=1.2", "1.2", true),
            ("1.2", "1.3", false),
        ] {
            assert_eq!(fits(wanted, version), will_do, "{wanted} {version}");
        }
    }
}
