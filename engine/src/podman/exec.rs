//! Commands inside of containers.
//!
//! Each leaves its `conmon`, two processes, behind for `exit_command_delay` seconds of containers.conf, so that a
//! slow client still finds the exit code. The default is 300: with a probe every 5 s that is 120 processes per
//! container. The code is read at once here, so 10 are plenty; the API has no such option.

use super::{
    Podman,
    call::Call,
    mux::Frames,
    raw::{Content, encode},
};
use crate::{EngineError, ExecOutput, ExecRequest, ProcessRef, Result};
use futures_util::StreamExt;
use hyper::Method;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// What is kept of a command's output.
const MAX_OUTPUT: usize = 64 << 10;
/// A session says that it still runs for a moment after its output has ended.
const SETTLE: Duration = Duration::from_millis(5);

#[derive(Debug, Deserialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Session {
    running: bool,
    exit_code: i32,
    #[serde(default)]
    pid: u32,
}

impl Podman {
    /// Runs a command. One that does not end in time is killed, as far as its user is ours.
    pub(super) async fn run_exec(
        &self,
        container: &str,
        request: &ExecRequest,
        timeout: Duration,
    ) -> Result<ExecOutput> {
        let call = Call::container("exec", container, 0).within(timeout).authored();
        let mut session = None;
        let result = call.run(self.attached(&call, container, request, &mut session)).await;
        match (&result, &session) {
            (Err(EngineError::Timeout { .. }), Some(id)) => self.end_session(id).await,
            (Err(EngineError::Timeout { after, .. }), None) => {
                let message = format!("no command was begun in {container} within {after:?}");
                return Err(EngineError::Unreachable { message });
            }
            _ => {}
        }
        result
    }

    async fn attached(
        &self,
        call: &Call,
        container: &str,
        request: &ExecRequest,
        session: &mut Option<String>,
    ) -> Result<ExecOutput> {
        let mut body = json!({ "Cmd": request.argv, "AttachStdout": true, "AttachStderr": true });
        if let Some(user) = &request.user {
            body["User"] = json!(user);
        }
        if let Some(folder) = &request.working_dir {
            body["WorkingDir"] = json!(folder);
        }
        let body = body.to_string().into_bytes();
        let path = format!("/containers/{}/exec", encode(container));
        let created: Created = self.raw.post(call, &path, Content::Json(body)).await?;
        let id = session.insert(created.id).clone();

        // Gap: the crate's stream panics on an unknown stream number. Without an upgrade the engine sends the same
        // bytes as an answer that ends with the command.
        let start = Content::Json(br#"{"Detach":false,"Tty":false}"#.to_vec());
        let mut answer = self.raw.stream(call, Method::POST, &format!("/exec/{id}/start"), start).await?;
        let mut frames = Frames::default();
        let mut output = Vec::new();
        while let Some(part) = answer.next().await {
            frames.push(&part?);
            while let Some((_, bytes)) = frames.next().map_err(|reason| call.not_understood(reason))? {
                let room = MAX_OUTPUT.saturating_sub(output.len());
                output.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
        loop {
            let session: Session = self.raw.get(call, &format!("/exec/{id}/json")).await?;
            if !session.running {
                let output = String::from_utf8_lossy(&output).into_owned();
                return Ok(ExecOutput { code: session.exit_code, output });
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// The engine's API cannot end a session, and a probe that hangs would leave a process behind each time.
    async fn end_session(&self, id: &str) {
        let call = Call::new("exec", format!("exec session {id}"), 2);
        let session = call.run(self.raw.get::<Session>(&call, &format!("/exec/{id}/json"))).await;
        let Ok(Session { running: true, pid, .. }) = session else { return };
        let Some(process) = ProcessRef::of(pid) else { return };
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
        let Ok(fd) = pidfd_open(number, PidfdFlags::empty()) else { return };
        if ProcessRef::of(pid) == Some(process)
            && let Err(error) = pidfd_send_signal(&fd, Signal::KILL)
        {
            tracing::debug!(%error, pid, "command that hangs was not killed");
        }
    }
}
