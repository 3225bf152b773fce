//! Patterns of paths that a backup leaves out.

use glob::{MatchOptions, Pattern};
use std::path::Path;

/// Patterns as a manifest has them: `cache/*` leaves out what is in any folder `cache`, `*.log` every log.
///
/// A pattern matches a run of names anywhere in a path below a part, and with a folder what is in it; `*` and `?`
/// stay within a name, `**` is any number of folders. This is what restic's `--exclude` does.
#[derive(Debug, Clone, Default)]
pub struct Excludes(Vec<Vec<Pattern>>);

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

impl Excludes {
    /// From their texts; one that is not well formed is told.
    ///
    /// # Errors
    ///
    /// The pattern and what is wrong with it.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let parse = |text: &String| {
            let names = text.split('/').map(|name| Pattern::new(name).map_err(|e| format!("{text:?}: {e}")));
            names.collect()
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a path, relative to its part, is left out.
    pub fn matches(&self, path: &Path) -> bool {
        let names: Vec<&str> = path.iter().map(|name| name.to_str().unwrap_or_default()).collect();
        let anywhere = |pattern: &Vec<Pattern>| (0..names.len()).any(|from| run(pattern, &names[from..]));
        self.0.iter().any(anywhere)
    }
}

/// Whether the pattern is the beginning of these names.
fn run(pattern: &[Pattern], names: &[&str]) -> bool {
    match (pattern, names) {
        ([], _) => true,
        ([any, rest @ ..], _) if any.as_str() == "**" => {
            (0..=names.len()).any(|skip| run(rest, &names[skip..]))
        }
        ([first, rest @ ..], [name, others @ ..]) => first.matches_with(name, OPTIONS) && run(rest, others),
        (_, []) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_anywhere_and_with_what_is_below() {
        let of = |pattern: &str| Excludes::parse(&[pattern.to_owned()]).unwrap();
        for (pattern, path, left_out) in [
            ("cache/*", "cache/a", true),
            ("cache/*", "deep/cache/a/b", true),
            ("cache/*", "cache", false),
            ("cache/*", "mycache/a", false),
            ("*.log", "a/b.log", true),
            ("*.log", "a/b.log/c", true),
            ("*.log", "a/b.logs", false),
            ("tmp", "tmp", true),
            ("a/**/z", "a/z", true),
            ("a/**/z", "x/a/b/c/z/y", true),
            ("a/**/z", "a/b", false),
            ("[ab]?", "ax", true),
            ("*", ".hidden", true),
        ] {
            assert_eq!(of(pattern).matches(Path::new(path)), left_out, "{pattern} {path}");
        }
        assert!(Excludes::parse(&["[".to_owned()]).is_err());
    }
}
