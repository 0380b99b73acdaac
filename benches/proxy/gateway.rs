//! The gateway, with everything on.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use portcullis::{
    auth::{CachedKeys, KeyAdmin, NewKey, Pepper},
    catalog::{ApiKey, Catalog, Meter, ModelEntry, Preset, Price, Rate, TargetEntry, Tier},
    gateway::Gateway,
    server::Server,
    store::{Journal, Shipper, Sqlite},
    transport::{HttpClient, Transport},
};
use tokio::net::TcpListener;

/// A model behind OpenAI's words.
pub const CHAT_MODEL: &str = "gpt-4o-mini";
/// A model behind Anthropic's.
pub const MESSAGES_MODEL: &str = "claude-sonnet-4-20250514";
/// The caller's key.
pub const KEY: &str = "aistats_v1_k_kidAAAA00001_secretBBBB1111secretBBBB1111secretBBBB11";

pub async fn run(listener: TcpListener, upstream: SocketAddr) {
    let folder = Folder(std::env::temp_dir().join(format!("portcullis-bench-{}", std::process::id())));
    fs::create_dir_all(&folder.0).expect("a folder");
    let database = Sqlite::open(folder.0.join("gateway.db")).expect("a database");
    let pepper = Pepper::new("pepper-for-benches").expect("long enough");
    KeyAdmin::new(database.clone(), pepper.clone()).insert(NewKey::named("bench"), KEY, "bench").await.expect("a key");
    let journal = Journal::open(folder.0.join("state")).expect("a journal");
    let shipper = Shipper::new(journal.clone(), database.clone());
    let (gateway, driver) = Gateway::builder(catalog(upstream))
        .keys(CachedKeys::new(database, pepper))
        .ledger(journal)
        .records(shipper.clone())
        .every(Duration::from_millis(200), shipper)
        .build(Transport::new(HttpClient::new()));
    tokio::spawn(driver.run(std::future::pending()));
    Server::new(listener).serve(gateway, std::future::pending()).await;
}

/// A model at each of two providers, which are one and the same here.
fn catalog(upstream: SocketAddr) -> Catalog {
    let account = |preset: &'static Preset, name: &str, base: String| {
        preset.account(name).base_url(base).api_key(ApiKey::new("sk-bench")).build().expect("an account")
    };
    let price = |input, output| {
        let rate = |text, meter| Rate::parse(text, meter).expect("a price");
        Arc::new(Price::flat(
            Tier::default().rate(Meter::Input, rate(input, Meter::Input)).rate(Meter::Output, rate(output, Meter::Output)),
        ))
    };
    let chat = TargetEntry::new("openai", CHAT_MODEL).price(price("0.15", "0.60"));
    let messages = TargetEntry::new("anthropic", MESSAGES_MODEL).price(price("3.00", "15.00"));
    Catalog::builder()
        .provider(account(&Preset::OPENAI, "openai", format!("http://{upstream}/v1")))
        .provider(account(&Preset::ANTHROPIC, "anthropic", format!("http://{upstream}")))
        .model(ModelEntry::new(CHAT_MODEL).target(chat))
        .model(ModelEntry::new(MESSAGES_MODEL).target(messages))
        .build()
        .expect("a catalogue")
}

/// Goes when the server does.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
