//! Dynamic children and counts.

use supervisor::{
    ChildType, DynamicSpec, DynamicSupervisor, ExitReason, Started, Strategy, SupFlags, SupervisorError,
};

use crate::lab::{Lab, Manner, roomy, stop};

#[tokio::test(start_paused = true)]
async fn child_adm_simple() {
    let lab = Lab::new();
    let sup = lab.dynamic_supervisor(roomy(Strategy::OneForOne), lab.dynamic()).await;
    let a = sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone();
    let b = sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone();
    let by_id = sup.as_supervisor();
    for result in [
        by_id.terminate_child("1").await,
        by_id.delete_child("1").await,
        by_id.restart_child("1").await.map(drop),
    ] {
        assert!(matches!(result, Err(SupervisorError::SimpleOneForOne)));
    }
    sup.terminate_child(&a).await.unwrap();
    sup.terminate_child(&a).await.unwrap();
    let shown = sup.which_children().await.unwrap();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].cell.as_ref(), Some(&b));
    let other = lab.supervisor(SupFlags::default(), vec![]).await;
    assert!(matches!(sup.terminate_child(&other.cell()).await, Err(SupervisorError::NotFound)));
    assert!(other.info().await.is_ok(), "the stranger lives");
    stop(&other).await;
    sup.stop(ExitReason::Shutdown(None)).await;
    assert!(matches!(sup.start_child(Manner::default()).await, Err(SupervisorError::NoProc)));
}

async fn counts(child_type: ChildType) {
    let lab = Lab::new();
    let spec = lab.dynamic().configure(|mut spec| {
        spec.child_type = child_type;
        spec
    });
    let sup = lab.dynamic_supervisor(roomy(Strategy::OneForOne), spec).await;
    let mut cells = Vec::new();
    for expected in [1000, 2000] {
        while cells.len() < expected {
            cells.push(sup.start_child(Manner::default()).await.unwrap().cell().unwrap().clone());
        }
        let counts = sup.count_children().await.unwrap();
        let of_type = if child_type == ChildType::Worker { counts.workers } else { counts.supervisors };
        assert_eq!(
            (counts.specs, counts.active, of_type, counts.workers + counts.supervisors),
            (1, expected, expected, expected)
        );
    }
    for cell in &cells {
        sup.terminate_child(cell).await.unwrap();
    }
    let counts = sup.count_children().await.unwrap();
    assert_eq!((counts.active, counts.workers, counts.supervisors), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn count_children() {
    counts(ChildType::Worker).await;
}

#[tokio::test(start_paused = true)]
async fn count_children_supervisor() {
    counts(ChildType::Supervisor).await;
}

async fn start_and_stop(children: usize) {
    let spec =
        DynamicSpec::<()>::new(|ctx, ()| async move { Lab::new().spawn(ctx, Manner::default()).await })
            .configure(|spec| spec.restart(supervisor::Restart::Temporary));
    let sup =
        DynamicSupervisor::start_link("dyn", roomy(Strategy::OneForOne), spec, None, None).await.unwrap();
    let mut cells = Vec::new();
    for _ in 0..children {
        cells.push(sup.start_child(()).await.unwrap().cell().unwrap().clone());
    }
    for cell in &cells {
        sup.terminate_child(cell).await.unwrap();
    }
    assert!(sup.which_children().await.unwrap().is_empty());
    sup.stop(ExitReason::Shutdown(None)).await;
}

#[tokio::test]
async fn simple_one_for_one_scale_many_temporary_children() {
    start_and_stop(2_000).await;
}

/// That the cost of each does not grow with their number is the benchmark's, which does 100,000.
#[tokio::test]
async fn scale_start_stop_many_children() {
    start_and_stop(10_000).await;
}

#[tokio::test(start_paused = true)]
async fn nested_dynamic_supervisor_is_found_by_its_start() {
    let lab = Lab::new();
    let nested = DynamicSupervisor::child_spec("dyn", SupFlags::default(), lab.dynamic());
    let sup = lab.supervisor(SupFlags::default(), vec![]).await;
    let started: Started = sup.start_child(nested).await.unwrap();
    let dynamic = started.info::<DynamicSupervisor<Manner>>().unwrap().clone();
    dynamic.start_child(Manner::default()).await.unwrap();
    assert_eq!(&*dynamic.info().await.unwrap().path, "root/dyn");
    stop(&sup).await;
    assert_eq!(lab.words(), ["+11", "-11"]);
}
