//! Reads a request body, within limits.

use std::{future::poll_fn, pin::pin, task::Poll};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body;
use tokio::time::{Instant, sleep_until};
use tower::BoxError;

use super::{buffer, layer::Config};
use crate::{
    fault::{Fault, FaultKind},
    stage::deadline,
};

/// Reads `body` whole.
///
/// # Errors
/// Too large, too slow, or broken off.
pub(super) async fn whole<B>(body: B, headers: &HeaderMap, config: &Config) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let too_large = || Fault::new(FaultKind::BodyTooLarge { limit: config.max_body });
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let length = body.size_hint().exact().or(declared);
    if length.is_some_and(|length| length > config.max_body) {
        return Err(too_large());
    }
    let mut body = pin!(body);
    let total = deadline(config.body_total);
    let mut next = async || {
        // A body that is here already needs no timer.
        if let Some(frame) = poll_fn(|cx| Poll::Ready(ready(body.as_mut().poll_frame(cx)))).await {
            return Ok(frame);
        }
        let idle = deadline(config.body_idle);
        tokio::select! {
            biased;
            frame = poll_fn(|cx| body.as_mut().poll_frame(cx)) => Ok(frame),
            () = sleep_until(idle.min(total)) => Err(Fault::new(FaultKind::BodyTimeout)),
        }
    };
    let mut first = Bytes::new();
    let mut block: Option<Vec<u8>> = None;
    loop {
        let Some(frame) = next().await? else { break };
        let Ok(data) = frame.map_err(|error| broken(error.into()))?.into_data() else { continue };
        // Frames of nothing that are always ready would never see the timer.
        if data.is_empty() && Instant::now() >= total {
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
            Some(block) => block.extend_from_slice(&data),
        }
    }
    let bytes = block.map_or(first, |block| config.buffers.freeze(block));
    if declared.is_some_and(|declared| declared != bytes.len() as u64) {
        return Err(FaultKind::BodyTruncated.into());
    }
    Ok(bytes)
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
