//! What can be asked, of whom, and what it costs.
//!
//! A [`Catalog`] is an immutable snapshot: providers, models with their targets, aliases, wildcards, prices. It is
//! swapped whole, so a call sees one catalogue from beginning to end.

mod id;
mod price;
mod provider;

pub use self::{
    id::{ModelId, ProviderId},
    price::{Cost, CostLine, Meter, ParsePriceError, Picodollars, Price, Rate, Tier},
    provider::{ApiKey, HttpOrigin, HttpVersion, Model, Provider, Strategy, Target, Timeouts, Wire},
};
