//! Whether an app fits those that are on the node, asked before it comes and before it goes.

use super::{SubmitError, call};
use crate::{catalog::CatalogMsg, ctx::Ctx, gate::GateMsg, names::name, store::StoreError, supply::given};
use apps::{Manifest, manifest::Require, meet};
use protocol::{AppId, Desired, Problem};

/// The manifests of the apps that are on the node, or on their way to it. One that this node does not accept any more
/// needs nobody and serves nobody.
async fn installed(ctx: &Ctx) -> Result<Vec<Manifest>, StoreError> {
    let rows = ctx.store.apps().await?;
    let texts = rows.into_iter().filter(|row| row.desired != Desired::Absent).map(|row| row.manifest);
    let texts: Vec<String> = texts.collect();
    let parse = move || texts.iter().filter_map(|text| Manifest::parse(text).ok()).collect();
    Ok(tokio::task::spawn_blocking(parse).await.unwrap_or_default())
}

/// Refuses an app that lacks a secret which its owner has to give.
pub(super) fn is_given(ctx: &Ctx, app: &Manifest) -> Result<(), SubmitError> {
    let dir = ctx.secrets_dir(&app.id);
    let external = app.secrets.iter().filter(|(_, secret)| secret.external);
    let missing: Vec<Problem> = external
        .filter(|(name, _)| !given::is_given(&dir, name))
        .map(|(name, _)| Problem {
            rule: "secret_missing".into(),
            field: format!("secrets.{name}"),
            line: None,
            column: None,
            message: format!("the secret {name} has to be given first"),
            remedy: format!("give it with `archy secret set {} {name}`", app.id),
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(SubmitError::NotGiven(app.id.clone(), missing)) }
}

/// Refuses an app that cannot work beside those that are on the node.
pub(super) async fn fits(ctx: &Ctx, app: Manifest) -> Result<(), SubmitError> {
    let id = app.id.clone();
    let problems = problems(ctx, app).await?;
    if problems.is_empty() { Ok(()) } else { Err(SubmitError::Unfit(id, problems)) }
}

/// Why an app cannot work beside those that are on the node; empty where it can.
pub(crate) async fn problems(ctx: &Ctx, app: Manifest) -> Result<Vec<Problem>, SubmitError> {
    if app.requires.is_empty() && app.conflicts.is_empty() && ctx.store.apps().await?.is_empty() {
        return Ok(Vec::new());
    }
    let installed = installed(ctx).await?;
    let catalog = call(ctx, name::CATALOG, CatalogMsg::All).await?;
    let (others, known): (Vec<&Manifest>, Vec<&Manifest>) =
        (installed.iter().collect(), catalog.iter().collect());
    let mut problems = meet::problems(&app, &others, &known);
    for (i, require) in app.requires.iter().enumerate().filter(|(_, require)| !require.optional) {
        problems.extend(never(ctx, i, require, &others).await);
    }
    problems.extend(let_down(&app, &others, &known));
    Ok(problems)
}

/// What others miss where this version takes the place of the one that is there.
fn let_down(app: &Manifest, others: &[&Manifest], known: &[&Manifest]) -> Vec<Problem> {
    if !others.iter().any(|other| other.id == app.id) {
        return Vec::new();
    }
    let after: Vec<&Manifest> =
        others.iter().filter(|other| other.id != app.id).copied().chain([app]).collect();
    let dependants = others.iter().filter(|other| other.id != app.id);
    let of = |other: &Manifest| {
        let before = meet::problems(other, others, known);
        let new = meet::problems(other, &after, known).into_iter();
        let new = new.filter(|problem| !before.iter().any(|old| old.message == problem.message));
        new.map(|problem| Problem { message: format!("{}: {}", other.name, problem.message), ..problem })
            .collect::<Vec<_>>()
    };
    dependants.flat_map(|other| of(other)).collect()
}

/// What is wrong where every gate that would do says that it can never open.
async fn never(ctx: &Ctx, i: usize, require: &Require, others: &[&Manifest]) -> Option<Problem> {
    let gate = require.gate.as_ref()?;
    let mut found = None;
    for other in others.iter().filter(|other| meet::is_named(require, &other.id, &other.provides)) {
        let answer = call(ctx, &name::gate(&other.id, gate), GateMsg::Impossible).await;
        let (reason, remedy) = answer.ok().flatten()?;
        found = Some(Problem {
            rule: "requires".into(),
            field: format!("requires[{i}].gate"),
            line: None,
            column: None,
            message: format!("it waits for {}/{gate}, which cannot open: {reason}", other.id),
            remedy,
        });
    }
    found
}

/// Refuses to take away an app that others cannot run without.
pub(crate) async fn nobody_needs(ctx: &Ctx, app: &AppId) -> Result<(), SubmitError> {
    let installed = installed(ctx).await?;
    let needed = meet::dependants(app, &installed.iter().collect::<Vec<_>>());
    if needed.is_empty() { Ok(()) } else { Err(SubmitError::Needed(app.clone(), needed)) }
}
