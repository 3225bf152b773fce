//! The stack of an app: its supervisors and what they supervise.
//!
//! ```text
//! stack <app>        one_for_one, parks what fails too often
//! ├─ containers      strategy, intensity and backoff from the manifest
//! │  └─ <service>    container actor, permanent
//! ├─ app             permanent
//! └─ op-<id>         operation, temporary
//! ```

use crate::{
    app::{App, AppArgs, AppMsg, Fate},
    clock::millis,
    container::{Container, ContainerArgs},
    control::{ControlMsg, STACKS as STACKS_ID},
    ctx::Ctx,
    gate::GATES,
    hub::HubMsg,
    journal,
    names::name,
    operation,
    store::AppRow,
    supply, support,
};
use apps::{Manifest, RenderContext, Rendered, manifest::Strategy as Declared};
use protocol::{AppId, Problem, ServiceName};
use std::{path::PathBuf, sync::Arc, time::Duration};
use supervisor::{
    Backoff, ChildSpec, OnExhausted, Report, ReportEvent, ReportSink, Strategy, SupFlags, Supervisor,
};

/// Id of the containers' supervisor under the stack.
const CONTAINERS: &str = "containers";
/// Path of the root supervisor.
const ROOT: &str = "node";
/// Path of the supervisor of all stacks.
const STACKS: &str = "node/stacks";
/// A stack that crash-loops is tried again after this time without anybody's help.
const RETRY_AFTER: Duration = Duration::from_secs(300);
/// An app's containers that ran this long begin again without a wait.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Everything about an app that does not change while it is on the node.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Id.
    pub(crate) id: AppId,
    /// Its manifest.
    pub(crate) manifest: Manifest,
    /// Its manifest's text.
    pub(crate) text: String,
    /// The folder that its manifest came from.
    pub(crate) manifest_dir: PathBuf,
    /// What it needs of the engine.
    pub(crate) rendered: Rendered,
}

impl Plan {
    /// Of an app that the store has.
    ///
    /// # Errors
    ///
    /// When this node does not accept its manifest, as after an update of the node.
    pub(crate) fn of(row: &AppRow, ctx: &Ctx) -> Result<Self, Vec<Problem>> {
        let manifest = Manifest::parse(&row.manifest)?;
        let rendered = manifest.render(&RenderContext {
            node_id: ctx.node_id().to_owned(),
            data_dir: ctx.app_dir(&row.id),
            manifest_dir: row.manifest_dir.clone(),
            facts: supply::gather(),
        });
        let missing = support::missing(&rendered);
        if !missing.is_empty() {
            return Err(missing);
        }
        let (id, text, manifest_dir) = (row.id.clone(), row.manifest.clone(), row.manifest_dir.clone());
        Ok(Self { id, manifest, text, manifest_dir, rendered })
    }
}

/// Path of a stack in the tree.
pub(crate) fn path(app: &AppId) -> String {
    format!("{STACKS}/{app}")
}

/// Path of a container in the tree.
pub(crate) fn container_path(app: &AppId, service: &ServiceName) -> String {
    format!("{STACKS}/{app}/{CONTAINERS}/{service}")
}

/// The stack of an app as a child of `stacks`.
pub(crate) fn child_spec(ctx: &Ctx, plan: &Arc<Plan>) -> ChildSpec {
    let flags = SupFlags::new(Strategy::OneForOne)
        .intensity(10, Duration::from_secs(60))
        .on_exhausted(OnExhausted::Park { retry_after: Some(Duration::from_secs(30)) });
    let containers = containers_spec(ctx, plan);
    let (app_ctx, app_plan) = (ctx.clone(), Arc::clone(plan));
    let app = ChildSpec::worker("app", move |start| {
        let (ctx, plan, stack) = (app_ctx.clone(), Arc::clone(&app_plan), start.supervisor.clone());
        let args = AppArgs { ctx, plan, stack };
        async move { start.spawn(App, args).await }
    })
    .backoff(Backoff { first: Duration::ZERO, max: Duration::from_secs(5), ..Backoff::default() });
    let spec = Supervisor::child_spec(plan.id.as_str(), flags, vec![containers, app]);
    named(ctx, name::stack(&plan.id), spec)
}

