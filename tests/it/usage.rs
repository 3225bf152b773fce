//! What apps use, measured as long as somebody looks.

use protocol::{MetricsView, StreamId};
use tests::{SHOP, SimNode, shop};

fn usage(t: &SimNode) -> Option<MetricsView> {
    let row = t.node.board().row(StreamId::Metrics, "shop")?;
    Some(serde_json::from_str(&row).unwrap())
}

#[tokio::test(start_paused = true)]
async fn usage_is_measured_while_somebody_looks_and_by_whoever_measures_then() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    assert_eq!(usage(&t), None);
    assert_eq!(t.sim.calls().iter().filter(|call| call.call == "usage").count(), 0, "nobody looks");

    let wanted = t.node.board().want_metrics();
    // The simulated containers use a tenth of a core each; the anchors are left out.
    let seen = async || {
        t.wait(StreamId::Metrics, || usage(&t).filter(|row| row.usage.iter().all(|it| it.cpu > 0.0))).await
    };
    let row = seen().await;
    let services: Vec<_> = row.usage.iter().map(|it| it.service.as_str()).collect();
    assert_eq!(services, ["db", "web"]);
    assert!(row.usage.iter().all(|it| (it.cpu - 0.1).abs() < 0.02 && it.memory_bytes == 1 << 20), "{row:?}");

    t.kill(("meter", "node/meter")).await;
    let again = row.measured_at;
    t.wait(StreamId::Metrics, || usage(&t).filter(|row| row.measured_at > again)).await;

    t.sim.crash("shop-web", 1);
    t.wait(StreamId::Metrics, || usage(&t).filter(|row| row.usage.len() == 1)).await;
    t.wait(StreamId::Metrics, || usage(&t).filter(|row| row.usage.len() == 2)).await;
    t.perform(shop::stop()).await;
    t.wait(StreamId::Metrics, || usage(&t).is_none().then_some(())).await;
    t.perform(shop::start()).await;
    seen().await;
    drop(wanted);
    t.wait(StreamId::Metrics, || usage(&t).is_none().then_some(())).await;
}
