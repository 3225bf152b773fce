//! Advice on a manifest that is valid: what somebody should look at before it is published.
//!
//! [`lint`] says everything at once; [`About`] tells of each rule why it is there and how it is mended, which is also
//! what the rule reference in `docs/apps/` is made of. A manifest may allow a rule with a reason:
//! `x-lint-allow: {shared_volume: both are made for it}`.

mod about;
mod data;
mod environment;
mod fix;
mod health;
mod image;
mod whole;

pub use about::About;
pub use fix::{Edit, mend};

use crate::{
    Manifest,
    manifest::Service,
    rule::Rule,
    yaml::{Node, Value},
};
use protocol::{Problem, ServiceName};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It is not fit to be published: data or secrets may be lost.
    Error,
    /// It will give trouble sooner or later.
    Warning,
    /// Worth knowing; nothing is wrong with the manifest itself.
    Note,
}

impl Level {
    /// Its name, as SARIF has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Rule, place, words.
    pub problem: Problem,
    /// How bad it is.
    pub level: Level,
    /// A change of the text that mends it and changes nothing else, where there is one.
    pub fix: Option<Edit>,
}

/// Everything that is to be said of a manifest's text: what refuses it as errors, and the advice.
pub fn lint(text: &str) -> Vec<Finding> {
    let report = Manifest::check(text);
    let error = |problem| Finding { problem, level: Level::Error, fix: None };
    let mut found: Vec<Finding> = report.errors.into_iter().map(error).chain(report.lints).collect();
    found.sort_by_key(|one| (one.problem.line, one.problem.column));
    found
}

/// The advice on a manifest that can be read. The places are still to be found.
pub(crate) fn advise(manifest: &Manifest, root: &Node) -> Vec<Finding> {
    let mut advice = Advice { manifest, root, found: Vec::new() };
    for (name, service) in &manifest.services {
        let at = format!("services.{name}");
        advice.image(&at, service);
        advice.health(name, &at, service);
        advice.environment(name, &at, service);
        advice.data(name, &at, service);
    }
    advice.volumes();
    advice.backup();
    advice.whole();
    advice.allowances();
    advice.found
}

struct Advice<'a> {
    manifest: &'a Manifest,
    root: &'a Node,
    found: Vec<Finding>,
}

impl<'a> Advice<'a> {
    fn say(&mut self, rule: Rule, field: &str, message: impl Into<String>) {
        let about = About::of(rule);
        let (mend, level) = about.map_or(("look at it", Level::Warning), |about| (about.mend, about.level));
        self.found.push(Finding { problem: rule.problem(field, message, mend), level, fix: None });
    }

    /// The same, with another text in place of the one that stands there.
    fn say_fixed(&mut self, rule: Rule, field: &str, message: impl Into<String>, to: &str) {
        self.say(rule, field, message);
        let edit = self.root.value_at(field).and_then(|node| Edit::of(node, to));
        if let Some(last) = self.found.last_mut() {
            last.fix = edit;
        }
    }

    /// Takes out what the manifest allows, and tells of what it allows for nothing.
    fn allowances(&mut self) {
        let Some(allowed) = self.root.value_at("x-lint-allow") else { return };
        let Value::Map(entries) = &allowed.value else {
            return self.say(Rule::Allowance, "x-lint-allow", "this is no mapping of rules to reasons");
        };
        for entry in entries {
            let reason = matches!(&entry.node.value, Value::Text(text) if !text.trim().is_empty());
            let before = self.found.len();
            if reason {
                self.found.retain(|one| one.problem.rule != entry.key);
            }
            if self.found.len() == before {
                let field = format!("x-lint-allow.{}", entry.key);
                let message = match (Rule::by_id(&entry.key).and_then(About::of), reason) {
                    (None, _) => "there is no such rule of advice",
                    (Some(_), false) => "an allowance needs a reason",
                    (Some(_), true) => "there is nothing to allow",
                };
                self.say(Rule::Allowance, &field, message);
            }
        }
    }
}

/// Programs whose whole purpose is to keep data, by the names of their images; and whether a copy of their files is
/// only good when nothing is written meanwhile.
const DATABASES: &[(&str, bool)] = &[
    ("cassandra", true),
    ("couchdb", true),
    ("influxdb", true),
    ("mariadb", true),
    ("mongo", true),
    ("mysql", true),
    ("postgis", true),
    ("postgres", true),
    ("postgresql", true),
    ("timescaledb", true),
    ("redis", false),
    ("valkey", false),
];

/// Name and tag of an image, and whether it has a digest.
pub(crate) fn parts(image: &str) -> (&str, Option<&str>, bool) {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name.get(last..).and_then(|end| end.find(':')) {
        Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..]), digest),
        None => (name, None, digest),
    }
}

/// Whether the service is a database, and if so, whether it has to be dumped.
fn database(service: &Service) -> Option<bool> {
    let (name, ..) = parts(service.image.as_deref()?);
    let program = name.rsplit('/').next()?;
    DATABASES.iter().find(|(known, _)| *known == program).map(|(_, dumped)| *dumped)
}

/// Names of the services, for messages.
fn names(services: &[&ServiceName]) -> String {
    services.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" and ")
}
