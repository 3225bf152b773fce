//! A small tree that is watched while its children fail: `cargo run -p supervisor --example tree`.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisor::{
    Backoff, ChildSpec, ExitReason, Report, ReportSink, StartCause, Strategy, SupFlags, Supervisor,
    SupervisorRef,
};

struct Worker {
    name: &'static str,
    cause: StartCause,
}

impl Actor for Worker {
    type Msg = &'static str;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<&'static str>, (): ()) -> Result<(), ActorProcessingErr> {
        if let Some(reason) = self.cause.failure() {
            tracing::info!(worker = self.name, %reason, "repaired");
        }
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<&'static str>,
        error: &'static str,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Err(error.into())
    }
}

fn worker(name: &'static str) -> ChildSpec {
    ChildSpec::worker(name, move |ctx| async move {
        let cause = ctx.cause.clone();
        ctx.spawn(Worker { name, cause }, ()).await
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).init();
    let sink: ReportSink = Arc::new(|report: &Report| tracing::info!("{report}"));
    let storage = Supervisor::child_spec(
        "storage",
        SupFlags::new(Strategy::RestForOne).intensity(3, Duration::from_secs(10)),
        vec![worker("disk"), worker("cache"), worker("index").backoff(Backoff::default())],
    );
    let root =
        Supervisor::start_link("root", SupFlags::default(), vec![storage, worker("clock")], None, Some(sink))
            .await?;

    let children = root.which_children().await?;
    let storage = children.first().and_then(|child| child.cell.as_ref()).and_then(SupervisorRef::from_cell);
    let storage = storage.ok_or("storage does not run")?;
    let mut reports = storage.subscribe(16).await?;
    let disk = storage.which_children().await?.into_iter().next().and_then(|child| child.cell);
    disk.ok_or("the disk does not run")?.send_message("disk full").map_err(|_| "the disk has ended")?;

    // One end of its own, two ends on request, three starts.
    for _ in 0..6 {
        reports.recv().await;
    }
    for child in storage.which_children().await? {
        tracing::info!(id = %child.id, state = ?child.state, generation = child.generation, restarts = child.restarts);
    }
    root.stop(ExitReason::Shutdown(None)).await;
    Ok(())
}
