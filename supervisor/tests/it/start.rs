//! Starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use supervisor::{
    AutoShutdown, Backoff, ChildSpec, ChildState, ChildType, DynamicSpec, DynamicSupervisor, ExitReason,
    Restart, Shutdown, SpecError, StartCause, StartError, Started, Strategy, SupFlags, Supervisor,
    SupervisorError, check_childspecs,
};

use crate::lab::{Cmd, Lab, Manner, Told, cell, child, find, ids, secs, state, stop, tell};

fn ignored(id: &str) -> ChildSpec {
    ChildSpec::worker(id, |_| async { Ok(Started::ignore()) })
}

fn refused() -> StartError {
    StartError::failed(Told("refused"))
}

#[tokio::test(start_paused = true)]
async fn sup_start_normal() {
    let lab = Lab::new();
    let sup = lab.supervisor(SupFlags::default(), vec![]).await;
    stop(&sup).await;
    assert!(matches!(sup.which_children().await, Err(SupervisorError::NoProc)));
    assert!(
        lab.count(|e| matches!(
            e,
            supervisor::ReportEvent::SupervisorEnded { reason: ExitReason::Shutdown(None) }
        )) == 1
    );
}

/// A supervisor as a child may be ignored like any other.
#[tokio::test(start_paused = true)]
async fn sup_start_ignore_init() {
    let lab = Lab::new();
    let nested = ChildSpec::supervisor("nested", |_| async { Ok(Started::ignore()) });
    let sup = lab.supervisor(SupFlags::default(), vec![nested]).await;
    assert_eq!(state(&sup, "nested").await, ChildState::Undefined);
    stop(&sup).await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_child() {
    let lab = Lab::new();
    let sup = lab.supervisor(SupFlags::default(), vec![]).await;
    sup.start_child(lab.child("a")).await.unwrap();
    let started = sup.start_child(ignored("b")).await.unwrap();
    assert!(started.cell().is_none());
    assert!(child(&sup, "b").await.cell.is_none());
    let counts = sup.count_children().await.unwrap();
    assert_eq!((counts.specs, counts.active, counts.supervisors, counts.workers), (2, 1, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_temporary_child() {
    let lab = Lab::new();
    let children = vec![lab.child("a"), ignored("b").restart(Restart::Temporary), lab.child("c")];
    let sup = lab.supervisor(SupFlags::default(), children).await;
    assert_eq!(ids(&sup).await, ["a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_temporary_child_start_child() {
    let lab = Lab::new();
    let sup = lab.supervisor(SupFlags::default(), vec![lab.child("a")]).await;
    sup.start_child(ignored("b").restart(Restart::Temporary)).await.unwrap();
    assert_eq!(ids(&sup).await, ["a"]);
}

async fn ignoring_dynamic(restart: Restart) {
    let spec = DynamicSpec::<bool>::new(|ctx, ignore| async move {
        if ignore { Ok(Started::ignore()) } else { Lab::new().spawn(ctx, Manner::default()).await }
    })
    .configure(|spec| spec.restart(restart));
    let sup = DynamicSupervisor::start_link("dyn", SupFlags::default(), spec, None, None).await.unwrap();
    sup.start_child(false).await.unwrap();
    assert!(sup.start_child(true).await.unwrap().cell().is_none());
    let counts = sup.count_children().await.unwrap();
    assert_eq!((counts.specs, counts.active, counts.supervisors, counts.workers), (1, 1, 0, 1));
    assert_eq!(sup.which_children().await.unwrap().len(), 1);
    sup.stop(ExitReason::Shutdown(None)).await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_temporary_child_start_child_simple() {
    ignoring_dynamic(Restart::Temporary).await;
}

#[tokio::test(start_paused = true)]
async fn sup_start_ignore_permanent_child_start_child_simple() {
    ignoring_dynamic(Restart::Permanent).await;
}

/// Erlang's `init` that crashes is here the function that makes the children.
#[tokio::test(start_paused = true)]
async fn sup_start_fail() {
    let nested = Supervisor::child_spec_with("nested", SupFlags::default(), |_| panic!("told to panic"));
    let error =
        Supervisor::start_link("root", SupFlags::default(), vec![nested], None, None).await.unwrap_err();
    let StartError::FailedToStartChild { id, reason } = error else { panic!("{error:?}") };
    assert_eq!(id, "nested");
    assert!(matches!(*reason, StartError::Panicked(panic) if panic.message() == "told to panic"));
}

#[tokio::test(start_paused = true)]
async fn sup_start_child_returns_error() {
    let lab = Lab::new();
    let sup = lab.supervisor(SupFlags::default(), vec![]).await;
    let error = sup.start_child(lab.child_if("a", |_| Err(refused()))).await.unwrap_err();
    let SupervisorError::StartFailed(error) = error else { panic!("{error:?}") };
    assert_eq!(error.downcast_ref::<Told>().unwrap().0, "refused");
    assert!(ids(&sup).await.is_empty());
    assert!(find(&sup, "a").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn sup_start_restart_child_returns_error() {
    let lab = Lab::new();
    let fail = Arc::new(AtomicBool::new(false));
    let gate = fail.clone();
    let spec = lab.child_if("a", move |_| if gate.load(Ordering::SeqCst) { Err(refused()) } else { Ok(()) });
    let sup = lab.supervisor(SupFlags::default(), vec![spec]).await;
    sup.terminate_child("a").await.unwrap();
    fail.store(true, Ordering::SeqCst);
    assert!(matches!(sup.restart_child("a").await, Err(SupervisorError::StartFailed(_))));
    assert_eq!(state(&sup, "a").await, ChildState::Undefined);
    fail.store(false, Ordering::SeqCst);
    sup.restart_child("a").await.unwrap();
    assert_eq!(state(&sup, "a").await, ChildState::Running);
    assert!(matches!(lab.causes().last().unwrap().1, StartCause::Requested));
}

#[tokio::test(start_paused = true)]
async fn sup_start_child_returns_error_simple() {
    let spec = DynamicSpec::<()>::new(|_, ()| async { Err(refused()) });
    let sup = DynamicSupervisor::start_link("dyn", SupFlags::default(), spec, None, None).await.unwrap();
    assert!(matches!(sup.start_child(()).await, Err(SupervisorError::StartFailed(_))));
    assert!(sup.which_children().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn faulty_application_shutdown() {
    let lab = Lab::new();
    let children =
        vec![lab.child("a"), lab.child("b"), lab.child_if("c", |_| Err(refused())), lab.child("d")];
    let error = Supervisor::start_link("root", SupFlags::default(), children, None, None).await.unwrap_err();
    let StartError::FailedToStartChild { id, reason } = &error else { panic!("{error:?}") };
    assert_eq!(*id, "c");
    assert!(reason.downcast_ref::<Told>().is_some());
    assert_eq!(lab.words(), ["+a1", "+b1", "-b1", "-a1"]);
}

#[tokio::test(start_paused = true)]
async fn sup_start_map() {
    let lab = Lab::new();
    let sup = lab.supervisor(SupFlags::default(), vec![lab.child("a")]).await;
    let spec = sup.get_childspec("a").await.unwrap();
    assert_eq!(spec.restart, Restart::Permanent);
    assert_eq!(spec.shutdown, Shutdown::Timeout(secs(5)));
    assert_eq!(spec.child_type, ChildType::Worker);
    assert!(!spec.significant);
    assert!(matches!(sup.get_childspec("b").await, Err(SupervisorError::NotFound)));
    let nested = Supervisor::child_spec("n", SupFlags::default(), vec![]);
    assert_eq!((nested.shutdown, nested.child_type), (Shutdown::Infinity, ChildType::Supervisor));
    let flags = sup.info().await.unwrap().flags;
    assert_eq!((flags.strategy, flags.intensity, flags.period), (Strategy::OneForOne, 1, secs(5)));
}

#[tokio::test(start_paused = true)]
async fn sup_start_map_simple() {
    let lab = Lab::new();
    let spec = lab.dynamic().configure(|spec| spec.shutdown(Shutdown::Timeout(secs(9))));
    let sup = DynamicSupervisor::start_link("dyn", SupFlags::default(), spec, None, None).await.unwrap();
    let a = sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone();
    assert_eq!(sup.get_childspec(&a).await.unwrap().shutdown, Shutdown::Timeout(secs(9)));
    assert!(matches!(sup.as_supervisor().get_childspec("x").await, Err(SupervisorError::NotFound)));
    let stranger = lab.supervisor(SupFlags::default(), vec![]).await;
    assert!(matches!(sup.get_childspec(&stranger.cell()).await, Err(SupervisorError::NotFound)));
}

/// Both of OTP's `child_specs` and `child_specs_map`: what types do not already rule out.
#[tokio::test(start_paused = true)]
async fn child_specs() {
    let lab = Lab::new();
    let duplicates = vec![lab.child("a"), lab.child("b"), lab.child("a")];
    let expected = SpecError::DuplicateChildId("a".into());
    assert_eq!(check_childspecs(&duplicates, AutoShutdown::Never), Err(expected.clone()));
    let error =
        Supervisor::start_link("root", SupFlags::default(), duplicates, None, None).await.unwrap_err();
    assert!(matches!(error, StartError::Spec(error) if error == expected));
    for auto in [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let sup = lab.supervisor(SupFlags::default().auto_shutdown(auto), vec![]).await;
        for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
            for significant in [false, true] {
                let spec = lab.child("a").restart(restart).significant(significant);
                let bad = significant && (restart == Restart::Permanent || auto == AutoShutdown::Never);
                let expected = if bad { Err(SpecError::BadCombination("a".into())) } else { Ok(()) };
                assert_eq!(check_childspecs(std::slice::from_ref(&spec), auto), expected);
                match sup.start_child(spec).await {
                    Ok(_) => assert!(!bad),
                    Err(SupervisorError::Spec(error)) => assert_eq!(Err(error), expected),
                    Err(error) => panic!("{error:?}"),
                }
                if !bad {
                    sup.terminate_child("a").await.unwrap();
                    let _ = sup.delete_child("a").await;
                }
            }
        }
        stop(&sup).await;
    }
    let odd = lab.child("a").backoff(Backoff { factor: 0.5, ..Backoff::default() });
    assert_eq!(check_childspecs(&[odd], AutoShutdown::Never), Err(SpecError::InvalidBackoff("a".into())));
}

#[tokio::test(start_paused = true)]
async fn sup_flags() {
    let flags = SupFlags::default().intensity(1, secs(0));
    let error = Supervisor::start_link("root", flags, vec![], None, None).await.unwrap_err();
    assert!(matches!(error, StartError::Spec(SpecError::ZeroPeriod)));
    // Intensity 0 is legal: the first failure is too many.
    let lab = Lab::new();
    let sup = lab.supervisor(SupFlags::default().intensity(0, secs(1)), vec![lab.child("a")]).await;
    tell(&sup, "a", Cmd::Panic).await;
    sup.wait().await;
}

#[tokio::test(start_paused = true)]
async fn extra_return() {
    let lab = Lab::new();
    let inner = lab.clone();
    let spec = ChildSpec::worker("a", move |ctx| {
        let lab = inner.clone();
        async move {
            let generation = ctx.generation;
            let started = lab.spawn(ctx, Manner::default()).await?;
            Ok(Started::with_info(started.cell().unwrap().clone(), generation))
        }
    });
    let sup = lab.supervisor(SupFlags::default(), vec![]).await;
    assert_eq!(sup.start_child(spec.clone()).await.unwrap().info::<u64>(), Some(&1));
    assert!(matches!(sup.start_child(spec.clone()).await, Err(SupervisorError::AlreadyStarted(_))));
    sup.terminate_child("a").await.unwrap();
    assert!(matches!(sup.start_child(spec).await, Err(SupervisorError::AlreadyPresent)));
    assert_eq!(sup.restart_child("a").await.unwrap().info::<u64>(), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn child_adm() {
    let lab = Lab::new();
    let sup = lab.supervisor(SupFlags::default(), vec![]).await;
    let a = sup.start_child(lab.child("a")).await.unwrap().cell().unwrap().clone();
    match sup.start_child(lab.child("a")).await {
        Err(SupervisorError::AlreadyStarted(cell)) => assert_eq!(cell, a),
        other => panic!("{other:?}"),
    }
    assert!(matches!(sup.restart_child("a").await, Err(SupervisorError::Running)));
    assert!(matches!(sup.delete_child("a").await, Err(SupervisorError::Running)));
    sup.terminate_child("a").await.unwrap();
    sup.terminate_child("a").await.unwrap();
    assert!(matches!(sup.start_child(lab.child("a")).await, Err(SupervisorError::AlreadyPresent)));
    sup.restart_child("a").await.unwrap();
    assert_ne!(cell(&sup, "a").await, a);
    sup.terminate_child("a").await.unwrap();
    sup.delete_child("a").await.unwrap();
    for result in
        [sup.terminate_child("a").await, sup.delete_child("a").await, sup.restart_child("a").await.map(drop)]
    {
        assert!(matches!(result, Err(SupervisorError::NotFound)));
    }
    stop(&sup).await;
    for result in [sup.terminate_child("a").await, sup.start_child(lab.child("a")).await.map(drop)] {
        assert!(matches!(result, Err(SupervisorError::NoProc)));
    }
}

#[tokio::test(start_paused = true)]
async fn start_timeout_fails_a_hanging_start() {
    let lab = Lab::new();
    let hang = ChildSpec::worker("h", |_| std::future::pending()).start_timeout(secs(3));
    let error = Supervisor::start_link("root", SupFlags::default(), vec![lab.child("a"), hang], None, None)
        .await
        .unwrap_err();
    let StartError::FailedToStartChild { reason, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*reason, StartError::Timeout(time) if time == secs(3)));
    assert_eq!(lab.words(), ["+a1", "-a1"]);
}
