//! Which apps meet what another one requires: asked before an install, before an uninstall and while they run.

mod shared;

use crate::{Manifest, manifest::Require, rule::Rule, version};
use protocol::{AppId, Problem};
use std::collections::BTreeSet;

/// Whether an app is one that a requirement names, whatever its version.
pub fn is_named(require: &Require, app: &AppId, provides: &[String]) -> bool {
    match (&require.app, &require.capability) {
        (Some(wanted), _) => wanted == app,
        (None, Some(capability)) => provides.contains(capability),
        (None, None) => false,
    }
}

/// Whether a version of an app that is named will do.
pub fn version_fits(require: &Require, found: &str) -> bool {
    require.version.as_ref().is_none_or(|wanted| version::fits(wanted, found))
}

/// What a requirement names, for people.
pub fn name(require: &Require) -> &str {
    let app = require.app.as_ref().map(AppId::as_str);
    app.or(require.capability.as_deref()).unwrap_or_default()
}

fn named<'m>(require: &Require, apps: &[&'m Manifest]) -> Vec<&'m Manifest> {
    apps.iter().filter(|app| is_named(require, &app.id, &app.provides)).copied().collect()
}

/// Whether a requirement can be met by one of these apps.
fn is_met(require: &Require, apps: &[&Manifest]) -> bool {
    let exports = |app: &Manifest| require.gate.as_ref().is_none_or(|gate| app.gates.contains_key(gate));
    let mut named = named(require, apps).into_iter();
    named.any(|app| version_fits(require, &app.version) && exports(app))
}

fn ids(apps: &[&Manifest]) -> String {
    apps.iter().map(|app| app.id.as_str()).collect::<Vec<_>>().join(" or ")
}

/// Why an app cannot be installed beside those that are on the node. `catalog` is what else there is to install.
pub fn problems(app: &Manifest, installed: &[&Manifest], catalog: &[&Manifest]) -> Vec<Problem> {
    let others: Vec<&Manifest> = installed.iter().filter(|other| other.id != app.id).copied().collect();
    let mut problems = Vec::new();
    for other in &others {
        let declared = app.conflicts.iter().position(|conflict| *conflict == other.id);
        if declared.is_some() || other.conflicts.contains(&app.id) {
            let field = declared.map_or_else(|| "id".into(), |i| format!("conflicts[{i}]"));
            let message = format!("it cannot be installed beside {}", other.name);
            problems.push(Rule::Conflicts.problem(&field, message, &format!("uninstall {} first", other.id)));
        }
    }
    for (i, require) in app.requires.iter().enumerate().filter(|(_, require)| !require.optional) {
        if let Some(problem) = unmet(app, &format!("requires[{i}]"), require, &others, catalog) {
            problems.push(problem);
        }
    }
    problems.extend(shared::problems(app, &others));
    let mut all = others.clone();
    all.push(app);
    if problems.is_empty() && needs_itself(app, &all) {
        let message = "it would wait for itself, by way of the apps that it requires".to_owned();
        let remedy = "make one of these requirements optional, or install another provider";
        problems.push(Rule::RequiresCycle.problem("requires", message, remedy));
    }
    problems
}

fn unmet(
    app: &Manifest,
    field: &str,
    require: &Require,
    installed: &[&Manifest],
    catalog: &[&Manifest],
) -> Option<Problem> {
    if is_met(require, installed) {
        return None;
    }
    let what = name(require);
    let why = require.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let here = named(require, installed);
    let Some(first) = here.first() else {
        let others: Vec<&Manifest> = catalog.iter().filter(|other| other.id != app.id).copied().collect();
        let there = named(require, &others);
        let needs_us = |other: &&Manifest| {
            other.requires.iter().any(|r| !r.optional && is_met(r, &[app]) && !is_met(r, installed))
        };
        if !there.is_empty() && there.iter().all(needs_us) {
            let message = format!("it needs {what}{why}, and {} needs it in turn", ids(&there));
            let remedy = "make one of the two requirements optional";
            return Some(Rule::RequiresCycle.problem(field, message, remedy));
        }
        let message = format!("it needs {what}, which is not on this node{why}");
        let remedy = match there.as_slice() {
            [] => format!(
                "nothing in the catalog is or provides {what}: add such an app, then install it first"
            ),
            there => format!("install {} first", ids(there)),
        };
        return Some(Rule::Requires.problem(field, message, &remedy));
    };
    let fitting: Vec<_> = here.iter().filter(|app| version_fits(require, &app.version)).collect();
    if fitting.is_empty() {
        let wanted = require.version.as_deref().unwrap_or_default();
        let message =
            format!("it needs {what} {wanted}, and {} {} is on this node{why}", first.id, first.version);
        let remedy = format!("install a version of {} that is {wanted}", first.id);
        return Some(Rule::Requires.problem(&format!("{field}.version"), message, &remedy));
    }
    let gate = require.gate.as_deref().unwrap_or_default();
    let message = format!("it waits for the gate {gate} of {what}, and {} has no such gate{why}", first.id);
    let remedy = "install a version of that app which has it, or another app that provides the same";
    Some(Rule::UnknownGate.problem(&format!("{field}.gate"), message, remedy))
}

