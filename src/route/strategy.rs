//! How targets are ordered.

use std::sync::Arc;

use crate::{
    catalog::{self, Model, Target},
    stage::CallFacts,
};

/// Orders the targets that could answer a call. Implemented for closures.
pub trait Strategy: Send + Sync + 'static {
    /// Puts `targets`, all of `model` and in the configured order, into the order to try.
    fn order(&self, call: &CallFacts, model: &Model, targets: &mut Vec<Arc<Target>>);
}

impl<F> Strategy for F
where
    F: Fn(&CallFacts, &Model, &mut Vec<Arc<Target>>) + Send + Sync + 'static,
{
    fn order(&self, call: &CallFacts, model: &Model, targets: &mut Vec<Arc<Target>>) {
        self(call, model, targets);
    }
}

/// The strategy that the catalogue names for the model.
#[derive(Clone, Copy, Debug)]
pub struct Configured;

impl Strategy for Configured {
    fn order(&self, _: &CallFacts, model: &Model, _: &mut Vec<Arc<Target>>) {
        match model.strategy {
            catalog::Strategy::Priority => {}
        }
    }
}
