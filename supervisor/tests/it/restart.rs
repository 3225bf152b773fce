//! Restart types.

use std::sync::Arc;

use supervisor::{ChildSpec, ChildState, DynamicSpec, DynamicSupervisor, Restart, Strategy, SupervisorError};

use crate::lab::{Lab, Manner, Way, cell, find, ids, roomy, state};

async fn check(restart: Restart, ways: &[Way]) {
    for way in ways {
        let lab = Lab::new();
        let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![]).await;
        let spec = lab.child("a").restart(restart);
        let old = sup.start_child(spec).await.unwrap().cell().unwrap().clone();
        lab.end(&old, *way).await;
        let restarted = match restart {
            Restart::Permanent => true,
            Restart::Transient => way.is_abnormal(),
            Restart::Temporary => false,
        };
        let counts = if restarted {
            lab.until_started("a", 2).await;
            assert_ne!(cell(&sup, "a").await, old);
            (1, 1)
        } else if restart == Restart::Transient {
            assert_eq!(state(&sup, "a").await, ChildState::Undefined);
            (1, 0)
        } else {
            assert!(find(&sup, "a").await.is_none());
            (0, 0)
        };
        let now = sup.count_children().await.unwrap();
        assert_eq!((now.specs, now.active), counts, "{restart:?} {way:?}");
        if restart == Restart::Transient && !restarted {
            sup.restart_child("a").await.unwrap();
            assert_eq!(state(&sup, "a").await, ChildState::Running);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn permanent_normal() {
    check(Restart::Permanent, &[Way::Normal]).await;
}

#[tokio::test(start_paused = true)]
async fn permanent_shutdown() {
    check(Restart::Permanent, &[Way::Shutdown, Way::ShutdownTerm]).await;
}

#[tokio::test(start_paused = true)]
async fn permanent_abnormal() {
    check(Restart::Permanent, &[Way::Abnormal, Way::Kill]).await;
}

#[tokio::test(start_paused = true)]
async fn transient_normal() {
    check(Restart::Transient, &[Way::Normal]).await;
}

#[tokio::test(start_paused = true)]
async fn transient_shutdown() {
    check(Restart::Transient, &[Way::Shutdown, Way::ShutdownTerm]).await;
}

#[tokio::test(start_paused = true)]
async fn transient_abnormal() {
    check(Restart::Transient, &[Way::Abnormal, Way::Kill]).await;
}

#[tokio::test(start_paused = true)]
async fn temporary_normal() {
    check(Restart::Temporary, &[Way::Normal]).await;
}

#[tokio::test(start_paused = true)]
async fn temporary_shutdown() {
    check(Restart::Temporary, &[Way::Shutdown, Way::ShutdownTerm]).await;
}

#[tokio::test(start_paused = true)]
async fn temporary_abnormal() {
    check(Restart::Temporary, &[Way::Abnormal, Way::Kill]).await;
}

#[tokio::test(start_paused = true)]
async fn temporary_bystander() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let lab = Lab::new();
        let children = vec![lab.child("a"), lab.child("b").restart(Restart::Temporary), lab.child("c")];
        let sup = lab.supervisor(roomy(strategy), children).await;
        lab.end(&cell(&sup, "a").await, Way::Abnormal).await;
        lab.until_started("c", 2).await;
        assert_eq!(ids(&sup).await, ["a", "c"]);
        assert_eq!(lab.words(), ["+a1", "+b1", "+c1", "-c1", "-b1", "+a2", "+c2"]);
    }
}

/// The start function of a temporary child goes when it has started; that of others stays.
#[tokio::test(start_paused = true)]
async fn do_not_save_start_parameters_for_temporary_children() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        for (restart, kept) in
            [(Restart::Permanent, true), (Restart::Transient, true), (Restart::Temporary, false)]
        {
            let lab = Lab::new();
            let sup = lab.supervisor(roomy(strategy), vec![]).await;
            let parameter = Arc::new(());
            let (inner, held) = (lab.clone(), parameter.clone());
            let spec = ChildSpec::worker("a", move |ctx| {
                let (lab, _held) = (inner.clone(), held.clone());
                async move { lab.spawn(ctx, Manner::default()).await }
            });
            sup.start_child(spec.restart(restart)).await.unwrap();
            assert_eq!(is_held(&parameter).await, kept, "{strategy:?} {restart:?}");
        }
    }
    for (restart, kept) in
        [(Restart::Permanent, true), (Restart::Transient, true), (Restart::Temporary, false)]
    {
        let lab = Lab::new();
        let inner = lab.clone();
        let spec = DynamicSpec::<Arc<()>>::new(move |ctx, _held| {
            let lab = inner.clone();
            async move { lab.spawn(ctx, Manner::default()).await }
        })
        .configure(|spec| spec.restart(restart));
        let sup = DynamicSupervisor::start_link("root", roomy(Strategy::OneForOne), spec, None, None)
            .await
            .unwrap();
        let parameter = Arc::new(());
        sup.start_child(parameter.clone()).await.unwrap();
        assert_eq!(is_held(&parameter).await, kept, "dynamic {restart:?}");
    }
}

/// Tells whether somebody keeps a value for longer than the moment that letting go of it takes.
async fn is_held(value: &Arc<()>) -> bool {
    for _ in 0..20 {
        if Arc::strong_count(value) == 1 {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

#[tokio::test(start_paused = true)]
async fn do_not_save_child_specs_for_temporary_children() {
    for way in [None, Some(Way::Kill), Some(Way::Normal), Some(Way::Abnormal)] {
        let lab = Lab::new();
        let sup = lab.supervisor(roomy(Strategy::OneForOne), vec![]).await;
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            let id = format!("{restart:?}");
            let spec = lab.child(&id).restart(restart);
            let old = sup.start_child(spec.clone()).await.unwrap().cell().unwrap().clone();
            match way {
                None => sup.terminate_child(id.as_str()).await.unwrap(),
                Some(way) => lab.end(&old, way).await,
            }
            let again = sup.start_child(spec).await;
            let stays_down = way.is_none() || (restart == Restart::Transient && way == Some(Way::Normal));
            match again {
                Ok(_) => assert_eq!(restart, Restart::Temporary),
                Err(SupervisorError::AlreadyPresent) => assert_ne!(restart, Restart::Temporary),
                Err(SupervisorError::AlreadyStarted(_)) => {
                    assert!(!stays_down && restart != Restart::Temporary)
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}
