//! Significant children and automatic shutdown.

use supervisor::{
    AutoShutdown, ChildState, ExitReason, ReportEvent, Restart, SpecError, Strategy, Supervisor,
    SupervisorError, SupervisorRef,
};

use crate::lab::{Lab, Manner, Way, cell, find, roomy, state, stop};

const MODES: [AutoShutdown; 3] =
    [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];

async fn start(lab: &Lab, auto: AutoShutdown, restart: Restart, significant: &[bool]) -> SupervisorRef {
    let specs = significant
        .iter()
        .enumerate()
        .map(|(n, significant)| lab.child(&format!("c{n}")).restart(restart).significant(*significant))
        .collect();
    lab.supervisor(roomy(Strategy::OneForOne).auto_shutdown(auto), specs).await
}

async fn nonsignificant(restart: Restart) {
    for auto in MODES {
        for way in Way::ALL {
            let lab = Lab::new();
            let sup = start(&lab, auto, restart, &[false, false]).await;
            lab.end(&cell(&sup, "c0").await, way).await;
            lab.end(&cell(&sup, "c1").await, way).await;
            assert!(sup.info().await.is_ok(), "{auto:?} {way:?}");
            stop(&sup).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nonsignificant_temporary() {
    nonsignificant(Restart::Temporary).await;
}

#[tokio::test(start_paused = true)]
async fn nonsignificant_transient() {
    nonsignificant(Restart::Transient).await;
}

async fn significant(restart: Restart, way: Way) {
    // terminate_child does not trigger it.
    for auto in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let lab = Lab::new();
        let sup = start(&lab, auto, restart, &[true, false]).await;
        sup.terminate_child("c0").await.unwrap();
        assert!(sup.info().await.is_ok());
        stop(&sup).await;
    }
    let lab = Lab::new();
    let sup = start(&lab, AutoShutdown::AnySignificant, restart, &[true, true, false]).await;
    way.end(&cell(&sup, "c0").await);
    sup.wait().await;
    assert_eq!(
        lab.count(|e| matches!(e, ReportEvent::SupervisorEnded { reason: ExitReason::Shutdown(None) })),
        1
    );
    assert_eq!(lab.count(|e| matches!(e, ReportEvent::AutoShutdown)), 1);
    let lab = Lab::new();
    let sup = start(&lab, AutoShutdown::AllSignificant, restart, &[true, true, false]).await;
    lab.end(&cell(&sup, "c0").await, way).await;
    assert!(sup.info().await.is_ok(), "one significant child is left");
    way.end(&cell(&sup, "c1").await);
    sup.wait().await;
}

#[tokio::test(start_paused = true)]
async fn significant_temporary() {
    for way in Way::ALL {
        significant(Restart::Temporary, way).await;
    }
}

#[tokio::test(start_paused = true)]
async fn significant_transient() {
    for way in [Way::Normal, Way::Shutdown, Way::ShutdownTerm] {
        significant(Restart::Transient, way).await;
    }
    for auto in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        for way in [Way::Kill, Way::Abnormal] {
            let lab = Lab::new();
            let sup = start(&lab, auto, Restart::Transient, &[true]).await;
            lab.end(&cell(&sup, "c0").await, way).await;
            lab.until_started("c0", 2).await;
            stop(&sup).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn significant_simple() {
    for (auto, needed) in [(AutoShutdown::AnySignificant, 1), (AutoShutdown::AllSignificant, 3)] {
        let lab = Lab::new();
        let spec = lab.dynamic().configure(|spec| spec.restart(Restart::Transient).significant(true));
        let sup = lab.dynamic_supervisor(roomy(Strategy::OneForOne).auto_shutdown(auto), spec).await;
        let mut cells = Vec::new();
        for _ in 0..3 {
            cells.push(sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone());
        }
        for cell in cells.iter().take(needed - 1) {
            lab.end(cell, Way::Normal).await;
            assert!(sup.info().await.is_ok());
        }
        Way::Normal.end(&cells[needed - 1]);
        sup.as_supervisor().wait().await;
    }
}

#[tokio::test(start_paused = true)]
async fn significant_bystander() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        for auto in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
            let lab = Lab::new();
            let children = vec![
                lab.child("a").restart(Restart::Permanent),
                lab.child("t").restart(Restart::Temporary).significant(true),
                lab.child("s").restart(Restart::Transient).significant(true),
            ];
            let sup = lab.supervisor(roomy(strategy).auto_shutdown(auto), children).await;
            lab.end(&cell(&sup, "a").await, Way::Abnormal).await;
            lab.until_started("a", 2).await;
            if strategy != Strategy::OneForOne {
                lab.until_started("s", 2).await;
                assert!(find(&sup, "t").await.is_none());
            }
            assert_eq!(state(&sup, "s").await, ChildState::Running);
            stop(&sup).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn significant_escalation() {
    for significant in [true, false] {
        let lab = Lab::new();
        let any = roomy(Strategy::OneForOne).auto_shutdown(AutoShutdown::AnySignificant);
        let leaf = lab.child("leaf").restart(Restart::Transient).significant(true);
        let inner = Supervisor::child_spec("inner", any.clone(), vec![leaf])
            .restart(Restart::Transient)
            .significant(significant);
        let sup = lab.supervisor(any, vec![inner]).await;
        let inner = SupervisorRef::from_cell(&cell(&sup, "inner").await).unwrap();
        Way::Normal.end(&cell(&inner, "leaf").await);
        inner.wait().await;
        if significant {
            sup.wait().await;
        } else {
            assert_eq!(state(&sup, "inner").await, ChildState::Undefined);
            stop(&sup).await;
        }
    }
}

/// Changes the mode at runtime and then ends one of two significant children.
async fn upgrade(from: AutoShutdown, to: AutoShutdown) {
    let lab = Lab::new();
    let significant = from != AutoShutdown::Never;
    let sup = start(&lab, from, Restart::Transient, &[significant, significant, false]).await;
    let flags = roomy(Strategy::OneForOne).auto_shutdown(to);
    let spec = |n: usize| {
        let significant = to != AutoShutdown::Never && n < 2;
        lab.child(&format!("c{n}")).restart(Restart::Transient).significant(significant)
    };
    if to == AutoShutdown::Never {
        let error = sup.reconfigure(flags.clone(), None).await.unwrap_err();
        assert!(matches!(error, SupervisorError::Spec(SpecError::BadCombination(_))));
    }
    sup.reconfigure(flags, Some((0..3).map(spec).collect())).await.unwrap();
    let c0 = cell(&sup, "c0").await;
    match to {
        AutoShutdown::AnySignificant => {
            Way::Normal.end(&c0);
            sup.wait().await;
        }
        AutoShutdown::AllSignificant => {
            lab.end(&c0, Way::Normal).await;
            Way::Normal.end(&cell(&sup, "c1").await);
            sup.wait().await;
        }
        AutoShutdown::Never => {
            lab.end(&c0, Way::Normal).await;
            lab.end(&cell(&sup, "c1").await, Way::Normal).await;
            assert!(sup.info().await.is_ok());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_never_any() {
    upgrade(AutoShutdown::Never, AutoShutdown::AnySignificant).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_any_never() {
    upgrade(AutoShutdown::AnySignificant, AutoShutdown::Never).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_never_all() {
    upgrade(AutoShutdown::Never, AutoShutdown::AllSignificant).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_all_never() {
    upgrade(AutoShutdown::AllSignificant, AutoShutdown::Never).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_any_all() {
    upgrade(AutoShutdown::AnySignificant, AutoShutdown::AllSignificant).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_all_any() {
    upgrade(AutoShutdown::AllSignificant, AutoShutdown::AnySignificant).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_child() {
    let lab = Lab::new();
    let sup = start(&lab, AutoShutdown::AnySignificant, Restart::Transient, &[false]).await;
    let flags = roomy(Strategy::OneForOne).auto_shutdown(AutoShutdown::AnySignificant);
    let permanent = lab.child("c0").significant(true);
    let error = sup.reconfigure(flags.clone(), Some(vec![permanent])).await.unwrap_err();
    assert!(matches!(error, SupervisorError::Spec(SpecError::BadCombination(_))));
    let spec = lab.child("c0").restart(Restart::Transient).significant(true);
    sup.reconfigure(flags, Some(vec![spec])).await.unwrap();
    Way::Normal.end(&cell(&sup, "c0").await);
    sup.wait().await;
}
