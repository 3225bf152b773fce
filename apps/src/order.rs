//! The order in which an app's containers start.

use crate::Manifest;
use protocol::ServiceName;
use std::collections::BTreeSet;

/// Services with every dependency before those that need it, otherwise by name.
///
/// # Errors
///
/// The services of a cycle.
pub(crate) fn start_order(manifest: &Manifest) -> Result<Vec<ServiceName>, Vec<ServiceName>> {
    let mut order: Vec<ServiceName> = Vec::new();
    let mut left: BTreeSet<&ServiceName> = manifest.services.keys().collect();
    while !left.is_empty() {
        let free: Vec<&ServiceName> = left
            .iter()
            .copied()
            .filter(|name| manifest.services[*name].depends_on.keys().all(|other| !left.contains(other)))
            .collect();
        if free.is_empty() {
            return Err(left.into_iter().cloned().collect());
        }
        for name in free {
            left.remove(name);
            order.push(name.clone());
        }
    }
    Ok(order)
}
