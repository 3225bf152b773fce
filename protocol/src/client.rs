//! A small client of a node: commands, snapshots, logs and an ordered subscription to its rows.
//!
//! ```no_run
//! use protocol::{StreamId, client::{Auth, Client, ClientError, StreamEvent}};
//! # async fn run() -> Result<(), ClientError> {
//! let client = Client::new("http://127.0.0.1:8420", Auth::Bearer("the owner's token".into()))?;
//! let mut rows = client.subscribe(&[StreamId::Apps]).await?;
//! loop {
//!     if let StreamEvent::Put { row, .. } = rows.next().await? {
//!         let _ = row.key();
//!     }
//! }
//! # }
//! ```
//!
//! Nothing else in Rust parses frames.
//! A node is reached by `http://`, by `https://` with the certificate that signs for it, or by its local socket.

mod socket;
mod state;
mod subscription;

pub use state::StreamEvent;
pub use subscription::Subscription;

use crate::{
    ApiError, AppId, Command, CommandAccepted, ErrorCode, EventPage, Row, ServiceName, StreamId, SubStream,
};
use futures_util::{Stream, StreamExt};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, path::Path, sync::Arc, time::Duration};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// How long the node may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the node may take to answer; logs, which may go on without end, are exempt.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How a client says who it is.
#[derive(Clone)]
pub enum Auth {
    /// An API token, or the token that the node printed at its first start.
    Bearer(String),
    /// Nobody; enough for [`Client::is_ready`], and over the local socket for everything.
    None,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(..)",
            Self::None => "None",
        })
    }
}

/// Why the client could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is no `http://host[:port]` or `https://host[:port]`; give another.
    #[error("{url:?} is no address of a node: {reason}")]
    Address {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answers there; start the node.
    #[error("the node does not answer at {url}")]
    Unreachable {
        /// Where.
        url: String,
        /// How it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The node refused; the error says why and what to do.
    #[error(transparent)]
    Refused(#[from] Box<ApiError>),
    /// The node closed the subscription for good.
    #[error("the node closed the connection: {reason} ({code})")]
    Closed {
        /// See [`crate::close_code`].
        code: u16,
        /// In the node's words.
        reason: String,
    },
    /// What answers does not speak this protocol; node and client may differ in version.
    #[error("the answer is not archy.v1: {0}")]
    Protocol(String),
}

/// All rows of a stream at one moment.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct Snapshot {
    /// The node's epoch.
    pub epoch: String,
    /// The sequence that the rows are current at.
    pub seq: u64,
    /// The rows in order of their keys.
    pub items: Vec<Row>,
}

/// A node as seen from outside. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    auth: Auth,
    place: Place,
}

/// Where sockets are opened.
#[derive(Clone, Debug)]
enum Place {
    Local(Arc<Path>),
    Tcp { host: Arc<str>, port: u16, tls: Option<Arc<ClientConfig>> },
}

impl Client {
    /// Makes a client of the node at `base_url`, for instance `http://127.0.0.1:8420`. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`ClientError::Address`], also for `https://`, which needs [`Client::with_certificate`].
    pub fn new(base_url: &str, auth: Auth) -> Result<Self, ClientError> {
        Self::build(base_url, auth, None)
    }

