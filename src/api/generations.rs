//! The record of a call.

use std::{future::Future, pin::Pin};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use tower::BoxError;

use super::{Answer, query};
use crate::{
    fault::{Fault, FaultKind},
    stage::{GenerationId, Principal},
};

/// Where records are read. Implemented by the stores.
pub trait Records: Send + Sync + 'static {
    /// The record of call `id` as JSON, if it is one of `workspace`; those not yet shipped included.
    fn find<'a>(&'a self, workspace: &'a str, id: &'a GenerationId) -> RecordFuture<'a>;
}

/// A record on its way.
pub type RecordFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<Bytes>, BoxError>> + Send + 'a>>;

/// Answers `/v1/generations?id=`, `/v1/generation?id=` and `/v1/generations/{id}`.
pub(super) async fn find(records: Option<&dyn Records>, parts: &Parts, principal: Option<&Principal>) -> Answer {
    let path = parts.uri.path().strip_prefix("/v1/generations/").map(query::path);
    let Some(asked) = path.or_else(|| query::value(&parts.uri, "id")) else {
        return Err(Fault::invalid("", "the query member `id` names the call: ?id=G-..."));
    };
    let unknown = || Fault::new(FaultKind::NotFound { what: "this generation".to_owned() });
    let id: GenerationId = asked.parse().map_err(|_| unknown())?;
    let records = records.ok_or_else(|| Fault::new(FaultKind::NotImplemented { what: "reading records without a store".to_owned() }))?;
    let anonymous = Principal::anonymous();
    let workspace = principal.unwrap_or(&anonymous).workspace();
    match records.find(workspace, &id).await {
        Ok(Some(record)) => Ok(BytesMut::from(&record[..]).into()),
        Ok(None) => Err(unknown()),
        Err(error) => Err(Fault::new(FaultKind::LedgerUnavailable).with_source(error)),
    }
}
