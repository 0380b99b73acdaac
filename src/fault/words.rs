//! What a fault says.

use std::fmt;

use super::{Failure, Fault, FaultKind, Timeout};

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (FaultKind::Rejected { .. }, Some(upstream)) = (&self.0.kind, &self.0.upstream)
            && !upstream.message.is_empty()
        {
            return f.write_str(&upstream.message);
        }
        if let (FaultKind::Upstream(Failure::Protocol), Some(upstream)) = (&self.0.kind, &self.0.upstream)
            && !upstream.message.is_empty()
        {
            return write!(f, "the provider's answer is not valid: {}", upstream.message);
        }
        match &self.0.kind {
            FaultKind::BodyTimeout => f.write_str("the request body did not arrive in time"),
            // A foreign layer's limit is not known.
            FaultKind::BodyTooLarge { limit: 0 } => f.write_str("the request body is too large"),
            FaultKind::BodyTooLarge { limit } => write!(f, "the request body is larger than {limit} bytes"),
            FaultKind::BodyTruncated => f.write_str("the request body broke off before its declared end"),
            FaultKind::Cancelled => f.write_str("the call was given up"),
            FaultKind::Conflict => f.write_str("this idempotency key was used with another body"),
            FaultKind::CredentialRefused => f.write_str("the provider refused the gateway's credential"),
            FaultKind::InsufficientFunds => f.write_str("the key's credit or spend limit is used up"),
            FaultKind::Internal => f.write_str("the gateway failed"),
            FaultKind::InvalidJson { offset } => write!(f, "the request body is not JSON (at byte {offset})"),
            FaultKind::InvalidKey => f.write_str("this API key is not valid"),
            FaultKind::InvalidKeyFormat => f.write_str("this API key is not in the gateway's format"),
            FaultKind::InvalidRequest(details) => match details.as_slice() {
                [one] if one.path.is_empty() => f.write_str(&one.message),
                [one, ..] => write!(f, "{}: {}", one.path, one.message),
                [] => f.write_str("the request is not valid"),
            },
            FaultKind::KeyLimit { .. } => f.write_str("a limit of this API key is reached"),
            FaultKind::KeyStoreUnavailable => f.write_str("API keys cannot be checked at the moment"),
            FaultKind::LedgerUnavailable => f.write_str("calls cannot be recorded at the moment"),
            FaultKind::Lossy(details) => {
                f.write_str("no target can carry the whole request:")?;
                details.iter().try_for_each(|detail| write!(f, " {}", detail.path))
            }
            FaultKind::MethodNotAllowed { allow } => write!(f, "this path takes {allow}"),
            FaultKind::MissingKey => f.write_str("no API key was sent"),
            FaultKind::NotAllowed { what } => write!(f, "this API key may not use {what}"),
            FaultKind::NotFound { what } => write!(f, "{what} is not known here"),
            FaultKind::NotImplemented { what } => write!(f, "{what} is not built yet"),
            FaultKind::Overloaded => f.write_str("there is no capacity at the moment"),
            FaultKind::RateLimited => f.write_str("the provider limits the gateway's requests"),
            FaultKind::Rejected { status } => write!(f, "the provider refused the request ({status})"),
            FaultKind::Timeout(Timeout::Connect) => f.write_str("the provider could not be reached in time"),
            FaultKind::Timeout(Timeout::FirstByte) => f.write_str("the provider did not begin to answer in time"),
            FaultKind::Timeout(Timeout::Idle) => f.write_str("the provider went silent"),
            FaultKind::Timeout(Timeout::Total) => f.write_str("the call took too long"),
            FaultKind::Timeout(Timeout::WriteStall) => f.write_str("the answer was not read in time"),
            FaultKind::Truncated => f.write_str("the provider's answer broke off before its end"),
            FaultKind::TwoKeys => f.write_str("two different API keys were sent"),
            FaultKind::UnknownModel { model } => write!(f, "model `{model}` is not known here"),
            FaultKind::UnsupportedMediaType => f.write_str("this content type or encoding is not taken"),
            FaultKind::Upstream(Failure::Connect) => f.write_str("the provider could not be reached"),
            FaultKind::Upstream(Failure::Connection) => f.write_str("the connection to the provider broke"),
            FaultKind::Upstream(Failure::Overloaded) => f.write_str("the provider is overloaded"),
            FaultKind::Upstream(Failure::Protocol) => f.write_str("the provider's answer is not valid"),
            FaultKind::Upstream(Failure::Status) => f.write_str("the provider failed"),
            FaultKind::Upstream(Failure::UnknownModel) => f.write_str("the provider does not know the configured model"),
        }
    }
}
