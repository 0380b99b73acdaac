//! A gateway beside an axum application's own routes.
//!
//! `cargo run --example embed_axum`, then ask `http://127.0.0.1:3000/llm/v1/chat/completions`. `PORT` names another port.

use axum::{Router, routing::get};
use portcullis::{
    catalog::{Catalog, ModelEntry, Preset, TargetEntry},
    gateway::Gateway,
    meter::MemoryLedger,
    transport::{HttpClient, Transport},
};
use tokio::{net::TcpListener, sync::oneshot};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Who can answer. A real service adds `Preset::OPENAI.account("openai").api_key(..)` and its models.
    let catalog = Catalog::builder()
        .provider(Preset::DEMO.account("demo").build()?)
        .model(ModelEntry::new("demo/echo").target(TargetEntry::new("demo", "echo")))
        .build()?;
    // Where bills go: in memory here. The application has its own sessions, so the gateway asks for no keys.
    let ledger = MemoryLedger::default();
    let (gateway, driver) = Gateway::builder(catalog).open().ledger(ledger.clone()).build(Transport::new(HttpClient::new()));

    let app = Router::new()
        .route("/", get(|| async { "this route is the application's own" }))
        .route("/spent", get(move || async move { format!("{} calls so far", ledger.records().len()) }))
        .nest_service("/llm", gateway);

    let (stop, stopped) = oneshot::channel::<()>();
    let driver = tokio::spawn(driver.run(async {
        let _ = stopped.await;
    }));
    let listener = TcpListener::bind(("127.0.0.1", port())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(interrupted()).await?;
    drop(stop);
    driver.await?;
    Ok(())
}

async fn interrupted() {
    let _ = tokio::signal::ctrl_c().await;
}

fn port() -> u16 {
    std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000)
}
