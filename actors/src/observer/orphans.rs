//! Containers that carry this node's label and that nobody looks after: their app, or their service in it, is not known.
//! Pure.

use crate::{
    agree::Agreement,
    places::{Place, claimed, in_order_of_removal},
};
use apps::LABEL_APP;
use engine::Summary;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::time::Instant;

/// The places in each app of the node; `None` where they cannot be told, and so each container has one.
pub(super) type Known = BTreeMap<String, Option<Arc<BTreeSet<Place>>>>;

/// What the lists have shown so far.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// Names by id, as of the last list.
    suspects: BTreeMap<String, String>,
    agreement: Agreement,
}

impl Orphans {
    /// Takes a list in; returns those that the lists agree on: they may be removed, in this order.
    ///
    /// An app is in the store before its first container is made and until its last one is gone.
    pub(super) fn listed(&mut self, now: Instant, list: &[Summary], known: &Known) -> Vec<Summary> {
        let is_orphan = |it: &&Summary| match it.labels.get(LABEL_APP).and_then(|app| known.get(app)) {
            None => true,
            Some(None) => false,
            Some(Some(places)) => !places.contains(&claimed(&it.labels)),
        };
        let found: Vec<_> = list.iter().filter(is_orphan).collect();
        self.suspects = found.iter().map(|it| (it.id.clone(), it.name.clone())).collect();
        let agreed = self.agreement.seen(now, self.suspects.keys().cloned());
        let mut agreed: Vec<_> = found.into_iter().filter(|it| agreed.contains(&it.id)).cloned().collect();
        in_order_of_removal(&mut agreed);
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
    use crate::agree::APART;
    use apps::{LABEL_ROLE, LABEL_SERVICE, ROLE_ANCHOR};
    use engine::EngineState;

    fn container(id: &str, labels: &[(&str, &str)]) -> Summary {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Summary { id: id.into(), name: id.into(), labels, state: EngineState::Exited, process: None }
    }

    fn ids(found: &[Summary]) -> Vec<&str> {
        found.iter().map(|it| it.id.as_str()).collect()
    }

    #[test]
    fn lists_have_to_agree_on_the_same_container() {
        let (mut orphans, begin) = (Orphans::default(), Instant::now());
        let places = Known::from([("shop".to_owned(), None)]);
        let list = [
            container("a", &[(LABEL_APP, "shop")]),
            container("b", &[(LABEL_APP, "gone")]),
            container("c", &[]),
        ];
        assert!(orphans.listed(begin, &list, &places).is_empty());
        assert_eq!(orphans.names(), ["b", "c"]);
        let places = Known::from([("shop".to_owned(), None), ("gone".to_owned(), None)]);
        let later = orphans.listed(begin + APART, &list, &places);
        assert_eq!(ids(&later), ["c"], "an app that came back is none");
        assert!(orphans.listed(begin + APART, &[], &places).is_empty());
        assert!(orphans.listed(begin + 2 * APART, &list[2..], &places).is_empty(), "it was away meanwhile");
    }

    #[test]
    fn a_service_that_the_app_does_not_know_is_nobodys() {
        let (mut orphans, begin) = (Orphans::default(), Instant::now());
        let known = Arc::new(BTreeSet::from([("web".to_owned(), None)]));
        let places = Known::from([("shop".to_owned(), Some(known)), ("odd".to_owned(), None)]);
        let of = |app, service| [(LABEL_APP, app), (LABEL_SERVICE, service)];
        let list = [
            container("anchor", &[&of("shop", "web")[..], &[(LABEL_ROLE, ROLE_ANCHOR)]].concat()),
            container("known", &of("shop", "web")),
            container("old", &of("shop", "worker")),
            container("untold", &of("odd", "worker")),
        ];
        orphans.listed(begin, &list, &places);
        let found = orphans.listed(begin + APART, &list, &places);
        assert_eq!(ids(&found), ["old", "anchor"], "anchors last");
    }
}
