//! Networks: an app's own, and those that apps share.
//!
//! A shared one is made by the first app that needs it and goes with the last. It carries the node's label and no app's;
//! one that somebody else has made is used and never removed.

use super::SupplyError;
use crate::{ctx::Ctx, stack::Plan, store::StoreError};
use apps::{LABEL_NODE, Manifest};
use engine::EngineError;
use std::collections::BTreeMap;

/// Sees to it that all networks of the app are there.
///
/// # Errors
///
/// When the engine refuses.
pub(crate) async fn ensure(ctx: &Ctx, plan: &Plan) -> Result<(), EngineError> {
    let rendered = &plan.rendered;
    let shared = BTreeMap::from([(LABEL_NODE.to_owned(), ctx.node_id().to_owned())]);
    let own = rendered.networks.iter().map(|name| (name, &rendered.labels));
    for (name, labels) in own.chain(rendered.shared_networks.iter().map(|name| (name, &shared))) {
        ctx.engine.create_network(name, labels, rendered.internal_networks.contains(name)).await?;
    }
    Ok(())
}

/// Takes away the networks that nobody needs without this app, and returns in words what could not be taken.
///
/// # Errors
///
/// When the engine or the store refuses.
pub(crate) async fn release(ctx: &Ctx, plan: &Plan) -> Result<Vec<String>, SupplyError> {
    let mut unneeded = plan.rendered.networks.clone();
    if !plan.rendered.shared_networks.is_empty() {
        let made_here = ctx.engine.list_networks(&[(LABEL_NODE, ctx.node_id())]).await?;
        for name in plan.rendered.shared_networks.iter().filter(|name| made_here.contains(name)) {
            if !is_shared(ctx, plan, name).await.map_err(SupplyError::Store)? {
                unneeded.push(name.clone());
            }
        }
    }
    let mut residue = Vec::new();
    for network in unneeded {
        match ctx.engine.remove_network(&network).await {
            Ok(()) => {}
            // All of the app's own containers are gone: a stranger's is on it.
            Err(EngineError::Conflict { .. }) => {
                residue.push(format!("network {network}, which a container of another owner uses"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(residue)
}

/// Whether another app on the node, or on its way to it, is on a network.
async fn is_shared(ctx: &Ctx, plan: &Plan, network: &str) -> Result<bool, StoreError> {
    let others = ctx.store.apps().await?.into_iter().filter(|row| row.id != plan.id);
    let uses = |manifest: Manifest| {
        manifest.networks.iter().any(|(name, it)| name == network && it.unwrap_or_default().external)
    };
    // One whose manifest this node does not accept any more may be on it.
    Ok(others.map(|row| Manifest::parse(&row.manifest)).any(|parsed| parsed.map_or(true, uses)))
}
