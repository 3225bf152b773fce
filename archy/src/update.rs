//! `archy update` without an app, and what `archy cancel` is about.

use crate::{fail::Failure, out::Out, table};
use protocol::{AppView, Command, OpId, Row, StreamId, client::Client};

async fn apps(client: &Client) -> Result<Vec<AppView>, Failure> {
    let rows = client.snapshot(StreamId::Apps).await?.items.into_iter();
    let app = |row| match row {
        Row::App(app) => Some(*app),
        _ => None,
    };
    Ok(rows.filter_map(app).collect())
}

/// Lists the apps whose version in the catalog is another one.
pub(crate) async fn list(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let mut apps = apps(client).await?;
    apps.retain(|app| app.update.is_some());
    if out.json() {
        return apps.iter().try_for_each(|app| out.object(app));
    }
    if apps.is_empty() {
        return out.line("everything is at the catalog's version");
    }
    let cells: Vec<[String; 3]> = apps
        .into_iter()
        .map(|app| [app.id.to_string(), app.version, app.update.unwrap_or_default()])
        .collect();
    table::print(["APP", "VERSION", "UPDATE"], &cells, |_, _| None, out)
}

/// The command that ends what runs on an app, or the operation of this id.
pub(crate) async fn cancel(client: &Client, what: &str) -> Result<Command, Failure> {
    if let Some(app) = apps(client).await?.into_iter().find(|app| app.id.as_str() == what) {
        let op = app.op.ok_or_else(|| Failure::NothingRuns(what.to_owned()))?;
        return Ok(Command::Cancel { app: app.id, op });
    }
    let rows = client.snapshot(StreamId::Ops).await?.items.into_iter();
    let is_it = |row: &Row| matches!(row, Row::Op(op) if op.id == OpId(what.into()));
    match rows.into_iter().find(is_it) {
        Some(Row::Op(op)) => Ok(Command::Cancel { app: op.app, op: op.id }),
        _ => Err(Failure::NoOperation(what.to_owned())),
    }
}