/// Whether an app waits for itself: where several apps meet a requirement, another one may break the ring.
fn needs_itself(app: &Manifest, all: &[&Manifest]) -> bool {
    let next = |app: &Manifest| {
        let hard = app.requires.iter().filter(|require| !require.optional);
        let only = hard.filter_map(|require| match named(require, all).as_slice() {
            [one] => Some(one.id.clone()),
            _ => None,
        });
        only.collect::<Vec<AppId>>()
    };
    let (mut seen, mut open) = (BTreeSet::new(), next(app));
    while let Some(id) = open.pop() {
        if id == app.id {
            return true;
        }
        if let Some(other) = all.iter().find(|other| other.id == id)
            && seen.insert(id)
        {
            open.extend(next(other));
        }
    }
    false
}

/// The apps on the node that could not run, or would wait for themselves, without this one.
pub fn dependants(app: &AppId, installed: &[&Manifest]) -> Vec<AppId> {
    let left: Vec<&Manifest> = installed.iter().filter(|other| other.id != *app).copied().collect();
    let needs = |other: &&&Manifest| {
        let lost =
            |require: &Require| !require.optional && is_met(require, installed) && !is_met(require, &left);
        let in_ring = !needs_itself(other, installed) && needs_itself(other, &left);
        other.requires.iter().any(lost) || in_ring
    };
    left.iter().filter(needs).map(|other| other.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: &str, more: &str) -> Manifest {
        let text = format!(
            "manifest_version: 1\nid: {id}\nname: {id}\nversion: '1.5'\n{more}services: {{main: {{image: localhost/x:1}}}}\n"
        );
        Manifest::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// Rule, field and remedy of what is wrong.
    fn wrong(
        app: &Manifest,
        installed: &[&Manifest],
        catalog: &[&Manifest],
    ) -> Vec<(String, String, String)> {
        let found = problems(app, installed, catalog).into_iter();
        found.map(|problem| (problem.rule, problem.field, problem.remedy)).collect()
    }

    fn three(rule: &str, field: &str, remedy: &str) -> Vec<(String, String, String)> {
        vec![(rule.into(), field.into(), remedy.into())]
    }

    const GATE: &str = "gates: {synced: {probe: {exec: {command: [x]}}}}\n";

    #[test]
    fn what_is_missing_is_refused_with_the_way_out() {
        let chain = app("chain", &format!("provides: [coin]\n{GATE}"));
        let shop = app("shop", "requires: [{capability: coin, gate: synced, version: '>=1.2'}]\n");
        assert_eq!(
            wrong(&shop, &[], &[&shop, &chain]),
            three("requires", "requires[0]", "install chain first")
        );
        assert_eq!(wrong(&shop, &[&chain], &[]), []);
        let [(_, _, remedy)] = wrong(&shop, &[], &[]).try_into().unwrap();
        assert!(remedy.contains("nothing in the catalog"), "{remedy}");
        let optional = app("shop", "requires: [{capability: coin, optional: true}]\n");
        assert_eq!(wrong(&optional, &[], &[]), []);
    }

    #[test]
    fn a_version_and_a_gate_have_to_be_there() {
        let chain = app("chain", GATE);
        let newer = app("shop", "requires: [{app: chain, version: '>=2'}]\n");
        let remedy = "install a version of chain that is >=2";
        assert_eq!(wrong(&newer, &[&chain], &[]), three("requires", "requires[0].version", remedy));
        let other = app("shop", "requires: [{app: chain, gate: archival}]\n");
        assert_eq!(wrong(&other, &[&chain], &[])[0].1, "requires[0].gate");
    }

    #[test]
    fn conflicts_hold_whoever_declares_them() {
        let (one, other) = (app("one", "conflicts: [other]\n"), app("other", ""));
        assert_eq!(wrong(&one, &[&other], &[]), three("conflicts", "conflicts[0]", "uninstall other first"));
        assert_eq!(wrong(&other, &[&one], &[]), three("conflicts", "id", "uninstall one first"));
    }

    #[test]
    fn apps_that_wait_for_each_other_are_refused() {
        let (a, b) = (app("a", "requires: [{app: b}]\n"), app("b", "requires: [{app: a}]\n"));
        assert_eq!(wrong(&a, &[], &[&a, &b])[0].0, "requires_cycle");
        assert_eq!(wrong(&a, &[&b], &[])[0].0, "requires_cycle", "b was there before it needed a");
        let ring = [app("b", "requires: [{app: c}]\n"), app("c", "requires: [{app: a}]\n")];
        assert_eq!(wrong(&a, &[&ring[0], &ring[1]], &[])[0].0, "requires_cycle");
        // Another provider breaks the ring, and must not go then.
        let a = app("a", "provides: [x]\nrequires: [{app: b}]\n");
        let (b, c) = (app("b", "requires: [{capability: x}]\n"), app("c", "provides: [x]\n"));
        assert_eq!(wrong(&a, &[&b, &c], &[]), []);
        assert_eq!(dependants(&c.id, &[&a, &b, &c]), [a.id.clone(), b.id.clone()]);
    }

    #[test]
    fn who_needs_an_app_is_named_unless_another_will_do() {
        let (chain, other) = (app("chain", "provides: [coin]\n"), app("other", "provides: [coin]\n"));
        let shop = app("shop", "requires: [{capability: coin}]\n");
        let maybe = app("maybe", "requires: [{app: chain, optional: true}]\n");
        let needed = dependants(&chain.id, &[&chain, &shop, &maybe]);
        assert_eq!(needed.iter().map(AppId::as_str).collect::<Vec<_>>(), ["shop"]);
        assert!(dependants(&chain.id, &[&chain, &other, &shop, &maybe]).is_empty());
        assert!(dependants(&shop.id, &[&chain, &shop]).is_empty());
    }
}
