//! What an uninstall takes away beyond the containers, where the user wants the data gone, too.

use super::{course::Before, engine_error, progress::Progress, restore};
use crate::ctx::Ctx;
use apps::{ImageSource, LABEL_APP, LABEL_NODE};
use engine::EngineError;
use protocol::{AppId, OpError, Plan};
use std::{fs, io};

/// What would go, for people.
///
/// # Errors
///
/// When the engine cannot be asked.
pub(crate) async fn plan(ctx: &Ctx, app: &AppId) -> Result<Plan, EngineError> {
    let mut removes = vec!["the app's containers and networks".to_owned()];
    let volumes = ctx.engine.list_volumes(&own(ctx, app)).await?;
    removes.extend(volumes.iter().map(|volume| format!("volume {volume} with its data")));
    let folder = ctx.app_dir(app);
    if folder.exists() {
        removes.push(format!("folder {} with everything in it", folder.display()));
    }
    if ctx.secrets_dir(app).exists() {
        removes.push("the secrets that were generated for it: what they encrypt is lost".to_owned());
    }
    let mut keeps = vec!["images that were pulled".to_owned()];
    // Its list can be had without them: a store that does not answer refuses the command anyway.
    let backups = ctx.store.backups(Some(app)).await.unwrap_or_default();
    if !backups.is_empty() {
        keeps.push(format!("its {} backups in {}", backups.len(), ctx.vault.place()));
    }
    Ok(Plan { removes, keeps, dependents: vec![], type_to_confirm: Some(app.to_string()) })
}

/// Removes all of it. Each step can be repeated.
pub(super) async fn run(p: &Progress) -> Result<(), OpError> {
    made_since(p, &Before::default()).await?;
    restore::forget(p).await?;
    for service in &p.plan.rendered.services {
        if let ImageSource::Build { .. } = service.image {
            p.ctx.engine.remove_image(&service.spec.image).await.map_err(|e| engine_error(&e))?;
        }
    }
    Ok(())
}

/// Removes volumes, data and secrets that were not there before. Each step can be repeated.
pub(super) async fn made_since(p: &Progress, before: &Before) -> Result<(), OpError> {
    let (engine, app) = (p.ctx.engine.as_ref(), &p.plan.id);
    let refused = |error: EngineError| engine_error(&error);
    for volume in engine.list_volumes(&own(&p.ctx, app)).await.map_err(refused)? {
        if !before.volumes.contains(&volume) {
            p.detail(format!("volume {volume}"));
            engine.remove_volume(&volume).await.map_err(refused)?;
        }
    }
    if !before.data {
        p.detail("data");
        engine.remove_folder(&p.ctx.app_dir(app)).await.map_err(refused)?;
    }
    if before.secrets {
        return Ok(());
    }
    p.detail("secrets");
    let rendered = &p.plan.rendered;
    let secrets = rendered.secrets.iter().map(|secret| &secret.engine_name);
    for secret in secrets.chain(rendered.external_secrets.values()) {
        engine.remove_secret(secret).await.map_err(refused)?;
    }
    for folder in [p.ctx.notes_dir(app), p.ctx.secrets_dir(app)] {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OpError {
                    code: "disk".into(),
                    message: format!("{} cannot be removed: {error}", folder.display()),
                    hint: Some("check the disk and the permissions of the node's data directory".into()),
                    retryable: true,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn own<'a>(ctx: &'a Ctx, app: &'a AppId) -> [(&'static str, &'a str); 2] {
    [(LABEL_APP, app.as_str()), (LABEL_NODE, ctx.node_id())]
}
