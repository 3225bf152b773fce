//! The web UI, embedded when the daemon is built.

use crate::answer::Refusal;
use axum::{
    extract::Request,
    http::{Method, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use protocol::ErrorCode;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../ui/dist"]
#[allow_missing = true]
struct Dist;

/// Shown when the daemon was built without the UI.
const NO_UI: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Archipelago</title>\
<h1>The node runs, but it was built without its web UI</h1>\
<p>Build it and then the daemon again: <code>make run</code>, or <code>npm ci &amp;&amp; npm run build</code> \
in the folder <code>ui</code>. Until then <code>archy</code> does everything.</p></html>\n";

/// Everything that no route takes.
pub(crate) async fn serve(request: Request) -> Result<Response, Refusal> {
    let path = request.uri().path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Err(Refusal::new(ErrorCode::NotFound, "there is nothing at this path"));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal::bad("this path has no such method").status(StatusCode::METHOD_NOT_ALLOWED));
    }
    if let Some(file) = Dist::get(path) {
        return Ok(file_answer(path, file.data.into_owned()));
    }
    // A file that is missing is missing; only addresses of pages are the UI's own to interpret.
    let last = path.rsplit('/').next().unwrap_or_default();
    if path.starts_with("assets/") || last.contains('.') {
        return Err(Refusal::new(ErrorCode::NotFound, "there is no such file"));
    }
    Ok(match Dist::get("index.html") {
        Some(file) => file_answer("index.html", file.data.into_owned()),
        None => ([(header::CACHE_CONTROL, "no-cache")], Html(NO_UI)).into_response(),
    })
}

fn file_answer(path: &str, data: Vec<u8>) -> Response {
    // Names of assets carry a hash of their content; everything else is asked for anew.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, content_type(path)), (header::CACHE_CONTROL, cache)], data).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
