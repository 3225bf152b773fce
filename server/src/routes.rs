//! All routes, each with who may call it. What is not here does not exist; the documents and the tests of permissions
//! are made from the same table.

use crate::{account, api, auth::Permission, docs, facts, login, prometheus, secret, shared::Shared, ws};
use axum::routing::{MethodRouter, delete, get, post, put};
use protocol::Scope;
use std::sync::Arc;

/// One route.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) permission: Permission,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// Type of its JSON body.
    pub(crate) body: Option<&'static str>,
    /// Status and type of its answer; `[T]` is a list.
    pub(crate) answer: (u16, Option<&'static str>),
    /// Other statuses that it has beside those that every route has.
    pub(crate) refusals: &'static [u16],
    pub(crate) handler: fn() -> MethodRouter<Arc<Shared>>,
}

const PUBLIC: Permission = Permission::Public;
const READ: Permission = Permission::Needs(Scope::Read);
const OPERATE: Permission = Permission::Needs(Scope::Operate);
const ADMIN: Permission = Permission::Needs(Scope::Admin);

macro_rules! route {
    ($method:literal $path:literal, $permission:ident, $handler:expr, $summary:literal,
     $body:expr => $status:literal $answer:expr, $refusals:expr) => {
        Route {
            method: $method,
            path: $path,
            permission: $permission,
            summary: $summary,
            body: $body,
            answer: ($status, $answer),
            refusals: $refusals,
            handler: || $handler,
        }
    };
}

pub(crate) static ROUTES: &[Route] = &[
    route!("GET" "/healthz", PUBLIC, get(api::healthz), "Whether the process serves and knows its apps", None => 200 None, &[503]),
    route!("GET" "/readyz", PUBLIC, get(api::readyz), "Whether the node can do its work: apps known, engine and store reachable", None => 200 None, &[503]),
    route!("GET" "/api/v1/auth", PUBLIC, get(login::view), "How one gets in", None => 200 Some("AuthView"), &[]),
    route!("POST" "/api/v1/setup", PUBLIC, post(login::setup), "Set the first password, with the token that the node printed; logs in", Some("SetupRequest") => 204 None, &[403, 409, 422, 429]),
    route!("POST" "/api/v1/login", PUBLIC, post(login::login), "Log in; the answer sets the cookie", Some("LoginRequest") => 204 None, &[403, 429]),
    route!("POST" "/api/v1/logout", READ, post(login::logout), "End this login and close its sockets", None => 204 None, &[]),
    route!("GET" "/api/v1/session", READ, get(api::session), "Whether one is logged in", None => 200 None, &[]),
    route!("GET" "/api/v1/sessions", ADMIN, get(account::sessions), "All logins", None => 200 Some("[SessionView]"), &[]),
    route!("DELETE" "/api/v1/sessions", ADMIN, delete(account::end_sessions), "End all logins but this one", None => 204 None, &[]),
    route!("DELETE" "/api/v1/sessions/{id}", ADMIN, delete(account::end_session), "End a login and close its sockets", None => 204 None, &[404]),
    route!("POST" "/api/v1/password", ADMIN, post(account::password), "Change the password; ends all logins", Some("PasswordRequest") => 204 None, &[422]),
    route!("POST" "/api/v1/totp", ADMIN, post(account::totp_begin), "A new secret of the second factor, to be confirmed", None => 200 Some("TotpSecret"), &[409]),
    route!("POST" "/api/v1/totp/confirm", ADMIN, post(account::totp_confirm), "Turn the second factor on with a code of the new secret", Some("TotpCode") => 204 None, &[409]),
    route!("DELETE" "/api/v1/totp", ADMIN, delete(account::totp_off), "Turn the second factor off", Some("TotpCode") => 204 None, &[]),
    route!("GET" "/api/v1/tokens", ADMIN, get(account::tokens), "All API tokens", None => 200 Some("[TokenView]"), &[]),
    route!("POST" "/api/v1/tokens", ADMIN, post(account::create_token), "Make an API token, which is shown this once", Some("TokenRequest") => 201 Some("TokenCreated"), &[409, 422]),
    route!("DELETE" "/api/v1/tokens/{id}", ADMIN, delete(account::end_token), "Remove a token and close its sockets", None => 204 None, &[404]),
    route!("POST" "/api/v1/commands", OPERATE, post(api::command), "Give a command. Headers: Idempotency-Key, Confirm-Token", Some("Command") => 202 Some("CommandAccepted"), &[404, 409, 422, 428, 429, 503]),
    route!("GET" "/api/v1/snapshot/{stream}", READ, get(api::snapshot), "All rows of a stream, with an ETag", None => 200 Some("Snapshot"), &[304, 404, 503]),
    route!("GET" "/api/v1/events", READ, get(api::events), "A page of the journal, newest first. Query: before, limit, app", None => 200 Some("EventPage"), &[503]),
    route!("GET" "/api/v1/backups", READ, get(api::all_backups), "The backups of all apps, oldest first", None => 200 Some("[BackupView]"), &[503]),
    route!("GET" "/api/v1/apps/{app}/backups", READ, get(api::backups), "The backups of an app, oldest first, also of one that is not installed any more", None => 200 Some("[BackupView]"), &[503]),
    route!("GET" "/api/v1/logs/{app}/{service}", READ, get(api::logs), "A container's log as text. Query: tail, follow, download", None => 200 None, &[404, 429, 503]),
    route!("GET" "/api/v1/apps/{app}/secrets", READ, get(secret::list), "The secrets that an app asks its owner for, and whether they are given", None => 200 Some("[SecretView]"), &[404, 503]),
    route!("PUT" "/api/v1/apps/{app}/secrets/{name}", ADMIN, put(secret::set), "Give an app a secret; what runs has it from its next restart on", Some("SecretRequest") => 200 Some("SecretAccepted"), &[404, 422, 503]),
    route!("GET" "/api/v1/apps/{app}/manifest", READ, get(facts::manifest), "What is known of an app beside its row", None => 200 Some("AppFacts"), &[404, 503]),
    route!("GET" "/api/v1/apps/{app}/icon", READ, get(facts::icon), "An app's icon: SVG or PNG", None => 200 None, &[404, 503]),
    route!("GET" "/api/v1/ws", READ, get(ws::upgrade), "The WebSocket of archy.v1; see the AsyncAPI document", None => 101 None, &[429]),
    route!("GET" "/metrics", READ, get(prometheus::metrics), "Metrics for Prometheus; give it a token with the scope read", None => 200 None, &[]),
    route!("GET" "/api/docs", PUBLIC, get(docs::page), "This interface, readable", None => 200 None, &[]),
    route!("GET" "/api/openapi.json", PUBLIC, get(docs::openapi), "This interface as OpenAPI", None => 200 None, &[]),
    route!("GET" "/api/asyncapi.json", PUBLIC, get(docs::asyncapi), "The WebSocket as AsyncAPI", None => 200 None, &[]),
    route!("GET" "/api/archy.v1.json", PUBLIC, get(docs::schema), "JSON Schema of all types", None => 200 None, &[]),
];
