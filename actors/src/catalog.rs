//! The catalog: the apps that can be installed, read from the disk.
//!
//! Parent: node, permanent. Children: none.
//! It publishes the rows of apps that are not on the node.

use crate::{app::AppMsg, clock::now_ms, ctx::Ctx, names::name};
use apps::{CatalogApp, Manifest, load_catalog};
use protocol::{AppId, AppView, BackupView, Confidence, Desired, Phase, Row};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::{BTreeMap, BTreeSet};

/// Messages of the catalog.
pub(crate) enum CatalogMsg {
    /// Cast: publish your rows.
    Publish,
    /// Call: the manifests of all apps.
    All(RpcReplyPort<Vec<Manifest>>),
    /// Call: the app as it stands on the disk now, or why it cannot be used.
    Find(AppId, RpcReplyPort<Result<CatalogApp, FindError>>),
}

/// Why an app of the catalog cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum FindError {
    /// There is none of this id.
    #[error("there is no app {0} in the catalog")]
    Unknown(AppId),
    /// Its manifest is not valid.
    #[error("the manifest is not valid")]
    Invalid(Vec<protocol::Problem>),
    /// Its manifest cannot be read.
    #[error("the manifest cannot be read: {0}")]
    Unreadable(String),
}

/// The row of an app that is not on the node.
pub(crate) fn not_installed(manifest: &Manifest, backup: Option<BackupView>) -> AppView {
    let now = now_ms();
    AppView {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        tagline: manifest.metadata.tagline.clone(),
        version: manifest.version.clone(),
        installed: false,
        phase: Phase::NotInstalled,
        reason: None,
        since: now,
        observed_at: now,
        confidence: Confidence::Live,
        desired: Desired::Absent,
        op: None,
        last_op: None,
        wait: Vec::new(),
        restarts: 0,
        containers: Vec::new(),
        launch: Vec::new(),
        next_retry: None,
        update: None,
        backup,
        category: manifest.metadata.category.clone(),
        icon: manifest.metadata.icon.is_some(),
    }
}

/// Tells an app that is on the node which version the catalog has of it.
fn offer(ctx: &Ctx, manifest: &Manifest) {
    if ctx.offers.set(&manifest.id, Some(&manifest.version)) {
        ctx.names.cast(&name::app(&manifest.id), AppMsg::Offered);
    }
}

/// State of the catalog.
pub(crate) struct CatalogState {
    ctx: Ctx,
    apps: BTreeMap<AppId, CatalogApp>,
}

/// The actor.
pub(crate) struct Catalog;

impl Actor for Catalog {
    type Msg = CatalogMsg;
    type State = CatalogState;
    type Arguments = Ctx;

    async fn pre_start(
        &self,
        myself: ActorRef<CatalogMsg>,
        ctx: Ctx,
    ) -> Result<CatalogState, ActorProcessingErr> {
        let dir = ctx.dirs.catalog.clone();
        let (apps, errors) = tokio::task::spawn_blocking(move || load_catalog(&dir)).await??;
        for error in errors {
            tracing::warn!(%error, "app of the catalog left out");
        }
        for app in apps.values() {
            offer(&ctx, &app.manifest);
        }
        ctx.names.register(name::CATALOG, myself.get_cell());
        Ok(CatalogState { ctx, apps })
    }

    async fn handle(
        &self,
        _: ActorRef<CatalogMsg>,
        message: CatalogMsg,
        state: &mut CatalogState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CatalogMsg::Publish => {
                let on_node: BTreeSet<AppId> =
                    state.ctx.store.apps().await?.into_iter().map(|row| row.id).collect();
                for app in state.apps.values().filter(|app| !on_node.contains(&app.manifest.id)) {
                    let backup = state.ctx.store.backups(Some(&app.manifest.id)).await?.pop();
                    state.ctx.publish(Row::App(Box::new(not_installed(&app.manifest, backup))));
                }
            }
            CatalogMsg::All(reply) => {
                // The caller may have given up.
                let _ = reply.send(state.apps.values().map(|app| app.manifest.clone()).collect());
            }
            CatalogMsg::Find(id, reply) => {
                // From the disk, so that a manifest that was mended is seen without a restart of the node.
                let dir = state.ctx.dirs.catalog.join(id.as_str());
                let exists = dir.join("manifest.yml").exists();
                let found = tokio::task::spawn_blocking(move || CatalogApp::load(&dir)).await?;
                let answer = match found {
                    Ok(app) => {
                        state.apps.insert(id, app.clone());
                        offer(&state.ctx, &app.manifest);
                        Ok(app)
                    }
                    Err(_) if !exists => Err(FindError::Unknown(id)),
                    Err(apps::CatalogError::Invalid { problems, .. }) => Err(FindError::Invalid(problems)),
                    Err(error) => Err(FindError::Unreadable(error.to_string())),
                };
                // The caller may have given up.
                let _ = reply.send(answer);
            }
        }
        Ok(())
    }
}
