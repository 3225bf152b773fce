//! One WebSocket connection to a node.

use super::{Auth, Client, ClientError, Place, refusal};
use crate::{ClientMsg, PROTOCOL_VERSION, ServerMsg, WS_SUBPROTOCOL, close_code};
use futures_util::{SinkExt, StreamExt};
use std::{fmt, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error as WsError, Message,
        client::IntoClientRequest,
        http::{HeaderValue, header},
        protocol::WebSocketConfig,
    },
};

/// Largest frame that is taken. The node's are 256 KiB at most, but for a single row that is larger.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// How long connecting and every write may take.
const IO_TIMEOUT: Duration = Duration::from_secs(20);

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Lost {
    /// Try again.
    Retry(String),
    /// Trying again cannot help.
    Fatal(ClientError),
}

/// What `hello` said.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) epoch: String,
    pub(super) ping: Duration,
}

/// Whatever carries the bytes.
trait Io: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync> Io for T {}

async fn connect(client: &Client) -> io::Result<Box<dyn Io>> {
    let (host, port, tls) = match &client.place {
        Place::Local(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        Place::Tcp { host, port, tls } => (host, *port, tls),
    };
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    // An ack must not wait for the next one.
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
}

pub(super) struct Socket {
    ws: WebSocketStream<Box<dyn Io>>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

impl Socket {
    /// Connects and waits for `hello`.
    pub(super) async fn connect(client: &Client) -> Result<(Self, Hello), ClientError> {
        let slow = |_| client.unreachable("it took too long to connect");
        timeout(IO_TIMEOUT, Self::handshake(client)).await.map_err(slow)?
    }

    async fn handshake(client: &Client) -> Result<(Self, Hello), ClientError> {
        // `https` becomes `wss`; how it is carried is decided by then.
        let url = format!("{}/api/v1/ws", client.base.replacen("http", "ws", 1));
        let mut request = url.into_client_request().map_err(|error| client.unreachable(error))?;
        let headers = request.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(WS_SUBPROTOCOL));
        if let Auth::Bearer(token) = &client.auth {
            let value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| ClientError::Protocol("the token has characters that no token has".into()))?;
            headers.insert(header::AUTHORIZATION, value);
        }
        let config =
            WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let stream = connect(client).await.map_err(|error| client.unreachable(error))?;
        let ws = match client_async_with_config(request, stream, Some(config)).await {
            Ok((ws, _)) => ws,
            Err(WsError::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                return Err(refusal(answer.status().as_u16(), body));
            }
            Err(error) => return Err(client.unreachable(error)),
        };
        let mut socket = Self { ws };
        match socket.recv().await {
            Ok(Some(ServerMsg::Hello { proto: PROTOCOL_VERSION, epoch, ping_ms, .. })) => {
                Ok((socket, Hello { epoch, ping: Duration::from_millis(ping_ms.max(1_000).into()) }))
            }
            Ok(other) => Err(ClientError::Protocol(format!("expected hello, got {other:?}"))),
            Err(Lost::Retry(reason)) => Err(client.unreachable(reason)),
            Err(Lost::Fatal(error)) => Err(error),
        }
    }

    /// The next message; `None` for one that carries nothing but a sign of life.
    pub(super) async fn recv(&mut self) -> Result<Option<ServerMsg>, Lost> {
        match self.ws.next().await {
            Some(Ok(Message::Text(text))) => {
                let msg = serde_json::from_str(&text)
                    .map_err(|error| Lost::Fatal(ClientError::Protocol(error.to_string())))?;
                match msg {
                    ServerMsg::Bye { code, reason, .. } => Err(lost(code, reason)),
                    msg => Ok(Some(msg)),
                }
            }
            Some(Ok(Message::Close(Some(frame)))) => {
                Err(lost(frame.code.into(), frame.reason.as_str().to_owned()))
            }
            Some(Ok(Message::Ping(_))) => {
                // The pong is queued; flushing sends it also when this client has nothing else to say.
                let _ = timeout(IO_TIMEOUT, self.ws.flush()).await;
                Ok(None)
            }
            Some(Ok(Message::Close(None))) | None => Err(Lost::Retry("the connection ended".into())),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(Lost::Retry(error.to_string())),
        }
    }

    pub(super) async fn send(&mut self, msg: &ClientMsg) -> Result<(), Lost> {
        let text = serde_json::to_string(msg).map_err(|error| Lost::Retry(error.to_string()))?;
        match timeout(IO_TIMEOUT, self.ws.send(Message::text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Lost::Retry(error.to_string())),
            Err(_) => Err(Lost::Retry("the node reads nothing".into())),
        }
    }
}

/// Whether to come back after a close.
fn lost(code: u16, reason: String) -> Lost {
    if close_code::is_final(code) {
        Lost::Fatal(ClientError::Closed { code, reason })
    } else {
        Lost::Retry(format!("{reason} ({code})"))
    }
}
