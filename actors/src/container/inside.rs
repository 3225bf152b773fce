//! What is done inside of a container for its manifest: files are copied, commands are run.

use super::machine::Chore;
use crate::{ctx::Ctx, stack::Plan, supply};
use apps::{RenderedService, manifest::LifecycleHook};
use engine::{EngineError, ExecRequest};
use protocol::AppId;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;

/// Longest time for one command.
const PATIENCE: Duration = Duration::from_secs(300);
/// What is left of a stop's grace for the program itself, however long the commands before it took; Kubernetes' value.
const LEAST: Duration = Duration::from_secs(2);
/// What people are shown of a command's output.
const SHOWN: usize = 300;

/// Does what is asked for in the container of this id. What did not end well is `Refused`.
pub(super) async fn chore(
    ctx: &Ctx,
    service: &RenderedService,
    plan: &Plan,
    container: &str,
    chore: Chore,
) -> Result<Option<String>, EngineError> {
    let commands = match chore {
        Chore::Copy => {
            for (from, to) in &service.hooks.copies {
                let from = within(from, &plan.manifest_dir)?;
                ctx.engine.copy_into(container, &from, to).await?;
            }
            return Ok(None);
        }
        Chore::Greet => &service.post_start,
        Chore::Install => &service.hooks.commands,
    };
    for hook in commands {
        command(ctx, &plan.id, container, hook, PATIENCE).await?;
    }
    Ok(None)
}

/// Runs the commands before a stop, and returns what is left of its grace. What goes wrong with them stops nothing.
pub(super) async fn farewell(ctx: &Ctx, app: &AppId, service: &RenderedService, container: &str) -> Duration {
    let (begin, grace) = (Instant::now(), service.spec.stop_grace);
    for hook in &service.pre_stop {
        let left = grace.saturating_sub(begin.elapsed());
        if let Err(error) = command(ctx, app, container, hook, left).await {
            tracing::warn!(container = %service.spec.name, %error, "command before the stop did not end well");
        }
    }
    grace.saturating_sub(begin.elapsed()).max(LEAST.min(grace))
}

async fn command(
    ctx: &Ctx,
    app: &AppId,
    container: &str,
    hook: &LifecycleHook,
    timeout: Duration,
) -> Result<(), EngineError> {
    let request = ExecRequest {
        argv: hook.command.clone(),
        user: hook.user.clone(),
        working_dir: hook.working_dir.clone(),
    };
    let refused = |message| {
        let subject = format!("command {}", supply::redacted(ctx, app, &hook.command.join(" ")));
        EngineError::Refused { subject, message }
    };
    match ctx.engine.run(container, &request, timeout).await {
        Ok(output) if output.code == 0 => Ok(()),
        Ok(output) => {
            let said: Vec<char> = supply::redacted(ctx, app, &output.output)
                .trim()
                .chars()
                .filter(|c| !c.is_control())
                .collect();
            let end: String = said[said.len().saturating_sub(SHOWN)..].iter().collect();
            let colon = if end.is_empty() { "" } else { ": " };
            Err(refused(format!("ended with code {}{colon}{end}", output.code)))
        }
        Err(EngineError::Timeout { .. }) => {
            Err(refused(format!("did not end within {} s", timeout.as_secs())))
        }
        Err(EngineError::Refused { message, .. }) => Err(refused(message)),
        Err(error) => Err(error),
    }
}

/// A path of the app's own folder; a link may not lead out of it.
fn within(path: &Path, catalog: &Path) -> Result<PathBuf, EngineError> {
    let refused =
        |message: String| EngineError::Refused { subject: format!("copy of {}", path.display()), message };
    let real = fs::canonicalize(path).map_err(|error| refused(error.to_string()))?;
    let folder = fs::canonicalize(catalog).map_err(|error| refused(error.to_string()))?;
    if !real.starts_with(folder) {
        return Err(refused("it lies outside of the app's folder".into()));
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_the_apps_folder_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = dir.path().join("app");
        fs::create_dir(&catalog).unwrap();
        fs::write(catalog.join("page"), "1").unwrap();
        fs::write(dir.path().join("secret"), "2").unwrap();
        std::os::unix::fs::symlink("page", catalog.join("inside")).unwrap();
        std::os::unix::fs::symlink("../secret", catalog.join("out")).unwrap();
        assert!(within(&catalog.join("page"), &catalog).is_ok());
        assert_eq!(within(&catalog.join("inside"), &catalog).unwrap(), catalog.join("page"));
        for path in ["out", "../secret", "nothere"] {
            assert!(
                matches!(within(&catalog.join(path), &catalog), Err(EngineError::Refused { .. })),
                "{path}"
            );
        }
    }
}
