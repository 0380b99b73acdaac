//! `gateway.toml`: what a gateway is made of, written down.
//!
//! ```
//! use portcullis::config::Config;
//!
//! let text = r#"
//!     [providers.local]
//!     kind = "openai-compatible"
//!     base_url = "http://127.0.0.1:11434"
//!
//!     [[models]]
//!     id = "meta/llama3.1:8b"
//!     targets = [{ provider = "local", model = "llama3.1:8b" }]
//! "#;
//! let config = Config::parse("gateway.toml", text, &|_| None)?;
//! assert!(config.catalog.resolve("llama3.1:8b").is_some());
//! # Ok::<(), portcullis::config::ConfigError>(())
//! ```
//!
//! | section | keys |
//! | --- | --- |
//! | the file itself | `listen`, `database` (a SQLite file, default `gateway.db`), `state` (a folder, default beside the database), `workers` (threads that serve, default one a core) |
//! | `[providers.NAME]` | `kind` (default: the name, if it is one), `api_key`, `base_url`, `dialect`, `http` (`"1"`, `"2"`), `proxy`, `ca_file`, `allow_http`, `timeouts` |
//! | `[[models]]` | `id`, `aliases`, `strategy`, `owned_by`, `timeouts`, `targets` |
//! | a target | `provider`, `model`, `weight`, `dialect`, `timeouts`, `price` |
//! | a price | USD per million tokens: `input`, `cache_read`, `cache_write_5m`, `cache_write_1h`, `output`, `input_audio`, `output_audio`; per piece: `images`, `seconds`, `requests`; or `tiers`, a list of such with `up_to` prompt tokens |
//! | `[auth]` | `mode` (`"keys"`, `"open"`), `pepper`, `keys`: a list of `name`, `key`, `workspace`, `models`, `providers`, `operations` |
//! | `[retry]` | `attempts`, `hold`, `timeouts` |
//! | `timeouts` | `connect`, `first_byte`, `idle`, `total` |
//! | `[answers]` | `annotate`, `fidelity` (`"report"`, `"strict"`) |
//! | `[limits]` | `body`, `connections`, `head`, `body_idle`, `body_total`, `write_stall`, `drain` |
//!
//! Every string may hold `${NAME}`, an environment variable that must be set (`$${` stands for `${`). A provider, a model,
//! a target or `[retry]` may have `timeouts`; the innermost holds. A file without `[[models]]` serves each provider's
//! wildcard (`openai/*`) and its preset's patterns (`gpt-*`). Relative paths start at the working folder.
//!
//! Everything that is wrong is told at once, by file, line, column and key ([`ConfigError`]), and nothing that is secret.

mod document;
mod model;
mod pepper;
mod problem;
mod provider;
mod settings;
mod value;

use std::{
    fs,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use self::document::{Document, Environment, Section};
pub use self::{
    pepper::pepper,
    problem::{ConfigError, Problem},
    settings::{AnswersConfig, AuthConfig, AuthMode, FixedKey, LimitsConfig, RetryConfig},
};
use crate::catalog::{Catalog, ModelEntry, Preset, TargetEntry};

/// A gateway's configuration, checked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen, if it says so.
    pub listen: Option<SocketAddr>,
    /// The SQLite file of keys and records. Default `gateway.db`.
    pub database: PathBuf,
    /// The folder of journal and pepper, for one process at a time. Default: beside the SQLite file, `gateway.state`.
    pub state: PathBuf,
    /// Threads that serve connections, from 1 to 1,024. Default: as many as the process may use cores.
    pub workers: Option<NonZeroUsize>,
    /// Providers and models.
    pub catalog: Arc<Catalog>,
    /// Who may call.
    pub auth: AuthConfig,
    /// How hard a call tries.
    pub retry: RetryConfig,
    /// What answers carry.
    pub answers: AnswersConfig,
    /// What a caller may take.
    pub limits: LimitsConfig,
    /// Whether a secret is written out in a file that everybody on this machine can read.
    pub exposes_secrets: bool,
}

