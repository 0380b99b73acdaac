//! A body that is all there.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Gives one frame after the other, and is always ready.
#[derive(Clone)]
pub struct Frames {
    frames: Arc<[Bytes]>,
    next: usize,
}

impl Frames {
    pub fn new(frames: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        Self { frames: frames.into_iter().map(Into::into).collect(), next: 0 }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.frames.get(self.next).cloned();
        self.next += 1;
        Poll::Ready(frame.map(|frame| Ok(Frame::data(frame))))
    }

    /// Known for a whole answer; a stream's is nobody's to know.
    fn size_hint(&self) -> SizeHint {
        match &*self.frames {
            [whole] => SizeHint::with_exact(if self.next == 0 { whole.len() as u64 } else { 0 }),
            _ => SizeHint::default(),
        }
    }
}
