//! The layers, assembled.
//!
//! [`Gateway::builder`] puts them into their order with good defaults and gives a [`Gateway`], a service for any hyper or
//! axum host, and a [`Driver`], the work that goes on beside the calls: the host spawns [`Driver::run`].
//! [`GatewayLayer`] mounts a gateway in front of a service of the host's.
//!
//! ```
//! use portcullis::{
//!     catalog::{Catalog, ModelEntry, Preset, TargetEntry},
//!     gateway::Gateway,
//!     transport::Transport,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let catalog = Catalog::builder()
//!     .provider(Preset::DEMO.account("demo").build()?)
//!     .model(ModelEntry::new("demo/echo").target(TargetEntry::new("demo", "echo")))
//!     .build()?;
//! let (gateway, driver) = Gateway::builder(catalog).open().unmetered().build(Transport::local());
//! tokio::spawn(driver.run(std::future::pending()));
//! # let _ = gateway;
//! # Ok(())
//! # }
//! ```

mod body;
mod builder;
mod dispatch;
mod driver;
mod layer;
mod service;
mod template;

pub use self::{
    body::{GatewayBody, LayeredBody},
    builder::{GatewayBuilder, NeedsAuth, NeedsLedger, Ready},
    driver::{Chore, Drained, Driver},
    layer::{GatewayLayer, GatewayService, LayeredFuture},
    service::{Gateway, GatewayFuture},
};
