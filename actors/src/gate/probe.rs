//! Asks a gate's app how far it is, as its manifest says.

use super::answer::{self, Outcome};
use crate::{
    ctx::Ctx,
    published::{self, cause},
};
use apps::{
    RenderedService,
    manifest::{Gate, JsonRpc, Scheme},
};
use engine::{Engine, EngineError, ErrorClass};
use futures_util::StreamExt;
use protocol::AppId;
use serde_json::json;
use std::{path::PathBuf, sync::Arc};
use tokio::time;

/// Longest answer.
const MAX_BODY: usize = 1 << 20;

/// Asks one gate.
#[derive(Clone)]
pub(super) struct Prober {
    engine: Arc<dyn Engine>,
    client: reqwest::Client,
    gate: Arc<Gate>,
    service: Arc<RenderedService>,
    /// File of the secret with which the node logs in.
    secret: Option<PathBuf>,
}

impl Prober {
    pub(super) fn new(ctx: &Ctx, app: &AppId, gate: Arc<Gate>, service: Arc<RenderedService>) -> Self {
        let secret = gate.probe.auth.as_ref().map(|auth| ctx.secrets_dir(app).join(&auth.secret));
        Self { engine: Arc::clone(&ctx.engine), client: published::http_client(), gate, service, secret }
    }

    /// Asks once. `container` is the engine's id of the service's container.
    pub(super) async fn ask(&self, container: &str) -> Outcome {
        let (gate, timeout) = (&self.gate, self.gate.timeout.0);
        let probe = &gate.probe;
        if let Some(rpc) = &probe.json_rpc {
            let url = published::url(&self.service, Scheme::Http, &rpc.port, &rpc.path);
            let answer = self.http(self.client.post(url).json(&body(rpc))).await;
            return answer.map_or_else(Outcome::Silent, |(status, body)| answer::rpc(gate, status, &body));
        }
        if let Some(http) = &probe.http_get {
            let url = published::url(&self.service, http.scheme, &http.port, &http.path);
            let answer = self.http(self.client.get(url)).await;
            return answer.map_or_else(Outcome::Silent, |(status, body)| answer::http(gate, status, &body));
        }
        if let Some(tcp) = &probe.tcp_socket {
            let (host, port) = published::address(&self.service, &tcp.port);
            let connected = published::connect(&host, port, timeout).await;
            return connected.map_or_else(
                |error| if error.ours { Outcome::Blind(error.words) } else { Outcome::Silent(error.words) },
                |()| answer::connected(),
            );
        }
        let command = probe.exec.as_ref().map(|exec| exec.command.as_slice()).unwrap_or_default();
        match self.engine.exec(container, command, timeout).await {
            Ok(output) => answer::exec(gate, output.code, &output.output),
            // An engine that is away or fails says nothing about the app.
            Err(error @ EngineError::Unreachable { .. }) => Outcome::Blind(error.to_string()),
            Err(error) if error.class() == ErrorClass::Fatal => Outcome::Blind(error.to_string()),
            Err(error) => Outcome::Silent(error.to_string()),
        }
    }

    /// Sends a request with the node's login: status and body, or why there is none.
    async fn http(&self, request: reqwest::RequestBuilder) -> Result<(u16, Vec<u8>), String> {
        let request = self.login(request).await?;
        let timeout = self.gate.timeout.0;
        let exchange = async {
            let answer = request.send().await.map_err(|error| cause(&error))?;
            let status = answer.status().as_u16();
            let (mut body, mut chunks) = (Vec::new(), answer.bytes_stream());
            while let Some(chunk) = chunks.next().await {
                body.extend_from_slice(&chunk.map_err(|error| cause(&error))?);
                if body.len() > MAX_BODY {
                    return Err(format!("its answer is longer than {MAX_BODY} bytes"));
                }
            }
            Ok((status, body))
        };
        time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(published::late(timeout)))
    }

    async fn login(&self, request: reqwest::RequestBuilder) -> Result<reqwest::RequestBuilder, String> {
        let (Some(auth), Some(path)) = (&self.gate.probe.auth, &self.secret) else { return Ok(request) };
        let path = path.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
        let Ok(Ok(secret)) = read else { return Err(format!("the secret {} cannot be read", auth.secret)) };
        Ok(match &auth.username {
            Some(user) => request.basic_auth(user, Some(secret)),
            None => request.bearer_auth(secret),
        })
    }
}

fn body(rpc: &JsonRpc) -> serde_json::Value {
    json!({ "jsonrpc": "1.0", "id": "archipelago", "method": rpc.method, "params": rpc.params })
}

#[cfg(test)]
mod tests;