    /// The same for `https://`: with the certificate (PEM) that the node shows, or the one that signed it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Address`], also when there is no certificate in `pem`.
    pub fn with_certificate(base_url: &str, auth: Auth, pem: &[u8]) -> Result<Self, ClientError> {
        let bad = |reason: String| ClientError::Address { url: base_url.into(), reason };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| bad(format!("its certificate: {error}")))?;
            roots.add(certificate).map_err(|error| bad(format!("its certificate: {error}")))?;
        }
        if roots.is_empty() {
            return Err(bad("there is no certificate for it".into()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| bad(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self::build(base_url, auth, Some(config))
    }

    /// A client over the local socket of a node of the same user, who needs no token.
    ///
    /// # Errors
    ///
    /// [`ClientError::Address`].
    pub fn local(socket: &Path) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder().unix_socket(socket).build();
        let http = http.map_err(|error| ClientError::Address {
            url: socket.display().to_string(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            http,
            base: "http://localhost".into(),
            auth: Auth::None,
            place: Place::Local(socket.into()),
        })
    }

    fn build(base_url: &str, auth: Auth, tls: Option<ClientConfig>) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::Address { url: base_url.into(), reason: reason.into() };
        let base = base_url.trim_end_matches('/');
        let url = reqwest::Url::parse(base).map_err(|error| bad(&error.to_string()))?;
        match (url.scheme(), &tls) {
            ("http", None) | ("https", Some(_)) => {}
            ("https", None) => return Err(bad("https:// needs the node's certificate")),
            ("http", Some(_)) => return Err(bad("a certificate is for https://")),
            _ => return Err(bad("it must begin with http:// or https://")),
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(bad("it names no host"));
        };
        if url.path() != "/" || url.query().is_some() {
            return Err(bad("it must end after the host and port"));
        }
        let mut http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).no_proxy();
        if let Some(tls) = &tls {
            http = http.use_preconfigured_tls(tls.clone());
        }
        let http = http.build().map_err(|error| bad(&error.to_string()))?;
        let place = Place::Tcp { host: host.into(), port, tls: tls.map(Arc::new) };
        Ok(Self { http, base: base.into(), auth, place })
    }

    /// The node's address, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// Whether it goes over the local socket, where the own user may everything.
    pub fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
    }

    /// Whether the node knows its containers and answers in full.
    ///
    /// # Errors
    ///
    /// [`ClientError::Unreachable`].
    pub async fn is_ready(&self) -> Result<bool, ClientError> {
        let answer = self.http.get(format!("{}/healthz", self.base)).timeout(ANSWER_TIMEOUT).send().await;
        Ok(answer.map_err(|error| self.unreachable(error))?.status().is_success())
    }

    /// Gives a command. Its outcome is the row of the returned operation in the stream `ops`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the node does not take it, [`ClientError::Unreachable`].
    pub async fn command(
        &self,
        command: &Command,
        idempotency_key: Option<&str>,
    ) -> Result<CommandAccepted, ClientError> {
        self.give(command, idempotency_key, None).await
    }

    /// Gives a command that destroys something, with the token of its [`Confirm`](crate::Confirm): the node has
    /// refused it once with [`ErrorCode::ConfirmRequired`] and the plan.
    ///
    /// # Errors
    ///
    /// As [`command`](Self::command).
    pub async fn command_confirmed(
        &self,
        command: &Command,
        token: &str,
    ) -> Result<CommandAccepted, ClientError> {
        self.give(command, None, Some(token)).await
    }

    async fn give(
        &self,
        command: &Command,
        idempotency_key: Option<&str>,
        confirm_token: Option<&str>,
    ) -> Result<CommandAccepted, ClientError> {
        let mut request = self.http.post(format!("{}/api/v1/commands", self.base)).json(command);
        for (header, value) in [("Idempotency-Key", idempotency_key), ("Confirm-Token", confirm_token)] {
            if let Some(value) = value {
                request = request.header(header, value);
            }
        }
        let answer = self.send(request.timeout(ANSWER_TIMEOUT)).await?;
        self.decode(answer).await
    }

    /// All rows of a stream as they are now.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], [`ClientError::Unreachable`].
    pub async fn snapshot(&self, stream: StreamId) -> Result<Snapshot, ClientError> {
        let url = format!("{}/api/v1/snapshot/{}", self.base, stream.as_str());
        let answer = self.send(self.http.get(url).timeout(ANSWER_TIMEOUT)).await?;
        self.decode(answer).await
    }

    /// A page of the journal, newest first: of one app or of everything, from before a number.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], [`ClientError::Unreachable`].
    pub async fn events(
        &self,
        app: Option<&AppId>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<EventPage, ClientError> {
        let mut path = format!("/api/v1/events?limit={limit}");
        if let Some(app) = app {
            path = format!("{path}&app={app}");
        }
        if let Some(before) = before {
            path = format!("{path}&before={before}");
        }
        self.get(&path).await
    }

    /// What `GET` gives at a path of the interface, for whatever has no method here.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], [`ClientError::Unreachable`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let answer = self.send(self.http.get(format!("{}{path}", self.base)).timeout(ANSWER_TIMEOUT)).await?;
        self.decode(answer).await
    }

    /// Posts a body and gives what comes back.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], [`ClientError::Unreachable`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let answer = self.send(request.timeout(ANSWER_TIMEOUT)).await?;
        self.decode(answer).await
    }

    /// Puts a body at a path and gives what comes back.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], [`ClientError::Unreachable`].
    pub async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.http.put(format!("{}{path}", self.base)).json(body);
        let answer = self.send(request.timeout(ANSWER_TIMEOUT)).await?;
        self.decode(answer).await
    }

    /// Posts a body whose answer has none.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], [`ClientError::Unreachable`].
    pub async fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), ClientError> {
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        self.send(request.timeout(ANSWER_TIMEOUT)).await.map(drop)
    }

    /// Deletes what is at a path.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], [`ClientError::Unreachable`].
    pub async fn delete(&self, path: &str) -> Result<(), ClientError> {
        let request = self.http.delete(format!("{}{path}", self.base));
        self.send(request.timeout(ANSWER_TIMEOUT)).await.map(drop)
    }

    /// The log of a container: its last `tail` lines and, with `follow`, what comes after them. Pieces end anywhere.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`], [`ClientError::Unreachable`]; the stream ends with an error when the log breaks off.
    pub async fn logs(
        &self,
        app: &AppId,
        service: &ServiceName,
        tail: u32,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, ClientError>> + Send + Unpin + use<>, ClientError> {
        let follow = u8::from(follow);
        let url = format!("{}/api/v1/logs/{app}/{service}?tail={tail}&follow={follow}", self.base);
        let answer = self.send(self.http.get(url)).await?;
        let base = Arc::clone(&self.base);
        Ok(answer.bytes_stream().map(move |piece| match piece {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(error) => Err(ClientError::Unreachable { url: base.to_string(), source: error.into() }),
        }))
    }

    /// Subscribes to streams and stays subscribed: see [`Subscription::next`].
    ///
    /// # Errors
    ///
    /// When the first connection fails. Later losses are events.
    pub async fn subscribe(&self, streams: &[StreamId]) -> Result<Subscription, ClientError> {
        self.subscribe_to(streams.iter().map(|stream| SubStream::new(*stream)).collect()).await
    }

    /// The same for any streams, journals too; what `resume` says is left out.
    ///
    /// # Errors
    ///
    /// When the first connection fails. Later losses are events.
    pub async fn subscribe_to(&self, streams: Vec<SubStream>) -> Result<Subscription, ClientError> {
        Subscription::connect(self.clone(), streams).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<reqwest::Response, ClientError> {
        if let Auth::Bearer(token) = &self.auth {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| self.unreachable(error))?;
        Err(refusal(status, &body))
    }

    async fn decode<T: DeserializeOwned>(&self, answer: reqwest::Response) -> Result<T, ClientError> {
        let body = answer.bytes().await.map_err(|error| self.unreachable(error))?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    fn unreachable(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        ClientError::Unreachable { url: self.base.to_string(), source: error.into() }
    }
}

/// Reads a refusal; whatever is no [`ApiError`] comes from something else than a node.
fn refusal(status: u16, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<ApiError>(body) {
        Ok(error) => ClientError::Refused(Box::new(error)),
        Err(_) => ClientError::Protocol(format!("status {status} without an error that it could name")),
    }
}

impl ClientError {
    /// The code of a refusal.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(error) => Some(error.code),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
