//! The interface described: OpenAPI and AsyncAPI documents, the schema, and a page to read. No script, no network.

use crate::{
    auth::Permission,
    routes::{ROUTES, Route},
};
use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};
use protocol::Scope;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// Generated from the Rust types by the tests of `protocol`.
const SCHEMA: &str = include_str!("../../protocol/schema/archy.v1.json");
const ASYNCAPI: &str = include_str!("docs/asyncapi.json");

fn as_json(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// `GET /api/archy.v1.json`.
pub(crate) async fn schema() -> Response {
    as_json(SCHEMA)
}

/// `GET /api/asyncapi.json`.
pub(crate) async fn asyncapi() -> Response {
    as_json(ASYNCAPI)
}

/// `GET /api/openapi.json`.
pub(crate) async fn openapi() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    as_json(TEXT.get_or_init(|| document().to_string()))
}

/// `GET /api/docs`.
pub(crate) async fn page() -> Html<&'static str> {
    static TEXT: OnceLock<String> = OnceLock::new();
    Html(TEXT.get_or_init(html))
}

fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Operate => "operate",
        Scope::Admin => "admin",
    }
}

fn type_schema(name: &str) -> Value {
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(name) => json!({ "type": "array", "items": type_schema(name) }),
        None => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}

fn body(name: &str) -> Value {
    json!({ "application/json": { "schema": type_schema(name) } })
}

/// What a status means, for those that are not the route's own answer.
fn meaning(status: u16) -> &'static str {
    match status {
        304 => "What the client has is current",
        400 => "No valid request of this interface",
        401 => "Log in first",
        403 => "Refused by origin or scope",
        404 => "There is no such thing",
        409 => "Another operation runs, or the state does not allow it",
        421 => "The Host is not one of this node's",
        422 => "Not acceptable; problems says why",
        428 => "Destroys something; show confirm.plan and send it again with Confirm-Token",
        429 => "Too many; wait as long as Retry-After says",
        503 => "Not now; try again after Retry-After",
        _ => "Refused",
    }
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, answer) = route.answer;
    let mut ok = json!({ "description": route.summary });
    if let Some(name) = answer {
        ok["content"] = body(name);
    }
    responses.insert(status.to_string(), ok);
    let guarded = matches!(route.permission, Permission::Needs(_));
    let common: &[u16] = if guarded { &[400, 401, 403, 421] } else { &[400, 421] };
    for status in common.iter().chain(route.refusals) {
        responses.entry(status.to_string()).or_insert_with(|| match status {
            304 => json!({ "description": meaning(*status) }),
            _ => json!({ "description": meaning(*status), "content": body("ApiError") }),
        });
    }
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let path = names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let query: &[&str] = match route.path {
        "/api/v1/events" => &["before", "limit", "app"],
        "/api/v1/logs/{app}/{service}" => &["tail", "follow", "download"],
        _ => &[],
    };
    let query =
        query.iter().map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
    let sent: &[&str] = match route.path {
        "/api/v1/commands" => &["Idempotency-Key", "Confirm-Token"],
        "/api/v1/snapshot/{stream}" => &["If-None-Match"],
        _ => &[],
    };
    let sent =
        sent.iter().map(|name| json!({ "name": name, "in": "header", "schema": { "type": "string" } }));
    let parameters: Vec<Value> = path.chain(query).chain(sent).collect();
    let security = match route.permission {
        Permission::Public => json!([]),
        Permission::Needs(scope) => {
            let word = scope_word(scope);
            json!([{ "token": [word] }, { "cookie": [word] }])
        }
    };
    let mut operation = json!({
        "summary": route.summary,
        "operationId": format!("{}{}", route.method.to_lowercase(), route.path.replace(['/', '{', '}', '.'], "_")),
        "security": security,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(name) = route.body {
        operation["requestBody"] = json!({ "required": true, "content": body(name) });
    }
    operation
}

/// The schema's types as components: OpenAPI 3.1 takes JSON Schema as it is, only the references move.
fn components() -> Value {
    let text = SCHEMA.replace("#/$defs/", "#/components/schemas/");
    let mut schema: Value = serde_json::from_str(&text).unwrap_or_default();
    let mut types = schema["$defs"].take();
    types["Snapshot"] = json!({
        "type": "object",
        "required": ["epoch", "seq", "items"],
        "properties": {
            "epoch": { "type": "string" },
            "seq": { "type": "integer" },
            "items": { "type": "array", "items": { "$ref": "#/components/schemas/Row" } },
        },
    });
    types
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Archipelago node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Commands go over HTTP, state comes over the WebSocket (see /api/asyncapi.json).",
        },
        "paths": paths,
        "components": {
            "schemas": components(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "cookie": { "type": "apiKey", "in": "cookie", "name": "archy_session" },
            },
        },
    })
}

fn html() -> String {
    let mut rows = String::new();
    for route in ROUTES {
        let who = match route.permission {
            Permission::Public => "everybody",
            Permission::Needs(scope) => scope_word(scope),
        };
        let link = |name: &str| {
            let plain = name.trim_matches(['[', ']']);
            format!("<a href=\"#{plain}\">{name}</a>")
        };
        let takes = route.body.map(link).unwrap_or_default();
        let gives = route.answer.1.map(link).unwrap_or_default();
        rows += &format!(
            "<tr><td><code>{} {}</code><td>{}<td>{who}<td>{takes}<td>{} {gives}<td>{}\n",
            route.method,
            route.path,
            route.summary,
            route.answer.0,
            route.refusals.iter().map(u16::to_string).collect::<Vec<_>>().join(" "),
        );
    }
    let mut types = String::new();
    for (name, schema) in components().as_object().into_iter().flatten() {
        let text = serde_json::to_string_pretty(schema).unwrap_or_default();
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        types += &format!("<details id=\"{name}\"><summary>{name}</summary><pre>{text}</pre></details>\n");
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Archipelago: HTTP and WebSocket</title>\
         <style>body{{font:16px/1.5 system-ui;margin:2rem auto;max-width:75rem;padding:0 1rem;\
         color-scheme:light dark}}table{{border-collapse:collapse;width:100%}}\
         td,th{{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8888}}\
         pre{{overflow:auto}}</style>\
         <h1>HTTP and WebSocket of this node</h1>\
         <p>Commands go over HTTP; state is pushed over the WebSocket. For programs: \
         <a href=\"openapi.json\">OpenAPI</a>, <a href=\"asyncapi.json\">AsyncAPI of the WebSocket</a>, \
         <a href=\"archy.v1.json\">JSON Schema</a>.</p>\
         <p>A browser sends its cookie and <code>Origin</code>; a program sends <code>Authorization: Bearer</code> \
         with an API token. Every refusal has the body <a href=\"#ApiError\">ApiError</a>; 400, 401, 403 and 421 may \
         come from every route.</p>\
         <table><tr><th>Route<th>What it does<th>Scope<th>Takes<th>Gives<th>Refusals\n{rows}</table>\
         <h2>Types</h2>\n{types}</html>\n"
    )
}

#[cfg(test)]
mod tests;
