//! What holds for every request.

use crate::{
    answer::Refusal,
    auth,
    conn::{Peer, Via},
    routes::ROUTES,
    shared::Shared,
    ui,
};
use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use protocol::ErrorCode;
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tower_http::compression::{
    CompressionLayer,
    predicate::{NotForContentType, Predicate, SizeAbove},
};

/// Largest body of a request.
const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to come in.
const BODY: Duration = Duration::from_secs(10);

const SECURITY: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()",
    ),
];

/// Tells browsers that came by TLS to go on doing so, for this host only.
const HSTS: &str = "max-age=31536000";

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let guard = (Arc::clone(&shared), route.permission);
        let handler = (route.handler)();
        router =
            router.route(route.path, handler.route_layer(middleware::from_fn_with_state(guard, auth::guard)));
    }
    // Logs are sent as they come, and a compressor would hold them back.
    let compressed = SizeAbove::new(1_024)
        .and(NotForContentType::const_new("text/plain"))
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("font/"));
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(ui::serve)
        .layer(CompressionLayer::new().compress_when(compressed))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), every_request))
        .with_state(shared)
}

async fn every_request(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut answer = if peer.inside {
        Refusal::new(ErrorCode::Forbidden, "apps of this node may not use its interface").into_response()
    } else {
        match shared.hosts.check(request.uri(), request.headers(), peer) {
            Ok(_) => next.run(request).await,
            Err(refusal) => refusal.into_response(),
        }
    };
    let headers = answer.headers_mut();
    for (name, value) in SECURITY {
        // A route may have a policy of its own.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if peer.via == Via::Tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    answer
}

async fn method_not_allowed() -> Refusal {
    Refusal::bad("this path has no such method").status(StatusCode::METHOD_NOT_ALLOWED)
}

/// The host of a request; the check of every request has made sure that there is one.
pub(crate) fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Reads a JSON body; a form of another site's page cannot send one unasked.
pub(crate) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::bad("the body must be application/json"));
    }
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > MAX_BODY) {
        return Err(too_large());
    }
    let bytes = match timeout(BODY, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(too_large()),
        Err(_) => {
            return Err(Refusal::new(ErrorCode::BadRequest, "the body did not come in within 10 s")
                .status(StatusCode::REQUEST_TIMEOUT));
        }
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::bad(format!("the body is not acceptable: {error}")))
}

fn too_large() -> Refusal {
    Refusal::bad("the body may have 64 KiB at most").status(StatusCode::PAYLOAD_TOO_LARGE)
}
