//! Who asks, and whether that one may.

use crate::{
    answer::{Refusal, store_away},
    conn::{Peer, Via},
    host::{check_origin, check_site},
    http,
    live::{Caller, Identity},
    session::now_ms,
    shared::Shared,
};
use actors::{Accounts, StoreError};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use protocol::{ErrorCode, Scope};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Cookie over plain HTTP.
pub(crate) const COOKIE: &str = "archy_session";
/// Cookie over TLS: the prefix makes browsers refuse one that another host or a plain page has set.
pub(crate) const SECURE_COOKIE: &str = "__Host-archy_session";
/// Cookies of these names that are looked at; an app on another port of the host may have added some.
const MAX_COOKIES: usize = 4;
/// A login that is not used for so long has ended.
pub(crate) const IDLE: Duration = Duration::from_secs(24 * 3_600);

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Everybody: there is nothing to see but what a login needs.
    Public,
    /// Whoever has at least this scope.
    Needs(Scope),
}

/// Milliseconds of a duration.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Stands before every route and lets through whom its permission names.
pub(crate) async fn guard(
    State((shared, permission)): State<(Arc<Shared>, Permission)>,
    request: Request,
    next: Next,
) -> Response {
    let Permission::Needs(scope) = permission else { return next.run(request).await };
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied();
    let allowed = async {
        let headers = &parts.headers;
        let caller = authenticate(&shared, headers, peer).await?;
        if caller.scope < scope {
            return Err(Refusal::new(ErrorCode::Forbidden, "this token may not do that")
                .hint("make a token with a greater scope"));
        }
        let changes = !matches!(parts.method, Method::GET | Method::HEAD);
        if changes || headers.contains_key(header::UPGRADE) {
            // A page of another site must not use what the browser adds by itself.
            check_origin(headers, http::host(headers), caller.is_ambient())?;
        } else if caller.is_ambient() {
            check_site(headers)?;
        }
        Ok(caller)
    };
    match allowed.await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// Tells who asks, or refuses.
async fn authenticate(shared: &Shared, headers: &HeaderMap, peer: Option<Peer>) -> Result<Caller, Refusal> {
    let accounts = shared.node.accounts();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        let Some(token) = token else { return Err(unauthenticated("give Authorization: Bearer <token>")) };
        let caller = by_token(shared, &accounts, token.trim()).await.map_err(store_away)?;
        return caller.ok_or_else(|| unauthenticated("this token is not known, or has ended"));
    }
    for hash in cookies(headers, peer.is_some_and(|peer| peer.via == Via::Tls)) {
        if let Some(caller) = by_session(&accounts, hash, peer).await.map_err(store_away)? {
            return Ok(caller);
        }
    }
    match peer {
        Some(Peer { via: Via::Local, .. }) => Ok(Caller::admin(Identity::Local)),
        _ => Err(unauthenticated("log in first")),
    }
}

async fn by_token(shared: &Shared, accounts: &Accounts, token: &str) -> Result<Option<Caller>, StoreError> {
    let hash = blake3::hash(token.as_bytes());
    // Comparing hashes takes the same time wherever they differ.
    if hash == shared.setup_token {
        let is_open = accounts.owner().await?.password.is_none();
        return Ok(is_open.then(|| Caller::admin(Identity::Setup)));
    }
    let found = accounts.token(hash.into(), now_ms()).await?;
    Ok(found.map(|token| Caller {
        identity: Identity::Token(token.id.into(), hash.into()),
        scope: token.scope,
        expires_at: token.expires_at,
    }))
}

async fn by_session(
    accounts: &Accounts,
    hash: [u8; 32],
    peer: Option<Peer>,
) -> Result<Option<Caller>, StoreError> {
    let Some(session) = accounts.session(hash, now_ms(), ms(IDLE)).await? else { return Ok(None) };
    // A browser sends its cookie to apps on other ports of this host too. One of them that replays it from this
    // machine is told from the browser of a login that came from elsewhere.
    let begun: Option<IpAddr> = session.address.parse().ok();
    if let (Some(peer), Some(begun)) = (peer, begun)
        && peer.is_own(peer.remote)
        && !peer.is_own(begun)
    {
        tracing::warn!(session = %session.id, "login from elsewhere was used from this machine");
        return Ok(None);
    }
    Ok(Some(Caller {
        identity: Identity::Session(session.id.into(), hash),
        scope: Scope::Admin,
        expires_at: Some(session.expires_at),
    }))
}

/// Whether somebody who was let in would still be.
pub(crate) async fn still_valid(accounts: &Accounts, caller: &Caller) -> Result<bool, StoreError> {
    match &caller.identity {
        Identity::Local => Ok(true),
        Identity::Setup => Ok(accounts.owner().await?.password.is_none()),
        Identity::Session(_, hash) => {
            accounts.session(*hash, now_ms(), ms(IDLE)).await.map(|found| found.is_some())
        }
        Identity::Token(_, hash) => accounts.token(*hash, now_ms()).await.map(|found| found.is_some()),
    }
}

pub(crate) fn unauthenticated(message: &str) -> Refusal {
    Refusal::new(ErrorCode::Unauthenticated, message)
        .hint("log in on the node's page, or use archy on the node's machine")
}

/// The BLAKE3 of the cookies, which is all that the node keeps.
pub(crate) fn cookies(headers: &HeaderMap, tls: bool) -> Vec<[u8; 32]> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let values = pairs.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == SECURE_COOKIE || (!tls && name == COOKIE)).then_some(value)
    });
    values.take(MAX_COOKIES).map(|value| blake3::hash(value.as_bytes()).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert!(cookies(&headers, false).is_empty());
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; xarchy_session=no"));
        assert!(cookies(&headers, false).is_empty());
        headers.append(header::COOKIE, HeaderValue::from_static("c=d;archy_session=abc; e=f"));
        assert_eq!(cookies(&headers, false), [<[u8; 32]>::from(blake3::hash(b"abc"))]);
        assert!(cookies(&headers, true).is_empty(), "over TLS only the cookie with the prefix counts");
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-archy_session=xyz"));
        assert_eq!(cookies(&headers, true), [<[u8; 32]>::from(blake3::hash(b"xyz"))]);
    }

    #[test]
    fn a_flood_of_cookies_is_bounded() {
        let mut headers = HeaderMap::new();
        for _ in 0..100 {
            headers.append(header::COOKIE, HeaderValue::from_static("archy_session=abc"));
        }
        assert_eq!(cookies(&headers, false).len(), MAX_COOKIES);
    }
}
