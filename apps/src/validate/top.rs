//! What stands at the top of a manifest.

use super::Check;
use crate::{manifest::Kind, rule::Rule};

/// The only version of the format so far.
const MANIFEST_VERSION: u32 = 1;
/// Ids that mean something else to the node, to the engine or in a network.
const RESERVED: &[&str] = &[
    "all",
    "app",
    "apps",
    "archipelago",
    "archy",
    "bridge",
    "default",
    "host",
    "localhost",
    "network",
    "node",
    "none",
    "podman",
    "secret",
    "system",
    "volume",
];
/// Longest text that a list of apps shows.
const MAX_TEXT: usize = 80;
/// Longest text of a page.
const MAX_PAGE: usize = 4000;

impl Check<'_> {
    pub(super) fn top(&mut self) {
        let m = self.manifest;
        if m.manifest_version != MANIFEST_VERSION {
            let message = format!("version {} of the manifest format is not known", m.manifest_version);
            self.say(Rule::ManifestVersion, "manifest_version", message, "use 1, or a newer node");
        }
        if RESERVED.contains(&m.id.as_str()) {
            let message = format!("{} means something else to the node", m.id);
            self.say(Rule::ReservedId, "id", message, "choose another id");
        }
        for (field, text) in [("name", &m.name), ("version", &m.version)] {
            if text.trim().is_empty() || text.chars().count() > MAX_TEXT || text.contains('\n') {
                let message = "this must be a line of 1 to 80 characters";
                self.say(Rule::Text, field, message, "write one");
            }
        }
        let short = [
            ("metadata.tagline", Some(&m.metadata.tagline)),
            ("metadata.category", m.metadata.category.as_ref()),
        ];
        for (field, text) in short {
            if text.is_some_and(|text| text.chars().count() > MAX_TEXT || text.contains('\n')) {
                self.say(Rule::Text, field, "this must be a line of at most 80 characters", "shorten it");
            }
        }
        let pages = [
            ("metadata.description", Some(&m.metadata.description)),
            ("metadata.release_notes", m.metadata.release_notes.as_ref()),
        ];
        for (field, text) in pages {
            if text.is_some_and(|text| text.chars().count() > MAX_PAGE) {
                self.say(Rule::Text, field, "this is longer than 4000 characters", "shorten it");
            }
        }
        self.links();
        self.once("provides", &m.provides);
        self.once("conflicts", &m.conflicts);
        self.once("metadata.tags", &m.metadata.tags);
        let architectures: Vec<String> = m.architectures.iter().map(|a| format!("{a:?}")).collect();
        self.once("architectures", &architectures);
        self.kind();
        self.supervision();
    }

    /// Links of people's pages: only what a browser opens safely.
    fn links(&mut self) {
        let metadata = &self.manifest.metadata;
        let links = [
            ("metadata.website", &metadata.website),
            ("metadata.repo", &metadata.repo),
            ("metadata.support", &metadata.support),
        ];
        for (field, link) in links {
            let safe = |link: &String| {
                let rest = ["https://", "http://", "mailto:"].iter().find_map(|p| link.strip_prefix(p));
                rest.is_some_and(|rest| !rest.is_empty()) && link.bytes().all(|b| b.is_ascii_graphic())
            };
            if link.as_ref().is_some_and(|link| !safe(link)) {
                let remedy = "write it like https://example.org";
                self.say(Rule::Text, field, "this is no address that a browser opens", remedy);
            }
        }
    }

    fn kind(&mut self) {
        let m = self.manifest;
        match (m.kind, m.services.is_empty()) {
            (Kind::Link, false) => {
                let message = "a link is a website elsewhere and has no services";
                self.say(Rule::Link, "services", message, "remove them, or use kind: app");
            }
            (Kind::Link, true) if m.metadata.website.is_none() => {
                let message = "a link needs the address that it leads to";
                self.say(Rule::Link, "metadata.website", message, "add metadata.website");
            }
            (Kind::App | Kind::Companion, true) => {
                self.say(Rule::NoServices, "services", "an app needs at least one service", "add one");
            }
            _ => {}
        }
    }

    fn supervision(&mut self) {
        let s = &self.manifest.supervisor;
        if s.period.0.is_zero() {
            let message = "a window of no length";
            self.say(Rule::Period, "supervisor.period", message, "use a duration such as 10m");
        }
        if !(s.backoff.factor.is_finite() && s.backoff.factor >= 1.0) {
            let message = "the waits would shrink";
            self.say(Rule::Backoff, "supervisor.backoff.factor", message, "use 1 or more");
        }
        if !(0.0..=1.0).contains(&s.backoff.jitter) {
            self.say(Rule::Backoff, "supervisor.backoff.jitter", "this is not a share", "use 0 to 1");
        }
        if s.backoff.max < s.backoff.min {
            let message = "the longest wait is shorter than the first";
            self.say(Rule::Backoff, "supervisor.backoff.max", message, "raise it");
        }
    }
}