fn containers_spec(ctx: &Ctx, plan: &Arc<Plan>) -> ChildSpec {
    let declared = &plan.manifest.supervisor;
    let strategy = match declared.strategy {
        Declared::OneForOne => Strategy::OneForOne,
        Declared::OneForAll => Strategy::OneForAll,
        Declared::RestForOne => Strategy::RestForOne,
    };
    let flags = SupFlags::new(strategy)
        .intensity(declared.intensity, declared.period.0)
        .on_exhausted(OnExhausted::Park { retry_after: Some(RETRY_AFTER) });
    let backoff = Backoff {
        first: Duration::ZERO,
        initial: declared.backoff.min.0,
        factor: declared.backoff.factor,
        max: declared.backoff.max.0,
        jitter: declared.backoff.jitter,
        reset_after: HEALTHY_AFTER,
    };
    let container = |service: &apps::RenderedService| {
        let (ctx, app, service) = (ctx.clone(), plan.id.clone(), Arc::new(service.clone()));
        let plan = Arc::clone(plan);
        let id = service.service.to_string();
        ChildSpec::worker(id, move |start| {
            let cause = start.cause.clone();
            let args = ContainerArgs {
                ctx: ctx.clone(),
                app: app.clone(),
                service: Arc::clone(&service),
                plan: Arc::clone(&plan),
                cause,
            };
            async move { start.spawn(Container, args).await }
        })
        .backoff(backoff.clone())
    };
    let children = plan.rendered.services.iter().map(container).collect();
    named(ctx, name::containers(&plan.id), Supervisor::child_spec(CONTAINERS, flags, children))
}

/// Registers every incarnation of a supervisor under a name.
pub(crate) fn named(ctx: &Ctx, name: impl Into<Arc<str>>, mut spec: ChildSpec) -> ChildSpec {
    let (inner, ctx, name) = (spec.start.clone(), ctx.clone(), name.into());
    spec.start = Arc::new(move |start| {
        let (starting, ctx, name) = (inner(start), ctx.clone(), Arc::clone(&name));
        Box::pin(async move {
            let started = starting.await?;
            if let Some(cell) = started.cell() {
                ctx.names.register(name.as_ref(), cell.clone());
            }
            Ok(started)
        })
    });
    spec
}

/// Hears every supervisor of the node: keeps the tree, and tells apps what becomes of their containers.
pub(crate) fn sink(ctx: &Ctx) -> ReportSink {
    let ctx = ctx.clone();
    Arc::new(move |report: &Report| {
        journal::reports::record(&ctx, report);
        let (changed, gone) = ctx.tree.report(report);
        ctx.names.cast(name::HUB, HubMsg::Tree(changed, gone));
        // A supervisor of all stacks or gates that was restarted is empty: control fills it again.
        let is_new = matches!(report.event, ReportEvent::ChildStarted { .. });
        if is_new
            && *report.path == *ROOT
            && report.offender.as_ref().is_some_and(|child| child.id == STACKS_ID || child.id == GATES)
        {
            ctx.names.cast(name::CONTROL, ControlMsg::Boot);
        }
        if let Some((app, message)) = for_app(report) {
            ctx.names.cast(&name::app(&app), message);
        }
    })
}

/// What a report means to an app.
fn for_app(report: &Report) -> Option<(AppId, AppMsg)> {
    let below = report.path.strip_prefix(STACKS)?.strip_prefix('/')?;
    let child = report.offender.as_ref()?;
    let (app, supervisor) = below.split_once('/').unwrap_or((below, ""));
    let app: AppId = app.parse().ok()?;
    if supervisor.is_empty() {
        let op = operation::id_of_child(child.id.as_str())?;
        return match &report.event {
            ReportEvent::ChildTerminated { reason, .. } => Some((app, AppMsg::OpGone(op, reason.clone()))),
            _ => None,
        };
    }
    let service: ServiceName = child.id.as_str().parse().ok()?;
    let later = |delay: Duration| millis(report.at + delay);
    let fate = match &report.event {
        ReportEvent::ChildTerminated { reason, .. } => {
            let actor = child.cell.as_ref().map(ractor::ActorCell::get_id);
            Fate::Ended(service, actor, reason.downcast_ref().cloned())
        }
        ReportEvent::RestartScheduled { delay, .. } => Fate::Backoff(service, later(*delay)),
        ReportEvent::Parked { retry_after } => Fate::Parked(service, retry_after.map(later)),
        ReportEvent::Unparked => Fate::Unparked(service),
        _ => return None,
    };
    Some((app, AppMsg::Fate(fate)))
}
