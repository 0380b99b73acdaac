//! What the fuzz targets share: the laws that the project's own tests run.

#[path = "../../tests/laws/mod.rs"]
pub mod laws;
