//! Errors of the node as its clients are told them.

use crate::{app::Refusal, catalog::FindError, control::SubmitError, store::StoreError};
use protocol::{ApiError, ErrorCode};

pub(super) fn api_error(code: ErrorCode, message: impl Into<String>, hint: &str) -> ApiError {
    ApiError::new(code, message).hint(hint)
}

pub(super) fn store_error(error: StoreError) -> ApiError {
    tracing::error!(%error, "store refused");
    api_error(ErrorCode::Unavailable, error.to_string(), "try again; if it stays so, check the node's disk")
}

pub(super) fn engine_error(error: &engine::EngineError) -> ApiError {
    let code = match error {
        engine::EngineError::NotFound { .. } => ErrorCode::NotFound,
        _ => ErrorCode::Unavailable,
    };
    api_error(code, error.to_string(), "see whether the container engine runs")
}

pub(super) fn op_error(error: protocol::OpError) -> ApiError {
    let code = match error.code.as_str() {
        "no_snapshot" => ErrorCode::NotFound,
        _ => ErrorCode::Unavailable,
    };
    api_error(code, error.message, &error.hint.unwrap_or_default())
}

pub(super) fn submit_error(error: SubmitError) -> ApiError {
    let message = error.to_string();
    match error {
        SubmitError::Catalog(FindError::Unknown(_)) => {
            api_error(ErrorCode::NotFound, message, "`archy apps` shows what there is")
        }
        SubmitError::Catalog(FindError::Invalid(problems)) => {
            ApiError { problems, ..api_error(ErrorCode::Invalid, message, "mend the manifest") }
        }
        SubmitError::Catalog(FindError::Unreadable(_)) => {
            api_error(ErrorCode::Internal, message, "check the catalog's folder")
        }
        SubmitError::NotInstalled(_) => api_error(ErrorCode::NotFound, message, "install it first"),
        SubmitError::Unfit(_, problems) => {
            let remedies: Vec<&str> = problems.iter().map(|problem| problem.remedy.as_str()).collect();
            let error = api_error(ErrorCode::Conflict, message, &remedies.join("; "));
            ApiError { problems, ..error }
        }
        SubmitError::NotGiven(_, problems) => {
            let remedies: Vec<&str> = problems.iter().map(|problem| problem.remedy.as_str()).collect();
            let error = api_error(ErrorCode::Invalid, message, &remedies.join("; "));
            ApiError { problems, ..error }
        }
        SubmitError::Needed(..) => api_error(ErrorCode::Conflict, message, "uninstall those first"),
        SubmitError::NoOperation(_) => {
            api_error(ErrorCode::NotFound, message, "`archy watch --stream ops` shows what there is")
        }
        SubmitError::NotOf(..) | SubmitError::Ended(..) => {
            api_error(ErrorCode::Conflict, message, "see the operation on the page or with `archy apps`")
        }
        SubmitError::UpToDate(..) => {
            api_error(ErrorCode::Conflict, message, "`archy update` lists what can be updated")
        }
        SubmitError::KeyReused => api_error(ErrorCode::Conflict, message, "use a new key for a new command"),
        SubmitError::Refused(Refusal::OpInProgress(op)) => ApiError {
            op_id: Some(op),
            ..api_error(
                ErrorCode::OpInProgress,
                message,
                "wait until it has ended, or cancel it with `archy cancel`",
            )
        },
        SubmitError::Refused(Refusal::Conflict(_)) => {
            api_error(ErrorCode::Conflict, message, "see the app's state on the page or with `archy apps`")
        }
        SubmitError::Refused(Refusal::Unavailable(_)) => {
            api_error(ErrorCode::Unavailable, message, "try again")
        }
    }
}
