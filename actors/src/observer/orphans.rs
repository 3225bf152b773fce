//! Containers that carry this node's label and belong to no app of it. Pure.

use apps::LABEL_APP;
use engine::Summary;
use std::collections::{BTreeMap, BTreeSet};

/// What the lists have shown so far.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// Names by id, as of the last list.
    suspects: BTreeMap<String, String>,
}

impl Orphans {
    /// Takes a list in; returns the ids of those that an earlier list has shown too: they may be removed.
    ///
    /// An app is in the store before its first container is made and until its last one is gone.
    pub(super) fn listed(&mut self, list: &[Summary], apps: &BTreeSet<String>) -> Vec<String> {
        let is_orphan =
            |it: &&Summary| it.labels.get(LABEL_APP).is_none_or(|app| !apps.contains(app.as_str()));
        let now: BTreeMap<_, _> =
            list.iter().filter(is_orphan).map(|it| (it.id.clone(), it.name.clone())).collect();
        let agreed = now.keys().filter(|id| self.suspects.contains_key(*id)).cloned().collect();
        self.suspects = now;
        agreed
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<&str> {
        self.suspects.values().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::EngineState;

    fn container(id: &str, app: Option<&str>) -> Summary {
        let labels = app.map(|app| (LABEL_APP.to_owned(), app.to_owned())).into_iter().collect();
        Summary { id: id.into(), name: id.into(), labels, state: EngineState::Exited, process: None }
    }

    #[test]
    fn two_lists_have_to_agree_on_the_same_container() {
        let mut orphans = Orphans::default();
        let apps = BTreeSet::from(["shop".to_owned()]);
        let list = [container("a", Some("shop")), container("b", Some("gone")), container("c", None)];
        assert!(orphans.listed(&list, &apps).is_empty());
        assert_eq!(orphans.names(), ["b", "c"]);
        let apps = BTreeSet::from(["shop".to_owned(), "gone".to_owned()]);
        assert_eq!(orphans.listed(&list, &apps), ["c"], "an app that came back is none");
        assert!(orphans.listed(&[], &apps).is_empty());
        assert!(orphans.listed(&list[2..], &apps).is_empty(), "it was away meanwhile");
    }
}
