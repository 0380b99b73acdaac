//! One HTTP/2 connection for all calls to an origin.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::{error, origin::Origin};
use crate::{
    fault::{Failure, Fault, FaultKind, Phase, Timeout},
    stage::Outgoing,
};

type Sender = http2::SendRequest<Outgoing>;

/// The connection, made when first needed and again after it closed. A task of its own drives it: it serves many calls.
#[derive(Default)]
pub(super) struct Multiplexed {
    open: Mutex<Option<Sender>>,
    /// Held while connecting: those who come meanwhile share the outcome.
    connecting: tokio::sync::Mutex<()>,
}

/// The largest list of an answer's headers, in bytes.
const MAX_HEAD: u32 = 32 << 10;
/// How often a connection with running calls is asked whether it lives, and how long it may take to say so.
const PING: Duration = Duration::from_secs(20);

impl Multiplexed {
    pub(super) fn is_open(&self) -> bool {
        self.sender().is_some()
    }

    fn sender(&self) -> Option<Sender> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(Sender::is_closed) {
            *open = None;
        }
        open.clone()
    }

    async fn connect(&self, origin: &Origin, limit: Duration) -> Result<Sender, Fault> {
        let _alone = self.connecting.lock().await;
        if let Some(sender) = self.sender() {
            return Ok(sender);
        }
        let stream = origin.dial(limit).await?;
        let failed = || Fault::new(FaultKind::Upstream(Failure::Connect));
        if stream.negotiated_http2() == Some(false) {
            return Err(failed().with_source("the provider does not speak HTTP/2"));
        }
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .max_header_list_size(MAX_HEAD)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed().with_source(error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "HTTP/2 connection to a provider ended");
            }
        });
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.clone());
        Ok(sender)
    }
}

/// Sends a request on the origin's connection and waits for the head of the answer. `limit` is the time to connect.
pub(super) async fn exchange(origin: &Arc<Origin>, mut request: Request<Outgoing>, limit: Duration) -> Result<Response<Incoming>, Fault> {
    let pool = &origin.multiplexed;
    let mut may_repeat = true;
    loop {
        let (mut sender, reused) = match pool.sender() {
            Some(sender) => (sender, true),
            None => match tokio::time::timeout(limit, pool.connect(origin, limit)).await {
                Ok(connected) => (connected?, false),
                Err(_) => return Err(Fault::new(FaultKind::Timeout(Timeout::Connect))),
            },
        };
        match sender.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(mut broken) => match broken.take_message() {
                // It closed before it took the request: another connection may take it.
                Some(unsent) if reused && may_repeat => {
                    (request, may_repeat) = (unsent, false);
                }
                unsent => {
                    let phase = if unsent.is_some() { Phase::BeforeSend } else { Phase::BeforeHead };
                    return Err(error::of_exchange(broken.into_error(), phase));
                }
            },
        }
    }
}
