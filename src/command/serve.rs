//! `serve`: the gateway on a port, from the first start to the last answer.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use tokio::{net::TcpListener, sync::watch, time::timeout};

use super::{Failure, arguments::Arguments, assemble, failed_to, house, keys, signals::Signals, workers::Workers};
use crate::{
    auth::KeyAdmin,
    config::{AuthMode, Config},
    gateway::Drained,
    server::Server,
};

/// The port if nobody names another.
const PORT: u16 = 8787;
/// How much longer connections have than the answers in them, to send what they hold.
const FLUSH: Duration = Duration::from_secs(1);
/// How long running calls may take to be ended, and the books to be closed, when a second signal came. The journal is on
/// disk whatever happens.
const HURRY: Duration = Duration::from_secs(2);

pub(super) async fn serve(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (config, _) = house::configuration(arguments)?;
    let address = address(arguments, &config)?;
    let mut signals = Signals::new().map_err(failed_to("wait for signals"))?;
    let listener = TcpListener::bind(address).await.map_err(failed_to(format!("listen on {address}")))?;
    let address = listener.local_addr().map_err(Failure::of)?;

    let (pepper, database) = (house::pepper(&config)?, house::database(&config)?);
    let (gateway, driver) = assemble::gateway(&config, database.clone(), pepper.clone()).await?;
    let workers = Workers::start(config.workers).map_err(failed_to("start a thread to serve"))?;
    // Last of what may fail: a key that nobody was shown would be the first key all the same.
    let first = match config.auth.mode {
        AuthMode::Keys if config.auth.keys.is_empty() => keys::first(&KeyAdmin::new(database, pepper)).await?,
        AuthMode::Keys | AuthMode::Open => None,
    };
    warn(&config, address);
    welcome(&config, address, first.as_deref());

    let (stop, stopping) = watch::channel(());
    let stopped = |mut stopping: watch::Receiver<()>| async move { drop(stopping.changed().await) };
    let limits = &config.limits;
    let server = Server::new(listener)
        .runtimes(workers.serving())
        .connections(u32::try_from(limits.connections).unwrap_or(u32::MAX))
        .head_timeout(limits.head)
        .write_stall(limits.write_stall)
        .drain(limits.drain + FLUSH);
    let driving = workers.driver().spawn(driver.run(stopped(stopping.clone())));
    let mut driving = std::pin::pin!(driving);
    let serving = tokio::spawn(server.serve(gateway.clone(), stopped(stopping)));

    signals.next().await;
    tracing::info!(deadline_s = limits.drain.as_secs(), "draining");
    let _ = stop.send(());
    let mut serving = std::pin::pin!(serving);
    let both = async {
        let ended = serving.as_mut().await.map_err(failed_to("serve"))?;
        let drained = driving.as_mut().await.map_err(failed_to("close the books"))?;
        Ok(if ended.dropped == 0 && drained == Drained::Clean { ExitCode::SUCCESS } else { ExitCode::from(3) })
    };
    tokio::select! {
        done = both => return done,
        () = signals.next() => {}
    }
    // As at the deadline, but now: what runs is ended as the gateway's doing, and whoever still takes it is told. Then the
    // driver finds nothing running and closes the books; connections that do not take it go as they are. Not on this thread:
    // it writes, and who asks twice wants an end though the disk gives no answer.
    let ending = workers.driver().spawn(async move { gateway.drain(Duration::ZERO).await });
    let _ = timeout(HURRY, ending).await;
    // Connections may have ended before, and only the driver not.
    if !serving.is_finished() {
        let _ = timeout(FLUSH, serving.as_mut()).await;
        serving.abort();
    }
    let _ = timeout(HURRY, driving).await;
    Ok(ExitCode::from(4))
}

/// Where to listen.
fn address(arguments: &Arguments, config: &Config) -> Result<SocketAddr, Failure> {
    let port = || match std::env::var("PORT") {
        Ok(port) => port.parse().map_err(|_| Failure { error: "PORT names no port".into(), code: 2 }),
        Err(_) => Ok(PORT),
    };
    let address = match arguments.listen.or(config.listen) {
        Some(address) => address,
        None => (Ipv4Addr::LOCALHOST, port()?).into(),
    };
    if config.auth.mode == AuthMode::Open && !address.ip().is_loopback() {
        return Err(Failure { error: "auth.mode \"open\" is for loopback addresses only".into(), code: 2 });
    }
    Ok(address)
}

/// Says what is allowed and yet unwise.
fn warn(config: &Config, address: SocketAddr) {
    if config.exposes_secrets {
        tracing::warn!("the configuration holds secrets, and everybody on this machine can read it");
    }
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "keys travel in the clear to this address: have TLS in front of it");
    }
}

/// Says where the gateway is; the first time, also the key, and how to use it.
fn welcome(config: &Config, address: SocketAddr, key: Option<&str>) {
    println!("listening on http://{address}");
    if config.catalog.models().len() + config.catalog.wildcards().len() == 0 {
        println!("no models are configured: without a file there would be demo/echo and what the environment has keys for");
    }
    let Some(key) = key else { return };
    println!("\nYour first key, shown this once:\n{key}");
    // An address that stands for all is none to call.
    let host = if address.ip().is_unspecified() { (Ipv4Addr::LOCALHOST, address.port()).into() } else { address };
    let echo = config.catalog.resolve("demo/echo").map(|found| found.model);
    println!("\nTry it:");
    match echo.as_ref().or_else(|| config.catalog.models().next()) {
        Some(model) => println!(
            "curl http://{host}/v1/chat/completions -H 'authorization: Bearer {key}' -H 'content-type: application/json' \
             -d '{{\"model\":\"{}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello!\"}}]}}'",
            model.id
        ),
        // Nothing to call by name, but a line that works.
        None => println!("curl http://{host}/v1/models -H 'authorization: Bearer {key}'"),
    }
}
