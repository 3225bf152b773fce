//! What a look at a service's containers finds, in the machine's words.

use apps::{
    ContainerSpec, LABEL_APP, LABEL_DIGEST, LABEL_NODE, LABEL_ROLE, LABEL_SERVICE, RenderedService,
    manifest::AdoptPolicy,
};
use engine::{Engine, EngineError, EngineState, Inspect, ProcessRef};
use futures_util::future::try_join;

/// What was found of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// No container.
    Absent,
    /// A container of this name that is not this node's.
    Foreign,
    /// It does not run.
    Down {
        /// Id.
        id: String,
        /// Whether it ran before.
        ran: bool,
        /// Exit code.
        code: i32,
        /// Killed for lack of memory.
        oom: bool,
        /// The engine saw its process end.
        ended: bool,
        /// Made from another configuration, or joined to an anchor that is gone.
        stale: bool,
        /// Made by a person, and taken over.
        adopted: bool,
    },
    /// It runs.
    Up(Up),
    /// The engine says that it runs, and it does not, or cannot any more.
    Behind {
        /// Id.
        id: String,
        /// Why.
        why: Lag,
        /// Made by a person, and taken over.
        adopted: bool,
    },
}

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Up {
    /// Id.
    pub(crate) id: String,
    /// Its init process.
    pub(crate) process: ProcessRef,
    /// The process that watches it for the engine.
    pub(crate) monitor: Option<ProcessRef>,
    /// When it was started.
    pub(crate) started_at: Option<u64>,
    /// Paused from outside.
    pub(crate) paused: bool,
    /// Joined to an anchor that is gone.
    pub(crate) adrift: bool,
    /// Made from another configuration.
    pub(crate) stale: bool,
    /// Made by a person, and taken over.
    pub(crate) adopted: bool,
}

/// Why the engine's word does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lag {
    /// The process is dead, its monitor lives: the engine will be told.
    Telling,
    /// The engine knows of the end and is cleaning up.
    Cleaning,
    /// The process is dead, or serves nobody, and nobody is left to tell the engine.
    Unmonitored,
    /// Its files are gone.
    Damaged,
}

/// What was found of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    /// The container.
    pub(crate) container: Look,
    /// Its anchor; `None` where it needs none or keeps a network of its own.
    pub(crate) anchor: Option<Look>,
}

/// What is known before a look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The container's id as it was last seen.
    pub(crate) container: Option<String>,
    /// The anchor's.
    pub(crate) anchor: Option<String>,
    /// Whether an earlier incarnation knew which containers are the service's: then names do.
    pub(crate) by_name: bool,
}

/// Looks at a service's containers.
pub(crate) async fn look(
    engine: &dyn Engine,
    service: &RenderedService,
    known: &Known,
) -> Result<Sight, EngineError> {
    let adopt = service.adopt.is_some();
    let (id, anchor_id) = (known.container.as_deref(), known.anchor.as_deref());
    // Side by side: the time of a look is part of every recovery.
    let (mut container, anchor) = try_join(find(engine, &service.spec, adopt, id, known.by_name), async {
        match &service.anchor {
            Some(anchor) => find(engine, anchor, false, anchor_id, known.by_name).await.map(Some),
            None => Ok(None),
        }
    })
    .await?;
    if let (Found::Absent, Some(id)) = (&container, id) {
        match engine.inspect(id).await {
            // One without labels that was renamed.
            Ok(found) if service.adopt.is_some() && is_adoptable(&found) => {
                container = Found::Ours(Box::new(found));
            }
            Ok(_) => {}
            Err(EngineError::NotFound { .. }) => engine.reap(id).await?,
            Err(error) => return Err(error),
        }
    }
    // A container that was adopted with a network of its own keeps it.
    let keeps_own = matches!(&container, Found::Ours(found) if found.network_of.is_none());
    let anchor = anchor.filter(|_| !keeps_own);
    let anchor_id = match &anchor {
        Some(Found::Ours(anchor)) => Some(anchor.id.clone()),
        _ => None,
    };
    let anchored = anchor.is_some();
    Ok(Sight {
        container: translate(
            container,
            &service.spec,
            service.adopt == Some(AdoptPolicy::Recreate),
            |found| {
                let adrift = anchored && found.network_of != anchor_id;
                let ports =
                    if anchored || service.published().is_empty() { Ports::Others } else { Ports::Own };
                (adrift, ports)
            },
        ),
        anchor: anchor
            .zip(service.anchor.as_ref())
            .map(|(found, spec)| translate(found, spec, false, |_| (false, Ports::All))),
    })
}

/// What hangs on a container's monitor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ports {
    /// It has none of its own.
    Others,
    /// Its own, which are lost when it is started before the engine has cleaned up.
    Own,
    /// It is there for nothing else: without a monitor it serves nobody.
    All,
}

enum Found {
    Absent,
    Foreign,
    /// Ours by its labels; the engine cannot look at it. Its process, if that lives.
    Damaged(String, Option<ProcessRef>),
    Ours(Box<Inspect>),
}