/// The demo's provider and model.
const DEMO: &str = "demo";
const ECHO: &str = "demo/echo";

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, or says something wrong.
    pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let read = || {
            let modified = fs::metadata(path)?.modified()?;
            Ok((fs::read_to_string(path)?, modified))
        };
        let (text, modified) = read().map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let created = modified.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let mut config = Self::read(&path.display().to_string(), &text, environment, created)?;
        config.exposes_secrets &= others_read(path);
        Ok(config)
    }

    /// Reads the text of a file called `file`.
    ///
    /// # Errors
    /// It says something wrong.
    pub fn parse(file: &str, text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::read(file, text, environment, 0)
    }

    /// What a gateway without a file serves: the providers whose usual environment variables are set (`OPENAI_API_KEY`,
    /// `ANTHROPIC_API_KEY`; with `OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL`), each with its wildcard and patterns, and always
    /// `demo/echo`.
    ///
    /// # Errors
    /// A variable is set to something wrong.
    pub fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let echo = ModelEntry::new(ECHO).target(TargetEntry::new(DEMO, "echo"));
        let catalog = Catalog::builder().model(echo);
        let catalog = match Preset::DEMO.account(DEMO).build() {
            Ok(demo) => catalog.provider(demo),
            Err(_) => catalog,
        };
        let catalog = provider::from_environment(environment, catalog, &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::Invalid(problems));
        }
        let catalog = catalog.build().map_err(|error| {
            let (file, key, message) = (String::new(), String::new(), error.to_string());
            ConfigError::Invalid(vec![Problem { file, line: 0, column: 0, key, message }])
        })?;
        Ok(Self::new(catalog))
    }

    fn new(catalog: Catalog) -> Self {
        Self {
            listen: None,
            database: "gateway.db".into(),
            state: "gateway.state".into(),
            workers: None,
            catalog: Arc::new(catalog),
            auth: AuthConfig::default(),
            retry: RetryConfig::default(),
            answers: AnswersConfig::default(),
            limits: LimitsConfig::default(),
            exposes_secrets: false,
        }
    }

    fn read(file: &str, text: &str, environment: Environment<'_>, created: u64) -> Result<Self, ConfigError> {
        let document = Document::new(file, text, environment);
        let read = document.parse().and_then(|tree| Self::from_root(document.section(&tree), created));
        let exposes_secrets = document.holds_secrets();
        match (document.problems(), read) {
            (problems, Some(config)) if problems.is_empty() => Ok(Self { exposes_secrets, ..config }),
            (problems, _) => Err(ConfigError::Invalid(problems)),
        }
    }

    /// Reads the document. `None`, or a complaint, if something is wrong.
    fn from_root(mut root: Section<'_, '_>, created: u64) -> Option<Self> {
        let mut config = Self::new(Catalog::default());
        config.listen =
            root.take("listen").and_then(|field| field.parse("an address and port such as \"127.0.0.1:8787\"", |it| it.parse().ok()));
        config.paths(&mut root);
        let workers = root.take("workers").and_then(|field| field.integer(1, 1024));
        config.workers = workers.and_then(|count| usize::try_from(count).ok()).and_then(NonZeroUsize::new);
        config.auth = AuthConfig::read(&mut root, config.listen);
        config.retry = RetryConfig::read(&mut root);
        config.answers = AnswersConfig::read(&mut root);
        config.limits = LimitsConfig::read(&mut root);
        let default = config.retry.timeouts;
        let (catalog, providers) = provider::read(&mut root, default, Catalog::builder());
        let (mut catalog, places) = model::read(&mut root, &providers, default, created, catalog);
        if places.is_none() {
            for provider in &providers {
                catalog = catalog.model(provider::wildcard(provider.name, provider.preset).created(created));
            }
        }
        if !root.finish() {
            return None;
        }
        match catalog.build() {
            Ok(catalog) => Some(Self { catalog: Arc::new(catalog), ..config }),
            Err(error) => {
                places.iter().for_each(|places| places.fail(&error));
                None
            }
        }
    }

    fn paths(&mut self, root: &mut Section<'_, '_>) {
        if let Some(field) = root.take("database")
            && let Some(database) = field.text()
        {
            if database.starts_with("postgres://") || database.starts_with("postgresql://") {
                field.fail("PostgreSQL is not built into this gateway; name a SQLite file");
            } else if database.trim().is_empty() {
                field.fail("this is no file");
            }
            self.database = database.into();
            self.state = self.database.with_extension("state");
        }
        if let Some(state) = root.take("state").and_then(|field| field.text()) {
            self.state = state.into();
        }
        if let Some(field) = root.take("redis") {
            field.fail("Redis is not built into this gateway");
        }
    }
}

/// Whether everybody on this machine can read a file.
#[cfg(unix)]
fn others_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn others_read(_: &Path) -> bool {
    false
}
