//! What an app tells its own gates and the apps that may need it.

use super::{AppMsg, AppState};
use crate::{gate::GateMsg, names::name};
use protocol::{AppId, AppView, ContainerPhase, Desired, Phase, ServiceName};
use std::{collections::BTreeMap, sync::Arc};

/// What others need to know of an app.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbour {
    /// Id.
    pub(crate) id: AppId,
    /// Name for people.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// What it provides.
    pub(crate) provides: Vec<String>,
    /// Whether its install has succeeded.
    pub(crate) installed: bool,
    /// What the user wants of it.
    pub(crate) desired: Desired,
    /// Its phase.
    pub(crate) phase: Phase,
    /// Its containers: the engine's id, and the phase.
    pub(crate) containers: BTreeMap<ServiceName, (Option<String>, ContainerPhase)>,
}

/// Who wants to know.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// An app.
    App(AppId),
    /// A gate.
    Gate(AppId, String),
}

impl AppState {
    fn neighbour(&self, view: &AppView) -> Neighbour {
        Neighbour {
            id: view.id.clone(),
            name: view.name.clone(),
            version: view.version.clone(),
            provides: self.plan.manifest.provides.clone(),
            installed: view.installed,
            desired: view.desired,
            phase: view.phase,
            containers: view
                .containers
                .iter()
                .map(|c| (c.service.clone(), (c.id.clone(), c.phase)))
                .collect(),
        }
    }

    /// Tells everybody concerned what is new.
    pub(super) fn introduce(&mut self, view: &AppView) {
        let neighbour = Arc::new(self.neighbour(view));
        if self.introduced.as_ref() == Some(&neighbour) {
            return;
        }
        let names = &self.ctx.names;
        for gate in names.below::<GateMsg>(&name::gates_of(&self.plan.id)) {
            let _ = gate.cast(GateMsg::Neighbour(Arc::clone(&neighbour)));
        }
        for app in names.below::<AppMsg>(name::NEEDY) {
            let _ = app.cast(AppMsg::Neighbour(Arc::clone(&neighbour)));
        }
        self.introduced = Some(neighbour);
    }

    /// Tells one that asks.
    pub(super) fn answer(&self, asker: &Asker) {
        // Before the first row there is nothing to tell, and with it everybody is told.
        let Some(neighbour) = self.introduced.clone() else { return };
        match asker {
            Asker::App(app) => self.ctx.names.cast(&name::app(app), AppMsg::Neighbour(neighbour)),
            Asker::Gate(app, gate) => {
                self.ctx.names.cast(&name::gate(app, gate), GateMsg::Neighbour(neighbour))
            }
        };
    }
}
