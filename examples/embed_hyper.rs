//! A gateway in front of a plain hyper service.
//!
//! `cargo run --example embed_hyper`: below `/llm` the gateway answers, elsewhere the service that was there before.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use portcullis::{
    catalog::{Catalog, ModelEntry, Preset, TargetEntry},
    gateway::{Gateway, GatewayLayer},
    transport::{HttpClient, Transport},
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

async fn own(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(format!("{} is not the gateway's", request.uri().path()).into())))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let catalog = Catalog::builder()
        .provider(Preset::DEMO.account("demo").build()?)
        .model(ModelEntry::new("demo/echo").target(TargetEntry::new("demo", "echo")))
        .build()?;
    let (gateway, driver) = Gateway::builder(catalog).open().unmetered().build(Transport::new(HttpClient::new()));
    tokio::spawn(driver.run(std::future::pending()));

    let service = ServiceBuilder::new().layer(GatewayLayer::new(gateway).prefix("/llm")).service(service_fn(own));

    let listener = TcpListener::bind(("127.0.0.1", port())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // Without a timer and this limit, a client that never finishes its head holds a connection for ever.
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(socket), service);
            if let Err(error) = connection.await {
                eprintln!("connection: {error}");
            }
        });
    }
}

fn port() -> u16 {
    std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000)
}
