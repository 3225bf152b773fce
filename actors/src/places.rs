//! The places that the apps of the node have for containers: a service and a role each.
//!
//! A container with this node's label is in somebody's care where it has one of them.

use crate::stack::Plan;
use apps::{LABEL_ROLE, LABEL_SERVICE};
use engine::Summary;
use protocol::AppId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

/// A service and a role.
pub(crate) type Place = (String, Option<String>);

/// The place that a container claims.
pub(crate) fn claimed(labels: &BTreeMap<String, String>) -> Place {
    (labels.get(LABEL_SERVICE).cloned().unwrap_or_default(), labels.get(LABEL_ROLE).cloned())
}

/// Anchors last: others may have joined them.
pub(crate) fn in_order_of_removal(containers: &mut [Summary]) {
    containers.sort_by_key(|it| it.labels.contains_key(LABEL_ROLE));
}

/// The places of one node. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<RwLock<BTreeMap<AppId, Arc<BTreeSet<Place>>>>>);

impl Places {
    /// These are the places of an app.
    pub(crate) fn set(&self, plan: &Plan) {
        let services = plan.rendered.services.iter();
        let specs = services.flat_map(|service| [Some(&service.spec), service.anchor.as_ref()]).flatten();
        let places = Arc::new(specs.map(|spec| claimed(&spec.labels)).collect());
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(plan.id.clone(), places);
    }

    /// The app is off the node.
    pub(crate) fn forget(&self, app: &AppId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(app);
    }

    /// The places of an app; `None` where they are not known, as of one whose manifest this node does not accept.
    pub(crate) fn of(&self, app: &AppId) -> Option<Arc<BTreeSet<Place>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(app).cloned()
    }
}
