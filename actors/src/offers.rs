//! The versions that the catalog has, for the rows of apps that are on the node.

use protocol::AppId;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// The catalog's version of each app. Cheap to clone; written by the catalog only.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers(Arc<RwLock<BTreeMap<AppId, String>>>);

impl Offers {
    /// The catalog has this version of an app, or none. Says whether that is new.
    pub(crate) fn set(&self, app: &AppId, version: Option<&str>) -> bool {
        let mut versions = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = match version {
            Some(version) => versions.insert(app.clone(), version.to_owned()),
            None => versions.remove(app),
        };
        old.as_deref() != version
    }

    /// The catalog's version of an app.
    pub(crate) fn of(&self, app: &AppId) -> Option<String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(app).cloned()
    }
}
