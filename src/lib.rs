//! An LLM gateway made of Tower layers: keys, one API over many providers, retries and an exact bill, inside your own
//! process.
//!
//! ```
//! use portcullis::{
//!     auth::{AuthLayer, CachedKeys, MemoryKeys, Pepper},
//!     catalog::{Catalog, ModelEntry, Preset, TargetEntry},
//!     meter::{MemoryLedger, MeterLayer},
//!     normalize::NormalizeLayer,
//!     retry::{RetryLayer, RetryPolicy},
//!     route::RouteLayer,
//!     translate::TranslateLayer,
//!     transport::Transport,
//! };
//! use tower::ServiceBuilder;
//!
//! let catalog = Catalog::builder()
//!     .provider(Preset::DEMO.account("demo").build()?)
//!     .model(ModelEntry::new("demo/echo").target(TargetEntry::new("demo", "echo")))
//!     .build()?;
//! let keys = CachedKeys::new(MemoryKeys::new(), Pepper::new("a-long-and-secret-pepper")?);
//!
//! let gateway = ServiceBuilder::new()
//!     .layer(AuthLayer::new(keys))                  // who is calling
//!     .layer(NormalizeLayer::new())                 // what they ask
//!     .layer(MeterLayer::new(MemoryLedger::default())) // what it costs
//!     .layer(RouteLayer::new(catalog))              // who could answer
//!     .layer(RetryLayer::new(RetryPolicy::new()))   // until one does
//!     .layer(TranslateLayer::new())                 // in that provider's words
//!     .service(Transport::local());                 // on the wire; `Transport::new(HttpClient::new())` for HTTP
//! # let _ = gateway;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`gateway::Gateway::builder`] assembles the same with good defaults, adds the reads (`/v1/models`, `/v1/health`,
//! `/v1/generations`) and gives a driver for the work beside the calls.
//!
//! | to | see |
//! | --- | --- |
//! | mount a gateway | [`gateway`] |
//! | put a layer of your own between ours | [`stage`]: what flows between them |
//! | bring a key store, a ledger, a provider | [`auth::KeyStore`], [`meter::Ledger`], [`transport::Transport::provider`] |
//! | translate without a gateway, or fuzz a translation | [`dialect`] |
//!
//! # Features
//!
//! | feature | adds | default |
//! | --- | --- | --- |
//! | `client` | the HTTP client for providers, with rustls | yes |
//! | `sqlite` | keys and records in a SQLite file | |
//! | `server` | an accept loop with the limits a gateway needs | |
//! | `config` | `gateway.toml` and the commands of the example binary; needs the three above | |
//! | `full` | all of them | |
//!
//! Features only add. Without any there remain the pure translation, the layers, the journal and the demo provider.
#![forbid(unsafe_code)]

pub mod api;
pub mod auth;
pub mod catalog;
#[cfg(feature = "config")]
pub mod command;
#[cfg(feature = "config")]
pub mod config;
pub mod dialect;
pub mod fault;
pub mod gateway;
pub mod meter;
pub mod normalize;
pub mod retry;
pub mod route;
#[cfg(feature = "server")]
pub mod server;
#[cfg(any(feature = "client", feature = "server"))]
mod socket;
pub mod stage;
pub mod store;
pub mod translate;
pub mod transport;
