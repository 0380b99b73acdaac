//! Why a catalogue cannot be made.

use std::{error::Error, fmt, sync::Arc};

use super::{ModelId, ProviderId};

/// Why a catalogue cannot be made, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogError {
    /// Two providers have one name.
    DuplicateProvider {
        /// The name.
        provider: ProviderId,
    },
    /// A model is wrong.
    Model {
        /// Its place among the models, from 0.
        position: usize,
        /// Its id.
        id: ModelId,
        /// What is wrong with it.
        problem: ModelProblem,
    },
}

/// What is wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelProblem {
    /// Another model has this alias as its id or alias.
    AliasTaken {
        /// The alias's place among the aliases, from 0.
        alias: usize,
        /// The alias.
        name: ModelId,
    },
    /// The dialect that a target fixes is not among those of its provider.
    Dialect {
        /// The target's place among the targets, from 0.
        target: usize,
        /// The dialect.
        dialect: &'static str,
    },
    /// Another model has this id.
    DuplicateId,
    /// An id, an alias or a target's model is empty, or holds characters other than visible ASCII.
    Name {
        /// The name.
        name: Arc<str>,
    },
    /// It has no targets.
    NoTargets,
    /// A target names a provider that is not there.
    UnknownProvider {
        /// The target's place among the targets, from 0.
        target: usize,
        /// The provider it names.
        provider: ProviderId,
    },
    /// A `*` stands elsewhere than at the end, or in an alias or target of a model whose id has none.
    Wildcard {
        /// The name that holds it.
        name: Arc<str>,
    },
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateProvider { provider } => write!(f, "provider `{provider}` is there twice"),
            Self::Model { id, problem, .. } => write!(f, "model `{}`: {problem}", id.as_str().escape_debug()),
        }
    }
}

impl fmt::Display for ModelProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AliasTaken { name, .. } => write!(f, "alias `{name}` is already the name of another model"),
            Self::Dialect { dialect, .. } => write!(f, "its provider does not speak `{dialect}`"),
            Self::DuplicateId => f.write_str("another model has this id"),
            Self::Name { name } => write!(f, "`{}` is not a name: names are visible ASCII characters", name.escape_debug()),
            Self::NoTargets => f.write_str("it has no targets"),
            Self::UnknownProvider { provider, .. } => write!(f, "there is no provider `{provider}`"),
            Self::Wildcard { name } => {
                write!(f, "`*` in `{name}`: it stands at the end of a model's id, and then in its aliases and targets")
            }
        }
    }
}

impl Error for CatalogError {}
