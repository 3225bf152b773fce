//! What is known of one app beside its row: its manifest in words, and its icon.

use crate::{answer::Refusal, shared::Shared};
use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use protocol::{AppFacts, AppId};
use std::sync::Arc;

/// An icon comes from a catalog and may be looked at in a tab of its own: it loads nothing and runs nothing.
const ICON_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";
/// Icons change with their app's version only.
const ICON_CACHE: &str = "private, max-age=3600";

fn app_id(text: &str) -> Result<AppId, Refusal> {
    text.parse().map_err(|error| Refusal::bad(format!("{error}")))
}

/// `GET /api/v1/apps/{app}/manifest`.
pub(crate) async fn manifest(
    State(shared): State<Arc<Shared>>,
    Path(app): Path<String>,
) -> Result<Json<AppFacts>, Refusal> {
    Ok(Json(shared.node.facts(&app_id(&app)?).await?))
}

/// `GET /api/v1/apps/{app}/icon`.
pub(crate) async fn icon(
    State(shared): State<Arc<Shared>>,
    Path(app): Path<String>,
) -> Result<Response, Refusal> {
    let icon = shared.node.icon(&app_id(&app)?).await?;
    let headers = [
        (header::CONTENT_TYPE, icon.kind),
        (header::CONTENT_SECURITY_POLICY, ICON_POLICY),
        (header::CACHE_CONTROL, ICON_CACHE),
    ];
    Ok((headers, icon.bytes).into_response())
}
