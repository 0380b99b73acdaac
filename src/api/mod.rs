//! Questions that the gateway answers itself: which models there are, what a call cost, how the providers are doing.
//!
//! | question | who may ask | answer |
//! | --- | --- | --- |
//! | [`Read::Models`], [`Read::Model`] | a key | the catalogue, as far as the key's scopes reach, in both vendors' shapes |
//! | [`Read::Generation`] | a key | the record of one call of its workspace |
//! | [`Read::Health`], [`Read::Alive`] | anybody | the targets' vital signs; that the process is alive |

mod generations;
mod health;
mod models;
mod page;
mod query;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, StatusCode, header, request::Parts};

pub use self::generations::{RecordFuture, Records};
use crate::{
    catalog::Catalogs,
    fault::Fault,
    stage::{Endpoint, GenerationId, Health, Principal, Read, fault_response, name_call},
};

/// What the answers are made from.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) catalogs: Catalogs,
    pub(crate) health: Health,
    pub(crate) records: Option<std::sync::Arc<dyn Records>>,
}

impl Api {
    /// Answers `read`. `parts` are the asking request's; the gateway's mount point is stripped from its path.
    pub(crate) async fn answer(&self, read: Read, mut parts: Parts) -> Response<Bytes> {
        let id = GenerationId::of(&mut parts.extensions);
        let dialect = Endpoint::dialect_of(parts.uri.path(), &parts.headers);
        let principal = parts.extensions.get::<Principal>().cloned();
        let answer = match read {
            Read::Models => models::list(&self.catalogs.current(), &parts, principal.as_ref()),
            Read::Model => models::one(&self.catalogs.current(), &parts, principal.as_ref()),
            Read::Generation => generations::find(self.records.as_deref(), &parts, principal.as_ref()).await,
            Read::Health => Ok(health::report(&self.catalogs.current(), &self.health)),
            Read::Alive => Ok(Body::from(BytesMut::from(&br#"{"status":"ok"}"#[..]))),
        };
        match answer {
            Ok(Body(bytes)) => {
                let mut response = Response::new(bytes);
                *response.status_mut() = StatusCode::OK;
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                name_call(dialect, &id, headers);
                response
            }
            Err(fault) => fault_response(dialect, &fault, &id),
        }
    }
}

/// An answer's JSON text.
struct Body(Bytes);

impl From<BytesMut> for Body {
    fn from(text: BytesMut) -> Self {
        Self(text.freeze())
    }
}

type Answer = Result<Body, Fault>;
