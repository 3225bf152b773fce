//! Renews the certificates of apps that run for months without a restart.
//!
//! Parent: node, permanent. Children: one worker.
//! What is renewed is replaced in place, and the journal says so; a service is restarted for it where its manifest asks
//! for that.

use crate::{
    container::ContainerMsg,
    ctx::Ctx,
    journal::EventDraft,
    names::name,
    stack::Plan,
    store::{AppRow, StoreError},
    supply, worker,
};
use protocol::{Desired, EventActor, Severity};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// Time between two looks. Certificates are renewed a month before their end, or a third of their life.
const EVERY: Duration = Duration::from_secs(12 * 60 * 60);

/// The actor; its worker is all that it has.
pub(crate) struct Renewal;

impl Actor for Renewal {
    type Msg = ();
    type State = ();
    type Arguments = Ctx;

    async fn pre_start(&self, myself: ActorRef<()>, ctx: Ctx) -> Result<(), ActorProcessingErr> {
        worker::run(myself.get_cell(), renew(ctx)).await?;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        worker::ended(event)
    }
}

async fn renew(ctx: Ctx) {
    loop {
        // At the start of the node, too, its apps run and are not started.
        sleep(EVERY).await;
        if let Err(error) = all(&ctx).await {
            tracing::warn!(%error, "certificates were not looked at");
        }
    }
}

async fn all(ctx: &Ctx) -> Result<(), StoreError> {
    let is_on = |row: &AppRow| row.installed && row.desired != Desired::Absent;
    for row in ctx.store.apps().await?.into_iter().filter(is_on) {
        let Ok(plan) = Plan::of(&row, ctx) else { continue };
        one(ctx, &plan).await;
    }
    Ok(())
}

/// Looks at the certificates of one app.
async fn one(ctx: &Ctx, plan: &Plan) {
    for cert in &plan.rendered.certs {
        let told = |severity, what: String| {
            let event = EventDraft::new(EventActor::Node, "certificate", what).severity(severity);
            ctx.record(event.app(plan.id.clone()).subject(cert.name.clone()));
        };
        match supply::renew(ctx, plan, cert, SystemTime::now()).await {
            Ok(false) => {}
            Ok(true) => {
                told(Severity::Info, format!("the certificate {} of {} was renewed", cert.name, plan.id));
                let asking = plan.rendered.services.iter().filter(|it| it.renewals.contains(&cert.name));
                for service in asking {
                    let container = name::container(&plan.id, &service.service);
                    let why = format!("its certificate {} was renewed", cert.name);
                    ctx.names.cast(&container, ContainerMsg::Bounce(why));
                }
            }
            Err(error) => {
                let what = format!("the certificate {} of {} cannot be renewed: {error}", cert.name, plan.id);
                told(Severity::Warning, what);
            }
        }
    }
}
