//! Writing a snapshot.

use super::{
    Excludes, Hasher, Pending, Restic, Result, Sink, SnapshotRequest, VaultError,
    namespace::{self, View},
    restic::{hashed, literally, tar_arguments},
    said::{self, Line, PENDING},
};
use std::{path::PathBuf, sync::Arc};

impl Restic {
    /// Writes the parts under their names and, where nobody writes to them, hashes them at the same time.
    pub(super) async fn write(&self, request: &SnapshotRequest, progress: Sink) -> Result<Pending> {
        let wrong = |message| VaultError::Failed { what: "reading the patterns", message };
        let excludes = Excludes::parse(&request.exclude).map_err(wrong)?;
        let view = View::new(&self.view(&request.app), &request.parts).await?;
        let live = async {
            if !request.steady {
                return Ok(None);
            }
            const WHAT: &str = "reading the app's files";
            let mut tar = view.inside("tar");
            tar_arguments(&mut tar);
            tar.args(request.parts.iter().map(|part| format!("./{}", part.name)));
            let parts = request.parts.iter().map(|part| PathBuf::from(&part.name)).collect();
            let silent: Sink = Arc::new(|_, _| ());
            let names = (PathBuf::new(), parts, excludes);
            let (hasher, ended) = hashed(tar, WHAT, Hasher::default(), names, (silent, None)).await?;
            if ended.status.success() {
                Ok(Some(hasher.finish()))
            } else {
                Err(VaultError::Incomplete { message: ended.said })
            }
        };
        let (id, live) = tokio::try_join!(self.run_backup(&view, request, &progress), live)?;
        Ok(Pending { id: said::id(&id)?, app: request.app.clone(), version: request.version.clone(), live })
    }

    async fn run_backup(&self, view: &View, request: &SnapshotRequest, progress: &Sink) -> Result<String> {
        const WHAT: &str = "writing the snapshot";
        let root = self.view(&request.app);
        let mut arguments = ["backup", "--json", "--tag"].map(str::to_owned).to_vec();
        arguments.push(format!("app:{},{PENDING}", request.app));
        for part in &request.parts {
            for pattern in &request.exclude {
                let below = literally(&root.join(&part.name));
                arguments.push(format!("--exclude={below}/**/{pattern}"));
            }
        }
        // The folder with all of them, so that their names in the snapshot are stable.
        arguments.push(".".into());
        for attempt in 0.. {
            let mut command = self.addressed(view.inside("restic"), &self.repository());
            command.args(&arguments);
            let mut written = None;
            let told = |line: &str| match serde_json::from_str(line) {
                Ok(Line::Status { total_bytes, bytes_done }) => progress(bytes_done, Some(total_bytes)),
                Ok(Line::Summary { snapshot_id }) => written = Some(snapshot_id),
                Ok(Line::Other) | Err(_) => {}
            };
            let ended = namespace::run(command, WHAT, told).await?;
            if ended.status.code() == Some(3) {
                return Err(VaultError::Incomplete { message: ended.said.chars().take(500).collect() });
            }
            match self.judge(WHAT, &ended) {
                Err(VaultError::Locked { .. }) if attempt == 0 => self.unlock().await?,
                Err(error) => return Err(error),
                Ok(()) => {
                    // It says the beginning of the id only.
                    let short = written.unwrap_or_default();
                    let all = self.snapshots(&format!("app:{},{PENDING}", request.app)).await?;
                    let mut ids = all.into_iter().map(|it| it.id);
                    let found = ids.find(|id| !short.is_empty() && id.starts_with(&short));
                    let lost =
                        || VaultError::Failed { what: WHAT, message: "it is not in the repository".into() };
                    return found.ok_or_else(lost);
                }
            }
        }
        Err(VaultError::Failed { what: WHAT, message: "the repository stays locked".into() })
    }
}
