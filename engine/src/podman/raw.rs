//! The calls that podman-api 0.11 cannot make or answers wrongly, over a small HTTP client of our own.
//!
//! Each caller names its gap:
//!
//! | call | gap |
//! |---|---|
//! | create a container | `no_new_privilages()` sends a misspelt key, `log_configuration` Docker's keys: both are ignored |
//! | inspect | `inspect()` forces `size=true`, which reads the whole layer, and decodes some 200 fields strictly |
//! | events | `Event` decodes each HTTP chunk by itself and knows no unknown type: a split line breaks it |
//! | logs, exec | the streams borrow the client, and their decoder panics on an unknown stream number |
//! | pull | the crate's stream, libpod's own, tells no bytes; the compatible one does |
//! | build | the context is packed with links followed, wherever they lead |
//! | create a secret | the value is sent as JSON, with quotes |
//!
//! The path stays on `/v4.3.1`: on `/v5` the stop signal is another type, and Podman 5 serves the old path too.
//! A connection serves one call; its driver is polled together with the answer, so no task is left behind.

use super::call::Call;
use crate::{EngineError, Result};
use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use http_body_util::Full;
use hyper::{
    Method, Request,
    body::Body as _,
    client::conn::http1::{self, Connection},
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::{
    error::Error,
    fmt::Write as _,
    future::{Future, poll_fn},
    path::{Path, PathBuf},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::net::UnixStream;

/// Answers are decoded in memory; none of the calls made here comes near this.
const MAX_ANSWER: usize = 16 << 20;

/// What a request carries.
pub(super) enum Content {
    Nothing,
    Json(Vec<u8>),
    Octets(Vec<u8>),
    Tar(Vec<u8>),
}

/// Bytes of an answer as they come.
pub(super) type Answer = BoxStream<'static, Result<Bytes>>;

/// A libpod client on a unix socket.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    socket: PathBuf,
}

impl Raw {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, call: &Call, path: &str) -> Result<T> {
        self.json(call, Method::GET, path, Content::Nothing).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        call: &Call,
        path: &str,
        content: Content,
    ) -> Result<T> {
        self.json(call, Method::POST, path, content).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        call: &Call,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<T> {
        let answer = self.stream(call, method, path, content).await?;
        let body = collect(call, answer).await?;
        serde_json::from_slice(&body).map_err(|error| call.not_understood(error))
    }

    /// Sends a request and returns the answer's body where the status is a success.
    pub(super) async fn stream(
        &self,
        call: &Call,
        method: Method,
        path: &str,
        content: Content,
    ) -> Result<Answer> {
        let (status, answer) = self.send(call, method, &format!("/libpod{path}"), content).await?;
        accept(call, status, answer).await
    }

    /// The same for a path of the API that is compatible with Docker's.
    pub(super) async fn compatible(&self, call: &Call, method: Method, path: &str) -> Result<Answer> {
        let (status, answer) = self.send(call, method, path, Content::Nothing).await?;
        accept(call, status, answer).await
    }

    async fn send(&self, call: &Call, method: Method, path: &str, content: Content) -> Result<(u16, Answer)> {
        let (kind, body) = match content {
            Content::Nothing => (None, Vec::new()),
            Content::Json(body) => (Some("application/json"), body),
            Content::Octets(body) => (Some("application/octet-stream"), body),
            Content::Tar(body) => (Some("application/x-tar"), body),
        };
        let mut request =
            Request::builder().method(method).uri(format!("/v4.3.1{path}")).header(HOST, "podman");
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        let request =
            request.body(Full::new(Bytes::from(body))).map_err(|error| call.not_understood(chain(&error)))?;

        let stream = UnixStream::connect(&self.socket).await.map_err(|error| EngineError::Unreachable {
            message: format!("{}: {error}", self.socket.display()),
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
        let mut driver = Driver(Some(Box::pin(connection)));
        let response = {
            let mut sending = pin!(sender.send_request(request));
            poll_fn(|context| {
                driver.poll(context);
                sending.as_mut().poll(context)
            })
            .await
            .map_err(unreachable)?
        };

        let (head, mut body) = response.into_parts();
        let answer = stream::poll_fn(move |context| {
            // The sender lives as long as the answer: without it the connection would count as done.
            let _ = &sender;
            driver.poll(context);
            loop {
                match ready!(Pin::new(&mut body).poll_frame(context)) {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(unreachable(error)))),
                    Some(Ok(frame)) => {
                        if let Ok(data) = frame.into_data() {
                            return Poll::Ready(Some(Ok(data)));
                        }
                    }
                }
            }
        });
        Ok((head.status.as_u16(), answer.boxed()))
    }
}

/// The half of hyper that moves bytes; it has to be polled for an answer to arrive.
struct Driver(Option<Pin<Box<Link>>>);

type Link = Connection<TokioIo<UnixStream>, Full<Bytes>>;

impl Driver {
    fn poll(&mut self, context: &mut Context<'_>) {
        // What the connection fails with, the request or the body reports too.
        if let Some(connection) = &mut self.0
            && connection.as_mut().poll(context).is_ready()
        {
            self.0 = None;
        }
    }
}

async fn accept(call: &Call, status: u16, answer: Answer) -> Result<Answer> {
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let body = collect(call, answer).await?;
    Err(call.fault(status, &fault_message(&body)))
}

/// Reads an answer to its end.
pub(super) async fn collect(call: &Call, mut answer: Answer) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(part) = answer.next().await {
        body.extend_from_slice(&part?);
        if body.len() > MAX_ANSWER {
            return Err(call.not_understood("the answer is too large"));
        }
    }
    Ok(body.freeze())
}

/// Percent-encodes a value for a query or one segment of a path.
pub(super) fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            let _ = write!(text, ": {words}");
        }
        cause = error.source();
    }
    text
}

fn unreachable(error: hyper::Error) -> EngineError {
    EngineError::Unreachable { message: chain(&error) }
}

/// What a body of an error says; engines wrap it in JSON, proxies do not.
fn fault_message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Fault {
        message: String,
        #[serde(default)]
        cause: String,
    }
    match serde_json::from_slice::<Fault>(body) {
        Ok(fault) if fault.message.contains(&fault.cause) => fault.message,
        Ok(fault) => format!("{}: {}", fault.message, fault.cause),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    }
}