async fn find(
    engine: &dyn Engine,
    spec: &ContainerSpec,
    adopt: bool,
    known: Option<&str>,
    by_name: bool,
) -> Result<Found, EngineError> {
    let named = match engine.inspect(&spec.name).await {
        Ok(found) if is_ours(&found, spec) => {
            let runs = matches!(found.state, EngineState::Running | EngineState::Paused);
            let is_sure = if known.is_some() { known == Some(&found.id) } else { runs || by_name };
            if is_sure {
                return Ok(Found::Ours(Box::new(found)));
            }
            Found::Ours(Box::new(found))
        }
        Ok(found) if adopt && is_adoptable(&found) => return Ok(Found::Ours(Box::new(found))),
        Ok(_) => Found::Foreign,
        Err(EngineError::NotFound { .. }) => Found::Absent,
        // Whose it is, the list still tells.
        Err(EngineError::Damaged { .. }) => Found::Foreign,
        Err(error) => return Err(error),
    };
    // Somebody may have renamed it, or made a second one: the known one counts, or else one that runs.
    let label = |key: &'static str| Some((key, spec.labels.get(key)?.as_str()));
    let labels: Vec<_> = [LABEL_NODE, LABEL_APP, LABEL_SERVICE].into_iter().filter_map(label).collect();
    let same_role = |labels: &std::collections::BTreeMap<String, String>| {
        labels.get(LABEL_ROLE) == spec.labels.get(LABEL_ROLE)
    };
    let all = engine.list(&labels).await?.into_iter().filter(|other| same_role(&other.labels));
    let one =
        all.min_by_key(|it| (known != Some(it.id.as_str()), it.process.is_none(), it.name != spec.name));
    let Some(one) = one else { return Ok(named) };
    if matches!(&named, Found::Ours(found) if found.id == one.id) {
        return Ok(named);
    }
    match engine.inspect(&one.id).await {
        Ok(found) => Ok(Found::Ours(Box::new(found))),
        Err(EngineError::NotFound { .. }) => Ok(named),
        Err(EngineError::Damaged { .. }) => Ok(Found::Damaged(one.id, one.process)),
        Err(error) => Err(error),
    }
}

/// No node's, and so a person's, who has it adopted by the manifest.
pub(crate) fn is_adoptable(found: &Inspect) -> bool {
    !found.labels.contains_key(LABEL_NODE)
}

fn is_ours(found: &Inspect, spec: &ContainerSpec) -> bool {
    let same = |label| found.labels.get(label) == spec.labels.get(label);
    spec.labels.contains_key(LABEL_NODE)
        && [LABEL_NODE, LABEL_APP, LABEL_SERVICE, LABEL_ROLE].into_iter().all(same)
}

/// `replace`: one that was adopted is made anew at its next start.
/// `bonds` tells whether it is adrift, and what hangs on its monitor.
fn translate(
    found: Found,
    spec: &ContainerSpec,
    replace: bool,
    bonds: impl Fn(&Inspect) -> (bool, Ports),
) -> Look {
    let found = match found {
        Found::Absent => return Look::Absent,
        Found::Foreign => return Look::Foreign,
        // What runs is left to run; its files are mended when it ends.
        Found::Damaged(id, Some(process)) => {
            let monitor = Some(process);
            let (started_at, paused, adrift, stale, adopted) = (None, false, false, false, false);
            return Look::Up(Up { id, process, monitor, started_at, paused, adrift, stale, adopted });
        }
        Found::Damaged(id, None) => return Look::Behind { id, why: Lag::Damaged, adopted: false },
        Found::Ours(found) => found,
    };
    let (adrift, ports) = bonds(&found);
    let adopted = is_adoptable(&found);
    // One that was made by hand or by an older node says nothing of its configuration and is kept as it is.
    let digest = found.labels.get(LABEL_DIGEST);
    let stale =
        digest.is_some_and(|digest| spec.labels.get(LABEL_DIGEST) != Some(digest)) || adopted && replace;
    let behind = |why| Look::Behind { id: found.id.clone(), why, adopted };
    let down = || Look::Down {
        id: found.id.clone(),
        ran: found.started_at.is_some(),
        code: found.exit_code,
        oom: found.oom,
        ended: matches!(found.state, EngineState::Exited | EngineState::Stopped)
            && found.started_at.is_some(),
        stale: stale || adrift,
        adopted,
    };
    match (found.state, found.process) {
        (EngineState::Running | EngineState::Paused, Some(_))
            if ports == Ports::All && found.monitor.is_none() =>
        {
            behind(Lag::Unmonitored)
        }
        (EngineState::Running | EngineState::Paused | EngineState::Stopping, Some(process)) => Look::Up(Up {
            process,
            monitor: found.monitor,
            started_at: found.started_at,
            paused: found.state == EngineState::Paused,
            adrift,
            stale,
            adopted,
            id: found.id,
        }),
        (EngineState::Running | EngineState::Paused, None) if found.monitor.is_some() => behind(Lag::Telling),
        (EngineState::Stopping, None) if found.monitor.is_some() => behind(Lag::Cleaning),
        (EngineState::Running | EngineState::Paused | EngineState::Stopping, None) => {
            behind(Lag::Unmonitored)
        }
        // Started before it counts as exited, it would lose its published ports.
        (EngineState::Stopped, _) if ports != Ports::Others => behind(Lag::Cleaning),
        (EngineState::Stopped | EngineState::Created | EngineState::Exited | EngineState::Other, _) => down(),
    }
}
