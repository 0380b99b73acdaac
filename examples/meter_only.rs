//! Metering in front of somebody's own reverse proxy.
//!
//! Nothing is routed, retried or translated: requests go to one upstream as they came, answers come back as they are. Each
//! call leaves a record with what it used and what that costs.
//!
//! `UPSTREAM=http://127.0.0.1:8787 cargo run --example meter_only`: any server that speaks OpenAI's or Anthropic's words.

use std::time::Duration;

use http::{Request, Uri, uri::PathAndQuery};
use hyper::server::conn::http1;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use portcullis::{
    meter::{MeterLayer, Record},
    normalize::NormalizeLayer,
    stage::Call,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let upstream: Uri = std::env::var("UPSTREAM").unwrap_or("http://127.0.0.1:8787".to_owned()).parse()?;
    let client: Client<HttpConnector, Call> = Client::builder(TokioExecutor::new()).build_http();

    // The proxy that was there before: it takes the call as the body it is.
    let proxy = service_fn(move |mut request: Request<Call>| {
        let (client, upstream) = (client.clone(), upstream.clone());
        async move {
            let mut parts = upstream.into_parts();
            let base = parts.path_and_query.map_or(String::new(), |base| base.path().trim_end_matches('/').to_owned());
            let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
            parts.path_and_query = Some(format!("{base}{path}").parse().expect("a path behind a path"));
            *request.uri_mut() = Uri::from_parts(parts).expect("an absolute URL and a path");
            request.headers_mut().remove("host");
            client.request(request).await
        }
    });
    let service = ServiceBuilder::new()
        .layer(NormalizeLayer::new().without_members())
        .layer(
            MeterLayer::new(|record: Record| {
                println!("{} {} {:?} {}", record.request_id, record.outcome.name(), record.usage.source, record.usage.counts.output);
            })
            // Nobody below reports what an answer used; a price list would stand here.
            .observe(|_, _| None),
        )
        .service(proxy);

    let listener = TcpListener::bind(("127.0.0.1", port())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
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
