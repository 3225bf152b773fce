//! What an app needs of other apps: whether it may start, has to stop, or misses something. Pure.
//!
//! | the requirement is | before the start | while it runs |
//! |---|---|---|
//! | met | start | - |
//! | unknown | wait | - |
//! | not met | wait, unless started anyway | `on_lost` |
//!
//! Waiting is over with the first container that runs, and begins anew when the app is stopped, for whatever reason: so
//! an actor that starts anew finds out from what runs. An optional requirement keeps nobody waiting, and is lost only
//! after it was met.

use super::Neighbour;
use crate::gate::{News, Stand};
use apps::{
    manifest::{OnLost, Require, RequireCondition},
    meet,
};
use protocol::{AppId, ContainerPhase, Desired, GateState, Phase, WaitView};
use std::{collections::BTreeMap, sync::Arc};

/// How a requirement stands.
#[derive(Debug, Clone, PartialEq)]
enum Standing {
    Met,
    Unknown(WaitView),
    Unmet(WaitView),
}

impl Standing {
    fn wait(&self) -> Option<&WaitView> {
        match self {
            Self::Met => None,
            Self::Unknown(wait) | Self::Unmet(wait) => Some(wait),
        }
    }
}

/// How the app's own containers are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    /// The user wants it to run, and no operation holds it.
    pub(super) wanted: bool,
    /// One of them runs.
    pub(super) any_up: bool,
    /// All have been stopped.
    pub(super) all_at_rest: bool,
}

/// What an app needs, what it knows of it, and what follows.
#[derive(Debug, Default)]
pub(super) struct Needs {
    neighbours: BTreeMap<AppId, Arc<Neighbour>>,
    gates: BTreeMap<(AppId, String), Arc<News>>,
    /// Requirements that have been met since the app was last wanted.
    met: Vec<bool>,
    /// It has been let through.
    passed: bool,
    /// The user wants it to run without what it waits for.
    pub(super) anyway: bool,
    /// It is restarted when everything is met again.
    bounce: bool,
    /// It is being stopped, because of what is lost or to be restarted.
    draining: bool,
    /// What it waits for.
    waits: Vec<WaitView>,
    /// What it runs without, in words.
    misses: Vec<String>,
    clear: bool,
}

impl Needs {
    /// Nothing is known yet, but for what the user wants.
    pub(super) fn new(anyway: bool) -> Self {
        Self { anyway, ..Self::default() }
    }

    /// Another app is like this now. Says whether that concerns this one.
    pub(super) fn neighbour(&mut self, requires: &[Require], other: Arc<Neighbour>) -> bool {
        let concerns = requires.iter().any(|require| meet::is_named(require, &other.id, &other.provides));
        if concerns {
            self.neighbours.insert(other.id.clone(), other);
        }
        concerns
    }

    /// A gate is like this now. Says whether that concerns this one.
    pub(super) fn gate(&mut self, requires: &[Require], news: Arc<News>) -> bool {
        // The app that has it may be heard of later.
        let concerns = requires.iter().any(|require| require.gate.as_ref() == Some(&news.gate));
        if concerns {
            self.gates.insert((news.app.clone(), news.gate.clone()), news);
        }
        concerns
    }

    /// An app is off the node.
    pub(super) fn departed(&mut self, app: &AppId) {
        self.neighbours.remove(app);
        self.gates.retain(|(other, _), _| other != app);
    }

    /// What it would wait for if it were started now.
    pub(super) fn missing(&self, requires: &[Require]) -> Vec<WaitView> {
        let hard = requires.iter().filter(|require| !require.optional);
        hard.filter_map(|require| self.standing(require).wait().cloned()).collect()
    }

    /// Weighs what is known.
    pub(super) fn weigh(&mut self, requires: &[Require], own: Own) {
        self.met.resize(requires.len(), false);
        if !own.wanted {
            self.met.fill(false);
            (self.passed, self.bounce, self.draining, self.clear) = (false, false, false, false);
            (self.waits, self.misses) = (Vec::new(), Vec::new());
            return;
        }
        let standings: Vec<Standing> = requires.iter().map(|require| self.standing(require)).collect();
        for (met, standing) in self.met.iter_mut().zip(&standings) {
            *met |= *standing == Standing::Met;
        }
        let held = self.missing(requires);
        if held.is_empty() {
            self.anyway = false;
        }
        self.passed |= own.any_up && !self.draining;
        let lost: Vec<(&Require, &WaitView)> = requires
            .iter()
            .zip(&standings)
            .zip(&self.met)
            .filter_map(|((require, standing), met)| match standing {
                Standing::Unmet(wait) if *met || !(require.optional || self.anyway) => Some((require, wait)),
                _ => None,
            })
            .filter(|_| self.passed)
            .collect();
        let is_lost = |how: OnLost| lost.iter().any(|(require, _)| require.on_lost == how);
        let has_returned = requires
            .iter()
            .zip(&standings)
            .all(|(require, standing)| require.on_lost != OnLost::Restart || *standing == Standing::Met);
        if self.bounce && has_returned {
            (self.bounce, self.draining) = (false, true);
        }
        self.bounce |= is_lost(OnLost::Restart);
        self.draining |= is_lost(OnLost::Stop);
        if self.draining && own.all_at_rest {
            (self.draining, self.passed, self.bounce) = (false, false, false);
        }
        self.clear = self.passed || self.anyway || held.is_empty();
        let shown = lost.iter().filter(|(require, _)| self.passed && require.on_lost != OnLost::Ignore);
        self.misses =
            shown.map(|(_, wait)| format!("{} is not there any more{}", wait.on, colon(wait))).collect();
        if self.anyway {
            self.misses.extend(held.iter().map(|wait| format!("started without {}{}", wait.on, colon(wait))));
        }
        self.waits = if self.clear && !self.draining { Vec::new() } else { held };
    }

