//! Secrets that the owner of an app gives.

use crate::{answer::Refusal, http, shared::Shared};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::HeaderMap,
};
use protocol::{AppId, ErrorCode, SecretAccepted, SecretRequest, SecretView};
use std::sync::Arc;

/// Longest value in bytes; a body may have little more.
const MAX_VALUE: usize = 32 * 1024;

/// `GET /api/v1/apps/{app}/secrets`.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Path(app): Path<String>,
) -> Result<Json<Vec<SecretView>>, Refusal> {
    let app: AppId = app.parse().map_err(|error| Refusal::bad(format!("{error}")))?;
    Ok(Json(shared.node.secrets(&app).await?))
}

/// `PUT /api/v1/apps/{app}/secrets/{name}`.
pub(crate) async fn set(
    State(shared): State<Arc<Shared>>,
    Path((app, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SecretAccepted>, Refusal> {
    let app: AppId = app.parse().map_err(|error| Refusal::bad(format!("{error}")))?;
    let request: SecretRequest = http::json(&headers, body).await?;
    if request.value.is_empty() || request.value.len() > MAX_VALUE || request.value.contains('\0') {
        let message = "a secret has 1 byte to 32 KiB, none of which is zero";
        return Err(Refusal::new(ErrorCode::Invalid, message));
    }
    Ok(Json(shared.node.set_secret(&app, &name, &request.value).await?))
}
