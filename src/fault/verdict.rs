//! The error table.

use http::StatusCode;

use super::{Failure, FaultKind};

/// What a caller is told: a row of the error table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The HTTP status. (Anthropic Messages says 529 where this says 503 for an overload.)
    pub status: StatusCode,
    /// The stable reason.
    pub reason: &'static str,
    /// OpenAI's `error.type`.
    pub openai_type: &'static str,
    /// Anthropic's `error.type`.
    pub anthropic_type: &'static str,
    /// Whose doing it was: `user`, `provider` or `gateway`.
    pub origin: &'static str,
}

impl Verdict {
    /// What a caller is told of such a fault.
    pub(super) fn of(kind: &FaultKind) -> Self {
        match kind {
            FaultKind::BodyTimeout => Self { status: StatusCode::REQUEST_TIMEOUT, origin: "user", ..TIMEOUT },
            FaultKind::BodyTooLarge { .. } => TOO_LARGE,
            FaultKind::BodyTruncated
            | FaultKind::InvalidJson { .. }
            | FaultKind::InvalidRequest(_)
            | FaultKind::Lossy(_)
            | FaultKind::TwoKeys => VALIDATION,
            FaultKind::Cancelled | FaultKind::Overloaded | FaultKind::KeyStoreUnavailable | FaultKind::LedgerUnavailable => OVERLOADED,
            FaultKind::Conflict => CONFLICT,
            FaultKind::CredentialRefused | FaultKind::Truncated => PROVIDER,
            FaultKind::InsufficientFunds => FUNDS,
            FaultKind::Internal => INTERNAL,
            FaultKind::InvalidKey | FaultKind::InvalidKeyFormat | FaultKind::MissingKey => AUTHENTICATION,
            FaultKind::KeyLimit { .. } => Self { origin: "user", ..RATE_LIMIT },
            FaultKind::MethodNotAllowed { .. } => METHOD,
            FaultKind::NotAllowed { .. } => AUTHORIZATION,
            FaultKind::NotFound { .. } | FaultKind::UnknownModel { .. } => NOT_FOUND,
            FaultKind::NotImplemented { .. } => NOT_IMPLEMENTED,
            FaultKind::RateLimited => RATE_LIMIT,
            FaultKind::Rejected { status } => rejected(*status),
            FaultKind::Timeout(_) => TIMEOUT,
            FaultKind::UnsupportedMediaType => MEDIA_TYPE,
            FaultKind::Upstream(Failure::Overloaded) => Self { origin: "provider", ..OVERLOADED },
            FaultKind::Upstream(_) => PROVIDER,
        }
    }
}

const fn row(
    status: StatusCode,
    reason: &'static str,
    openai_type: &'static str,
    anthropic_type: &'static str,
    origin: &'static str,
) -> Verdict {
    Verdict { status, reason, openai_type, anthropic_type, origin }
}

const INVALID: &str = "invalid_request_error";

const VALIDATION: Verdict = row(StatusCode::BAD_REQUEST, "validation_error", INVALID, INVALID, "user");
const AUTHENTICATION: Verdict =
    row(StatusCode::UNAUTHORIZED, "authentication_error", "authentication_error", "authentication_error", "user");
const FUNDS: Verdict = row(StatusCode::PAYMENT_REQUIRED, "insufficient_funds", "insufficient_quota", "billing_error", "user");
const AUTHORIZATION: Verdict = row(StatusCode::FORBIDDEN, "authorization_error", "permission_error", "permission_error", "user");
const NOT_FOUND: Verdict = row(StatusCode::NOT_FOUND, "not_found_error", INVALID, "not_found_error", "user");
const METHOD: Verdict = row(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", INVALID, INVALID, "user");
const TIMEOUT: Verdict = row(StatusCode::GATEWAY_TIMEOUT, "timeout", "timeout_error", "timeout_error", "provider");
const CONFLICT: Verdict = row(StatusCode::CONFLICT, "conflict", INVALID, INVALID, "user");
const TOO_LARGE: Verdict = row(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", INVALID, "request_too_large", "user");
const MEDIA_TYPE: Verdict = row(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", INVALID, INVALID, "user");
const RATE_LIMIT: Verdict = row(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_error", "rate_limit_error", "provider");
const INTERNAL: Verdict = row(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "server_error", "api_error", "gateway");
const NOT_IMPLEMENTED: Verdict = row(StatusCode::NOT_IMPLEMENTED, "not_implemented", INVALID, INVALID, "gateway");
const PROVIDER: Verdict = row(StatusCode::BAD_GATEWAY, "provider_error", "provider_error", "api_error", "provider");
const OVERLOADED: Verdict = row(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "overloaded_error", "overloaded_error", "gateway");

/// A provider's 4xx about the caller's own request keeps its status.
fn rejected(status: u16) -> Verdict {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let like = match status.as_u16() {
        404 => NOT_FOUND,
        405 => METHOD,
        408 => TIMEOUT,
        409 => CONFLICT,
        413 => TOO_LARGE,
        415 => MEDIA_TYPE,
        429 => RATE_LIMIT,
        _ => VALIDATION,
    };
    Verdict { status, origin: "user", ..like }
}