    /// How a requirement stands: the best of all apps that it names.
    fn standing(&self, require: &Require) -> Standing {
        let named = self.neighbours.values().filter(|other| {
            meet::is_named(require, &other.id, &other.provides)
                && meet::version_fits(require, &other.version)
                && other.desired != Desired::Absent
        });
        let mut best = None;
        for other in named {
            match (self.with(require, other), &best) {
                (Standing::Met, _) => return Standing::Met,
                (unknown @ Standing::Unknown(_), None | Some(Standing::Unmet(_))) => best = Some(unknown),
                (unmet @ Standing::Unmet(_), None) => best = Some(unmet),
                _ => {}
            }
        }
        best.unwrap_or_else(|| {
            let wait = wait(require, None, None, "is not there yet".into());
            // It may be about to be heard of, as at the start of the node.
            Standing::Unknown(wait)
        })
    }

    fn with(&self, require: &Require, other: &Neighbour) -> Standing {
        if let Some(gate) = &require.gate {
            let news = self.gates.get(&(other.id.clone(), gate.clone()));
            let Some(news) = news else {
                return Standing::Unknown(wait(
                    require,
                    Some(other),
                    None,
                    "has not been looked at yet".into(),
                ));
            };
            let wait = || wait(require, Some(other), Some(news), String::new());
            return match news.stand {
                Stand::Open => Standing::Met,
                Stand::Unknown => Standing::Unknown(wait()),
                Stand::Closed => Standing::Unmet(wait()),
            };
        }
        let is_met = match require.condition {
            RequireCondition::Exists => other.installed,
            RequireCondition::ServiceStarted => {
                other.containers.values().all(|(_, phase)| *phase == ContainerPhase::Running)
            }
            RequireCondition::ServiceHealthy => matches!(other.phase, Phase::Running | Phase::Degraded),
        };
        if is_met {
            return Standing::Met;
        }
        let word = serde_json::to_value(other.phase).unwrap_or_default();
        let word = word.as_str().unwrap_or_default().replace('_', " ");
        let wait = wait(require, Some(other), None, format!("it is {word}"));
        let is_seen = other.containers.values().all(|(_, phase)| *phase != ContainerPhase::Unknown);
        if is_seen && !other.containers.is_empty() { Standing::Unmet(wait) } else { Standing::Unknown(wait) }
    }

    /// Whether its containers may be started.
    pub(super) fn is_clear(&self) -> bool {
        self.clear
    }

    /// Whether its containers have to be stopped for now.
    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// What it waits for.
    pub(super) fn waits(&self) -> &[WaitView] {
        &self.waits
    }

    /// What it waits for, for people.
    pub(super) fn held(&self) -> Option<String> {
        let words: Vec<String> = self.waits.iter().map(in_words).collect();
        (!words.is_empty()).then(|| format!("waits for {}", words.join("; ")))
    }

    /// What it runs without, for people.
    pub(super) fn misses(&self) -> Option<String> {
        (!self.misses.is_empty()).then(|| self.misses.join("; "))
    }

    /// Gates that are wrong about whether this app waits for them.
    pub(super) fn to_correct(&self, me: &AppId) -> Vec<(AppId, String, bool)> {
        let wrong = self.gates.values().filter_map(|news| {
            let id = format!("{}/{}", news.app, news.gate);
            let waits = self.waits.iter().any(|wait| wait.on == id);
            (waits != news.waiters.contains(me)).then(|| (news.app.clone(), news.gate.clone(), waits))
        });
        wrong.collect()
    }
}

fn colon(wait: &WaitView) -> String {
    wait.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default()
}

fn in_words(wait: &WaitView) -> String {
    let percent =
        wait.progress.map(|share| format!(" ({:.0} %)", (share * 100.0).floor())).unwrap_or_default();
    format!("{}{percent}{}", wait.on, colon(wait))
}

fn wait(require: &Require, other: Option<&Neighbour>, news: Option<&News>, detail: String) -> WaitView {
    let app = other.map(|other| other.id.clone()).or_else(|| require.app.clone());
    let whom = app.as_ref().map_or_else(|| meet::name(require), AppId::as_str).to_owned();
    let (on, condition) = match (&require.gate, require.condition) {
        (Some(gate), _) => (format!("{whom}/{gate}"), "gate_open"),
        (None, RequireCondition::Exists) => (whom, "exists"),
        (None, RequireCondition::ServiceStarted) => (whom, "service_started"),
        (None, RequireCondition::ServiceHealthy) => (whom, "service_healthy"),
    };
    let state = news.map(|news| news.state).or_else(|| require.gate.as_ref().map(|_| GateState::Unknown));
    #[expect(clippy::cast_possible_truncation, reason = "a share for people")]
    let progress = news.and_then(|news| news.progress).map(|share| share as f32);
    WaitView {
        on,
        condition: condition.into(),
        progress,
        app,
        state,
        detail: news.map_or(Some(detail), |news| news.detail.clone()),
        may_skip: news.is_some_and(|news| news.may_skip),
    }
}

#[cfg(test)]
mod tests;
