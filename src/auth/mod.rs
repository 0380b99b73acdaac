//! Who is calling: keys, their stores, and the layer that lets nobody else through.
//!
//! [`AuthLayer`] stands outermost. It takes the key out of a request's headers, checks it, and puts a
//! [`Principal`](crate::stage::Principal) into the extensions; what is not let through is answered here, in the dialect
//! that the path and headers name, and the request's body is never read.
//!
//! ```
//! use portcullis::auth::{AuthLayer, CachedKeys, KeyAdmin, MemoryKeys, NewKey, Pepper};
//! use portcullis::stage::Principal;
//! # use http::{Request, Response};
//! # use http_body_util::Empty;
//! # use bytes::Bytes;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (store, pepper) = (MemoryKeys::new(), Pepper::new("pepper-for-tests")?);
//! let (key, _) = KeyAdmin::new(store.clone(), pepper.clone()).create(NewKey::named("ci"), "example").await?;
//!
//! let service = ServiceBuilder::new()
//!     .layer(AuthLayer::new(CachedKeys::new(store, pepper)))
//!     .service(service_fn(|request: Request<Empty<Bytes>>| async move {
//!         let caller = request.extensions().get::<Principal>().and_then(Principal::name);
//!         assert_eq!(caller, Some("ci"));
//!         Ok::<_, std::convert::Infallible>(Response::new(Empty::<Bytes>::new()))
//!     }));
//!
//! let request = Request::get("/v1/models").header("x-api-key", key.expose()).body(Empty::new())?;
//! assert_eq!(service.clone().oneshot(request).await?.status(), 200);
//! let request = Request::get("/v1/models").body(Empty::new())?;
//! assert_eq!(service.oneshot(request).await?.status(), 401);
//! # Ok(())
//! # }
//! ```
//!
//! # Credentials
//!
//! A key is sent as `Authorization: Bearer`, `x-api-key` or `x-goog-api-key`; never in a query or cookie. The accepted
//! one is removed wherever it stands. Values in other formats beside it stay: they are the host's own business, and no
//! layer of ours sends them on.
//!
//! | what is sent | status | code |
//! | --- | --- | --- |
//! | nothing, or `Authorization` with another scheme | 401 | `missing_or_invalid_authorization_header` |
//! | only values that have not our [format](KeyFormat) | 401 | `invalid_key_format` |
//! | a key that is unknown, wrong, paused, revoked, expired, or of the other [kind](crate::stage::KeyKind) | 401 | `invalid_key` |
//! | two different keys in our format | 400 | `two_keys` |
//! | a key while the store does not answer | 503 | `key_store_unavailable` |
//!
//! # Stores
//!
//! A [`KeyStore`] is one method; [`MemoryKeys`] and (feature `sqlite`) `store::Sqlite` are two. [`CachedKeys`] stands
//! before them: a key in use costs no read, and a change takes effect within the second. [`KeyAdmin`] makes and changes
//! keys, and every change is an audit entry.
//!
//! # As a layer
//!
//! It changes no body; a refusal's is its own, so the response body is [`AnswerBody`](crate::stage::AnswerBody). Errors
//! of the inner service pass through. It is always ready, and waits for the inner service's readiness with the request
//! in hand. It sets the [`GenerationId`](crate::stage::GenerationId) if nobody has.
//!
//! # What it does not do
//!
//! [`Scopes`](crate::stage::Scopes) are enforced by the route layer, where the model's name is resolved.
//! [`Limits`](crate::stage::Limits) are stored and handed on, but enforced by no layer of this version. Guessing is not
//! slowed down per address.

mod admin;
mod cached;
mod clock;
mod credential;
mod format;
mod future;
mod generations;
mod known;
mod layer;
mod memory;
mod pepper;
mod record;
mod store;
mod tag;
mod uses;

pub use self::{
    admin::{KeyAdmin, KeyAdminError, NewKey},
    cached::CachedKeys,
    clock::Clock,
    format::{InvalidKeyFormat, KeyFormat, KeyText, NoRandomness, ParsedKey},
    future::ResponseFuture,
    layer::{Auth, AuthLayer},
    memory::MemoryKeys,
    pepper::{KeyHash, ParseKeyHashError, Pepper, Peppers, WeakPepper},
    record::{Applied, KeyAction, KeyAudit, KeyChange, KeyChangeError, KeyRecord, KeyStatus, SecretHash},
    store::{Changed, KeyChanges, KeyFuture, KeyRegister, KeyRegisterError, KeyStore, KeyStoreError, KeyUse},
};
