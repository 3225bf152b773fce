//! The gates of an app under the supervisor of all gates.

use super::{GateActor, GateArgs, GateMsg};
use crate::{
    app::AppMsg,
    ctx::Ctx,
    hub::HubMsg,
    names::name,
    stack::{self, Plan},
};
use protocol::{AppId, StreamId};
use std::{sync::Arc, time::Duration};
use supervisor::{Backoff, ChildId, ChildSpec, SupFlags, Supervisor, SupervisorError, SupervisorRef};

/// Name of the supervisor of all gates.
pub(crate) const GATES: &str = "gates";
/// Its path in the tree.
const PATH: &str = "node/gates";

/// The supervisor of all gates, empty.
pub(crate) fn named_supervisor(ctx: &Ctx, flags: SupFlags) -> ChildSpec {
    stack::named(ctx, GATES, Supervisor::child_spec(GATES, flags, vec![]))
}

/// Ids have no colon, so two gates never meet.
fn child_id(app: &AppId, gate: &str) -> String {
    format!("{app}:{gate}")
}

fn supervisor(ctx: &Ctx) -> Option<SupervisorRef> {
    ctx.names.cell(GATES).and_then(|cell| SupervisorRef::from_cell(&cell))
}

/// Starts the gates that an app exports, unless they are there.
pub(crate) async fn start_gates(ctx: &Ctx, plan: &Arc<Plan>) {
    // A supervisor that is being restarted is filled when it is back.
    let Some(gates) = supervisor(ctx) else { return };
    for spec in specs(ctx, plan) {
        let id = spec.id.clone();
        let started = match gates.start_child(spec).await {
            Err(SupervisorError::AlreadyPresent) => gates.restart_child(id.clone()).await,
            other => other,
        };
        match started {
            Ok(_)
            | Err(
                SupervisorError::AlreadyStarted(_) | SupervisorError::Running | SupervisorError::Restarting,
            ) => {}
            Err(error) => tracing::error!(gate = %id, %error, "gate could not be started"),
        }
    }
}

fn specs(ctx: &Ctx, plan: &Arc<Plan>) -> Vec<ChildSpec> {
    let services = &plan.rendered.services;
    let spec = |(gate_name, gate): (&String, &apps::manifest::Gate)| {
        // Validation has seen to it that the service is there, and named where there are several.
        let named =
            services.iter().find(|it| gate.service.as_ref().is_none_or(|name| *name == it.service))?;
        let args = GateArgs {
            ctx: ctx.clone(),
            plan: Arc::clone(plan),
            name: gate_name.clone(),
            gate: Arc::new(gate.clone()),
            service: Arc::new(named.clone()),
        };
        let spec = ChildSpec::worker(child_id(&plan.id, gate_name), move |start| {
            let args = args.clone();
            async move { start.spawn(GateActor, args).await }
        });
        Some(spec.backoff(Backoff {
            first: Duration::ZERO,
            max: Duration::from_secs(10),
            ..Backoff::default()
        }))
    };
    plan.manifest.gates.iter().filter_map(spec).collect()
}

/// Ends the gates of an app that is off the node, and tells everybody that it is.
pub(crate) async fn end_gates(ctx: &Ctx, app: &AppId) {
    stop_gates(ctx, app, &|_| false).await;
    for gate in ctx.names.below::<GateMsg>(name::GATES) {
        let _ = gate.cast(GateMsg::Waiting(app.clone(), false));
    }
    for other in ctx.names.below::<AppMsg>(name::NEEDY) {
        let _ = other.cast(AppMsg::Departed(app.clone()));
    }
}

/// Ends the gates of an app that gets another manifest. Nobody is told: to whoever waits for one that stays, it is
/// unknown for a moment.
pub(crate) async fn exchange_gates(ctx: &Ctx, plan: &Plan) {
    stop_gates(ctx, &plan.id, &|gate| plan.manifest.gates.contains_key(gate)).await;
}

async fn stop_gates(ctx: &Ctx, app: &AppId, stays: &(dyn Fn(&str) -> bool + Sync)) {
    let prefix = name::gates_of(app);
    let ended: Vec<String> = ctx
        .names
        .known_below(&prefix)
        .iter()
        .filter_map(|it| it.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect();
    for gate in ended {
        if let Some(gates) = supervisor(ctx) {
            let id = ChildId::from(child_id(app, &gate));
            if gates.terminate_child(id.clone()).await.is_ok()
                && let Err(error) = gates.delete_child(id).await
            {
                tracing::warn!(%app, gate, %error, "ended gate could not be deleted");
            }
        }
        ctx.names.forget(&name::gate(app, &gate));
        let gone = ctx.tree.remove(&format!("{PATH}/{}", child_id(app, &gate)));
        ctx.names.cast(name::HUB, HubMsg::Tree(vec![], gone));
        if !stays(&gate) {
            let row = format!("{app}/{gate}");
            ctx.names.cast(name::HUB, HubMsg::Remove(StreamId::Gates, row, "uninstalled"));
        }
    }
}
