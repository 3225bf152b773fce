//! Refusals: from an [`ApiError`] to an answer, in one place.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use protocol::{ApiError, ErrorCode};

/// A refusal as it goes out.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: Box<ApiError>,
    retry_after_s: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::from(ApiError::new(code, message))
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.error.hint = Some(hint.into());
        self
    }

    /// The refusal's body.
    #[cfg(test)]
    pub(crate) fn into_error(self) -> ApiError {
        *self.error
    }

    /// Overrides the code's own status where HTTP has a more exact one.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

/// The store does not answer, as while it is being restarted.
pub(crate) fn store_away(error: actors::StoreError) -> Refusal {
    tracing::error!(%error, "store refused");
    Refusal::new(ErrorCode::Unavailable, "the node's store does not answer").hint("try again")
}

/// A fault of the node; what it was is for the log only.
pub(crate) fn internal(error: impl std::fmt::Display) -> Refusal {
    tracing::error!(%error, "request failed");
    Refusal::new(ErrorCode::Internal, "the node could not do this").hint("its log says why")
}

/// The status of each code, as documented at [`ErrorCode`].
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::OpInProgress | ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::ConfirmRequired => StatusCode::PRECONDITION_REQUIRED,
        ErrorCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        // A node that cannot now may well can in a moment.
        let retry_after_s = (error.code == ErrorCode::Unavailable).then_some(1);
        Self { status: status(error.code), error: Box::new(error), retry_after_s }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut answer = (self.status, Json(self.error)).into_response();
        if let Some(seconds) = self.retry_after_s {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
