//! The catalogue that is in force.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Catalog;

/// The catalogue in force: shared by all who hold a clone, and replaced whole while they serve.
///
/// A call asks once and keeps what it got, so a swap changes the calls that come, not those that run.
///
/// ```
/// use portcullis::catalog::{Catalog, Catalogs};
///
/// let catalogs = Catalogs::from(Catalog::builder().build()?);
/// let before = catalogs.current();
/// catalogs.swap(Catalog::builder().build()?);
/// assert!(!std::sync::Arc::ptr_eq(&before, &catalogs.current()));
/// # Ok::<(), portcullis::catalog::CatalogError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Catalogs(Arc<ArcSwap<Catalog>>);

impl Catalogs {
    /// Puts `catalog` in force.
    pub fn new(catalog: impl Into<Arc<Catalog>>) -> Self {
        Self(Arc::new(ArcSwap::new(catalog.into())))
    }

    /// The catalogue in force now.
    pub fn current(&self) -> Arc<Catalog> {
        self.0.load_full()
    }

    /// Puts another catalogue in force, and gives the one it replaces.
    pub fn swap(&self, catalog: impl Into<Arc<Catalog>>) -> Arc<Catalog> {
        self.0.swap(catalog.into())
    }
}

impl From<Catalog> for Catalogs {
    fn from(catalog: Catalog) -> Self {
        Self::new(catalog)
    }
}

impl From<Arc<Catalog>> for Catalogs {
    fn from(catalog: Arc<Catalog>) -> Self {
        Self::new(catalog)
    }
}
