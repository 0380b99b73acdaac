//! From a configuration to a gateway.

use std::time::Duration;

use super::{Failure, failed_to};
use crate::{
    auth::{CachedKeys, KeyAdmin, MemoryKeys, Pepper},
    config::{AuthMode, Config},
    gateway::{Driver, Gateway},
    normalize::NormalizeLayer,
    retry::RetryPolicy,
    store::{Journal, Shipper, Sqlite},
    translate::TranslateLayer,
    transport::{HttpClient, Transport},
};

/// How often connections that rest too long are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// How often records go from the journal to the database.
const SHIP: Duration = Duration::from_millis(500);

/// The gateway that `config` describes, with keys and records in `database`.
pub(super) async fn gateway(config: &Config, database: Sqlite, pepper: Pepper) -> Result<(Gateway, Driver), Failure> {
    let journal = Journal::open(&config.state).map_err(failed_to(format!("open the journal in {}", config.state.display())))?;
    let shipper = Shipper::new(journal.clone(), database.clone());
    let (limits, retry, answers) = (&config.limits, &config.retry, &config.answers);
    let http = HttpClient::new();
    let resting = http.clone();
    let builder = Gateway::builder(config.catalog.clone())
        .normalize(NormalizeLayer::new().max_body(limits.body).body_timeouts(limits.body_idle, limits.body_total))
        .retry(RetryPolicy::new().attempts(retry.attempts).total(retry.timeouts.total))
        .translate(
            TranslateLayer::new().annotate(answers.annotate).fidelity(answers.fidelity).hold(retry.hold).write_stall(limits.write_stall),
        )
        .drain(limits.drain)
        .every(SWEEP_EVERY, move || {
            resting.sweep();
            std::future::ready(())
        });
    let builder = match config.auth.mode {
        // The configured keys first: they work while the database does not.
        AuthMode::Keys => builder.keys(CachedKeys::new(fixed(config, pepper.clone()).await?, pepper).also(database)),
        AuthMode::Open => builder.open(),
    };
    Ok(builder.ledger(journal).records(shipper.clone()).every(SHIP, shipper).build(Transport::new(http)))
}

/// The keys of the configuration.
async fn fixed(config: &Config, pepper: Pepper) -> Result<MemoryKeys, Failure> {
    let keys = MemoryKeys::new();
    let admin = KeyAdmin::new(keys.clone(), pepper);
    for fixed in &config.auth.keys {
        let made = admin.insert(fixed.key.clone(), fixed.text.expose(), "configuration").await;
        made.map_err(failed_to(format!("use the configured key `{}`", fixed.key.name.escape_debug())))?;
    }
    Ok(keys)
}
