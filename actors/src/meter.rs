//! Measures what apps use of the machine, as long as somebody looks.
//!
//! Parent: node, permanent. Children: one worker.
//! The rows are for people and lossy: what cannot be measured is left out, and they go when nobody looks any more.

use crate::{board::Board, clock::now_ms, ctx::Ctx, hub::HubMsg, names::name, worker};
use apps::{LABEL_APP, LABEL_NODE, LABEL_ROLE, LABEL_SERVICE};
use engine::{ProcessRef, Summary, Usage};
use protocol::{AppId, ContainerMetrics, MetricsView, Row, ServiceName, StreamId};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Time between two measurements.
const EVERY: Duration = Duration::from_secs(1);
/// A list of all containers is good for this long: it costs the engine more than measuring costs the node.
const LIST_EVERY: Duration = Duration::from_secs(10);

/// The actor; its worker is all that it has.
pub(crate) struct Meter;

impl Actor for Meter {
    type Msg = ();
    type State = ();
    type Arguments = Ctx;

    async fn pre_start(&self, myself: ActorRef<()>, ctx: Ctx) -> Result<(), ActorProcessingErr> {
        ctx.names.register(name::METER, myself.get_cell());
        worker::run(myself.get_cell(), measure(ctx)).await?;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        worker::ended(event)
    }
}

async fn measure(ctx: Ctx) {
    let mut wanted = ctx.board.metrics_wanted();
    loop {
        // The board outlives whoever measures.
        if wanted.wait_for(|count| *count > 0).await.is_err() {
            return;
        }
        let mut measurement = Measurement::default();
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while *wanted.borrow() > 0 {
            tokio::select! {
                _ = clock.tick() => measurement.once(&ctx).await,
                changed = wanted.changed() => if changed.is_err() { return },
            }
        }
        withdraw(&ctx, &BTreeSet::new());
    }
}

/// Takes the rows of all apps but these away.
fn withdraw(ctx: &Ctx, but: &BTreeSet<AppId>) {
    let board: &Board = &ctx.board;
    for key in board.keys(StreamId::Metrics) {
        if !but.iter().any(|app| app.as_str() == &*key) {
            ctx.names.cast(name::HUB, HubMsg::Gone(StreamId::Metrics, key.to_string()));
        }
    }
}

/// A running container of an app.
#[derive(Debug, Clone)]
struct Measured {
    app: AppId,
    service: ServiceName,
    process: ProcessRef,
}

/// What is known from one measurement to the next.
#[derive(Debug, Default)]
struct Measurement {
    containers: Vec<Measured>,
    listed: Option<Instant>,
    /// Processor time so far, and when.
    before: BTreeMap<(u32, u64), (Duration, Instant)>,
}

impl Measurement {
    async fn once(&mut self, ctx: &Ctx) {
        if self.listed.is_none_or(|at| at.elapsed() >= LIST_EVERY) {
            // An engine that is away has its own row; until it is back, what is known is measured.
            if let Ok(list) = ctx.engine.list(&[(LABEL_NODE, ctx.node_id())]).await {
                self.containers = list.iter().filter_map(measured).collect();
                self.listed = Some(Instant::now());
            }
        }
        let mut rows: BTreeMap<AppId, Vec<ContainerMetrics>> = BTreeMap::new();
        let mut after = BTreeMap::new();
        for it in &self.containers {
            let Ok(usage) = ctx.engine.usage(it.process).await else {
                // It has ended, or runs anew: the next list knows.
                self.listed = None;
                continue;
            };
            let (key, now) = ((it.process.pid, it.process.start_time), Instant::now());
            let cpu = self.before.get(&key).map_or(0.0, |(cpu, at)| share(*cpu, usage.cpu, now - *at));
            after.insert(key, (usage.cpu, now));
            rows.entry(it.app.clone()).or_default().push(row(it.service.clone(), cpu, &usage));
        }
        self.before = after;
        withdraw(ctx, &rows.keys().cloned().collect());
        for (app, mut usage) in rows {
            usage.sort_by(|a, b| a.service.cmp(&b.service));
            ctx.publish(Row::Metrics(Box::new(MetricsView { app, measured_at: now_ms(), usage })));
        }
    }
}

/// Anchors sleep; they are left out.
fn measured(it: &Summary) -> Option<Measured> {
    if it.labels.contains_key(LABEL_ROLE) {
        return None;
    }
    Some(Measured {
        app: it.labels.get(LABEL_APP)?.parse().ok()?,
        service: it.labels.get(LABEL_SERVICE)?.parse().ok()?,
        process: it.process?,
    })
}

/// The share of one core. A process whose children were not waited for seems to have used less than before: that is none.
fn share(before: Duration, now: Duration, within: Duration) -> f64 {
    if within.is_zero() { 0.0 } else { now.saturating_sub(before).as_secs_f64() / within.as_secs_f64() }
}

fn row(service: ServiceName, cpu: f64, usage: &Usage) -> ContainerMetrics {
    ContainerMetrics {
        service,
        cpu: (cpu * 1000.0).round() / 1000.0,
        memory_bytes: usage.memory_bytes,
        memory_limit_bytes: usage.memory_limit_bytes,
        rx_bytes: usage.rx_bytes,
        tx_bytes: usage.tx_bytes,
        read_bytes: usage.read_bytes,
        write_bytes: usage.write_bytes,
        pids: usage.pids,
    }
}
