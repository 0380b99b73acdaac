//! Who could answer: turns a model's name into a plan of targets.
//!
//! Stands below the meter and above retry. The catalogue says what the name means; the key's scopes are enforced on
//! what it resolved to, so that no alias, case or pin dodges them; the caller's preferences filter and order what is
//! left.
//!
//! | refuses | with |
//! | --- | --- |
//! | a name that means nothing | 404 `model_not_found` |
//! | a model, an operation, or every provider of it outside the key's scopes | 403 `not_allowed` |
//! | preferences that leave no target | 400 naming them |
//!
//! The order is made by a [`Strategy`]. It passes bodies untouched, delegates readiness, and asks nobody else.
//!
//! ```
//! use portcullis::{catalog::{Catalog, ModelEntry, Preset, TargetEntry}, route::RouteLayer};
//!
//! let catalog = Catalog::builder()
//!     .provider(Preset::DEMO.account("demo").build()?)
//!     .model(ModelEntry::new("demo/echo").target(TargetEntry::new("demo", "echo")))
//!     .build()?;
//! let layer = RouteLayer::new(catalog);
//! # let _ = layer;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod layer;
mod plan;
mod service;
mod strategy;

pub use self::{
    layer::RouteLayer,
    service::{ResponseFuture, Route},
    strategy::{Configured, Strategy},
};
