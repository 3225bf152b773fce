//! How many containers are still to be started, over all apps: the row that counts them down, as after a reboot.

use crate::{clock::now_ms, ctx::Ctx};
use protocol::{AppId, NodeView, Row};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Key of the row.
const STARTS: &str = "starts";

/// The containers of each app that should run and do not yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coming(Arc<Mutex<BTreeMap<AppId, usize>>>);

impl Coming {
    /// So many containers of an app are still to be started.
    pub(crate) fn set(&self, ctx: &Ctx, app: &AppId, count: usize) {
        let changed = {
            let mut apps = self.lock();
            let before = if count == 0 { apps.remove(app) } else { apps.insert(app.clone(), count) };
            before.unwrap_or(0) != count
        };
        if changed {
            ctx.publish(Row::Node(Box::new(self.row())));
        }
    }

    /// The row.
    pub(crate) fn row(&self) -> NodeView {
        let detail = match self.lock().values().sum::<usize>() {
            0 => "nothing waits to be started".to_owned(),
            1 => "1 container is still to be started".to_owned(),
            left => format!("{left} containers are still to be started"),
        };
        NodeView { key: STARTS.into(), ok: true, detail, last_ok: Some(now_ms()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AppId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
