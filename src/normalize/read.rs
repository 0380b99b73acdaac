//! Reads a request body, within limits.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::{task::yield_now, time::Instant};
use tower::BoxError;

use super::{buffer, layer::Config};
use crate::{
    fault::{Fault, FaultKind},
    stage::{by, deadline},
};

/// Reads `body` whole, which is `declared` to have so many bytes.
///
/// # Errors
/// Too large, too slow, or broken off.
pub(super) async fn whole<B>(body: B, declared: Option<u64>, config: &Config) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let too_large = || Fault::new(FaultKind::BodyTooLarge { limit: config.max_body });
    let length = body.size_hint().exact().or(declared);
    if length.is_some_and(|length| length > config.max_body) {
        return Err(too_large());
    }
    let mut body = pin!(body);
    let mut patience = Patience { config, end: None };
    let mut first = Bytes::new();
    let mut block: Option<Vec<u8>> = None;
    loop {
        let Some(frame) = patience.next(body.as_mut()).await? else { break };
        let Ok(data) = frame.map_err(|error| broken(error.into()))?.into_data() else { continue };
        // Frames of nothing that are always ready would never see the timer.
        if data.is_empty() && patience.is_over() {
            return Err(FaultKind::BodyTimeout.into());
        }
        let held = block.as_ref().map_or(first.len(), Vec::len);
        if (held + data.len()) as u64 > config.max_body {
            return Err(too_large());
        }
        match &mut block {
            // One frame is the usual case: it is taken as it is.
            None if first.is_empty() && data.len() < buffer::LARGE => first = data,
            None => {
                let expected = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
                let mut fresh = config.buffers.take(expected.max(held + data.len()));
                fresh.extend_from_slice(&first);
                fresh.extend_from_slice(&data);
                block = Some(fresh);
            }
            Some(block) => {
                block.extend_from_slice(&data);
                // Who sends as fast as it is read would else keep the thread until all is there.
                if held / STRIDE != block.len() / STRIDE {
                    yield_now().await;
                }
            }
        }
    }
    let bytes = block.map_or(first, |block| config.buffers.freeze(block));
    if declared.is_some_and(|declared| declared != bytes.len() as u64) {
        return Err(FaultKind::BodyTruncated.into());
    }
    Ok(bytes)
}

/// So many bytes are read before other calls have a turn.
const STRIDE: usize = 512 << 10;

/// How long a body is waited for. One that is here already needs no clock.
struct Patience<'c> {
    config: &'c Config,
    /// When all of it must be here; counted from the first wait.
    end: Option<Instant>,
}

impl Patience<'_> {
    fn end(&mut self) -> Instant {
        *self.end.get_or_insert_with(|| deadline(self.config.body_total))
    }

    fn is_over(&mut self) -> bool {
        Instant::now() >= self.end()
    }

    /// The next frame of `body`, if it is not silent for too long.
    async fn next<B: Body>(&mut self, mut body: Pin<&mut B>) -> Result<Option<Result<Frame<B::Data>, B::Error>>, Fault> {
        if let Some(frame) = poll_fn(|cx| Poll::Ready(ready(body.as_mut().poll_frame(cx)))).await {
            return Ok(frame);
        }
        let end = deadline(self.config.body_idle).min(self.end());
        by(end, poll_fn(|cx| body.as_mut().poll_frame(cx))).await.ok_or_else(|| FaultKind::BodyTimeout.into())
    }
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// An error of the body: the caller's connection broke, unless it is one of ours.
fn broken(error: BoxError) -> Fault {
    let fault = Fault::from(error);
    match fault.kind() {
        FaultKind::Internal | FaultKind::Cancelled => Fault::new(FaultKind::BodyTruncated).with_source(fault),
        _ => fault,
    }
}
