//! Install: what cannot work is refused before anything is made, and what was made is undone where it fails.

use super::{
    Hold,
    course::Before,
    error::{engine_error, store_error},
    images,
    progress::Progress,
    purge,
    steps::{self, own},
};
use crate::{app::AppMsg, container::is_adoptable, names::name};
use apps::{PortMapping, PortProtocol, RenderedService};
use engine::{EngineError, ErrorClass};
use protocol::{Desired, OpError};
use std::{collections::BTreeSet, time::Duration};
use tokio::{
    net::{TcpListener, UdpSocket},
    time::{Instant, sleep},
};

/// Longest wait for the engine.
const ENGINE: Duration = Duration::from_secs(30);

pub(super) async fn run(p: &Progress) -> Result<(), OpError> {
    p.step("check", check(p)).await?;
    p.step("images", images::ensure(p, &p.plan)).await?;
    p.step("files", steps::provide(p)).await?;
    p.step("network", steps::connect(p)).await?;
    p.hold(Hold::None);
    p.step("start", steps::started(p)).await?;
    p.step("ready", async {
        steps::ready(p).await?;
        p.call(&name::app(&p.plan.id), AppMsg::Installed).await?.map_err(store_error)
    })
    .await
}

/// Undoes it: what was there before stays, also where it was used by this install.
pub(super) async fn undo(p: &Progress) -> Result<(), OpError> {
    p.undo("remove", || async {
        p.set_desired(Desired::Absent).await?;
        p.hold(Hold::None);
        let gone = p.within(steps::UNDONE, "the removal", steps::removed(p)).await?;
        p.leave_behind(gone);
        // Where nothing was noted, nothing was made.
        let Some(before) = p.course().await?.before else { return Ok(()) };
        purge::made_since(p, &before).await
    })
    .await?;
    p.undo("forget", || steps::forget(p)).await
}

/// Refuses what cannot work before anything is made, and notes what there is.
async fn check(p: &Progress) -> Result<(), OpError> {
    reach_engine(p).await?;
    let engine = &p.ctx.engine;
    if p.course().await?.before.is_none() {
        let volumes = engine.list_volumes(&own(p)).await.map_err(|e| engine_error(&e))?;
        let before = Before {
            volumes: BTreeSet::from_iter(volumes),
            data: p.ctx.app_dir(&p.plan.id).exists(),
            secrets: p.ctx.secrets_dir(&p.plan.id).exists(),
        };
        p.note(move |course| course.before = Some(before)).await?;
    }
    if !engine.list(&own(p)).await.map_err(|e| engine_error(&e))?.is_empty() {
        return Ok(()); // an earlier attempt's containers hold the names and ports
    }
    for service in &p.plan.rendered.services {
        vacant(p, service, &[]).await?;
    }
    Ok(())
}

/// Refuses a service whose names or ports are taken; `held` are ports that the app has already.
pub(super) async fn vacant(
    p: &Progress,
    service: &RenderedService,
    held: &[PortMapping],
) -> Result<(), OpError> {
    let engine = &p.ctx.engine;
    match engine.inspect(&service.spec.name).await {
        // It holds its ports itself.
        Ok(found) if service.adopt.is_some() && is_adoptable(&found) => return Ok(()),
        Err(EngineError::NotFound { .. }) => {}
        Err(error) => return Err(engine_error(&error)),
        Ok(_) => return Err(in_the_way(&service.spec.name)),
    }
    if let Some(anchor) = &service.anchor {
        match engine.inspect(&anchor.name).await {
            Err(EngineError::NotFound { .. }) => {}
            Err(error) => return Err(engine_error(&error)),
            Ok(_) => return Err(in_the_way(&anchor.name)),
        }
    }
    ports_free(service, held).await
}

/// Refuses a service whose ports are taken by somebody else.
pub(super) async fn ports_free(service: &RenderedService, held: &[PortMapping]) -> Result<(), OpError> {
    let is_held = |port: &PortMapping| {
        held.iter().any(|it| it.published == port.published && it.protocol == port.protocol)
    };
    for port in service.published().iter().filter(|port| !is_held(port)) {
        free(port).await.map_err(|error| {
            engine_error(&EngineError::PortInUse {
                subject: service.spec.name.clone(),
                message: format!("{} {error}", port.published),
            })
        })?;
    }
    Ok(())
}

fn in_the_way(name: &str) -> OpError {
    engine_error(&EngineError::Conflict {
        subject: name.to_owned(),
        message: "a container of this name is there that is not this node's".into(),
    })
}

/// Waits for the engine: right after the node's start it may still be on its way.
pub(super) async fn reach_engine(p: &Progress) -> Result<(), OpError> {
    let deadline = Instant::now() + ENGINE;
    loop {
        match p.ctx.engine.info().await {
            Ok(_) => return Ok(()),
            Err(error) if error.class() == ErrorClass::Transient && Instant::now() < deadline => {
                p.detail(format!("waiting for the container engine: {error}"));
                sleep(Duration::from_millis(250)).await;
            }
            Err(error) => return Err(engine_error(&error)),
        }
    }
}

async fn free(port: &PortMapping) -> std::io::Result<()> {
    let host = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
    match port.protocol {
        PortProtocol::Tcp => TcpListener::bind((host, port.published)).await.map(drop),
        PortProtocol::Udp => UdpSocket::bind((host, port.published)).await.map(drop),
    }
}
