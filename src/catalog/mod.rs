//! What can be asked, of whom, and what it costs.
//!
//! A [`Catalog`] is an immutable snapshot: providers, models with their targets, aliases, wildcards, prices. It is
//! swapped whole, so a call sees one catalogue from beginning to end.

mod base_url;
mod builder;
mod entry;
mod error;
mod handle;
mod id;
mod preset;
mod price;
mod provider;
mod resolve;

pub use self::{
    base_url::BaseUrl,
    builder::CatalogBuilder,
    entry::{ModelEntry, TargetEntry},
    error::{CatalogError, ModelProblem},
    handle::Catalogs,
    id::{ModelId, ProviderId},
    preset::{Account, AccountError, BaseUrlError, Credential, Preset, Version, is_loopback},
    price::{Cost, CostLine, Meter, ParsePriceError, Picodollars, Price, Rate, Tier},
    provider::{ApiKey, HttpOrigin, HttpVersion, Model, Provider, Strategy, Target, Timeouts, Wire},
    resolve::{Catalog, Resolution, Suffix},
};
