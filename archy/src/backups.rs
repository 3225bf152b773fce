//! `archy backups`: the snapshots of apps' data that there are.

use crate::{
    cli::Which,
    fail::Failure,
    out::{Out, time},
    table,
};
use protocol::{
    ApiError, AppId, BackupView, ErrorCode, SnapshotId,
    client::{Client, ClientError},
};

pub(crate) async fn run(client: &Client, app: Option<&AppId>, out: &mut Out) -> Result<(), Failure> {
    let all = list(client, app).await?;
    if out.json() {
        return all.iter().try_for_each(|view| out.object(view));
    }
    let rows: Vec<[String; 6]> = all
        .iter()
        .map(|view| {
            [
                view.app.to_string(),
                view.id.as_str().chars().take(16).collect(),
                time(view.at),
                view.version.clone(),
                view.files.to_string(),
                view.bytes.to_string(),
            ]
        })
        .collect();
    table::print(["APP", "SNAPSHOT", "TIME", "VERSION", "FILES", "BYTES"], &rows, |_, _| None, out)
}

async fn list(client: &Client, app: Option<&AppId>) -> Result<Vec<BackupView>, Failure> {
    let path = match app {
        Some(app) => format!("/api/v1/apps/{app}/backups"),
        None => "/api/v1/backups".to_owned(),
    };
    Ok(client.get(&path).await?)
}

/// The whole id of a backup, of which the beginning may have been given.
pub(crate) async fn find(client: &Client, app: &AppId, which: &Which) -> Result<SnapshotId, Failure> {
    let mut all = list(client, Some(app)).await?;
    let found = match which {
        Which::Latest => all.pop(),
        Which::Id(id) => {
            all.retain(|view| view.id.as_str().starts_with(id.as_str()));
            if all.len() == 1 { all.pop() } else { None }
        }
    };
    let absent = || {
        let message = match which {
            Which::Latest => format!("there is no backup of {app}"),
            Which::Id(id) => format!("there is not exactly one backup {id} of {app}"),
        };
        let error = ApiError::new(ErrorCode::NotFound, message);
        ClientError::Refused(Box::new(error.hint(format!("archy backups {app} lists those that there are"))))
    };
    Ok(found.ok_or_else(absent)?.id)
}
