//! What goes to a provider.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;
use tower::BoxError;

use super::{Payload, Upload};
use crate::{
    catalog::{Target, Timeouts},
    dialect::Dialect,
};

/// A provider's request: its body as a few slices, and where it goes.
///
/// The request's URI is absolute and its headers are complete but for the credential, which the client adds from
/// [`target`](Self::target). The slices share the caller's bytes.
// Boxed: a request moves through many hands, and an HTTP/1.1 connection keeps room for 32 of them.
#[derive(Clone, Debug)]
pub struct Outgoing(Box<Parcel>);

#[derive(Clone, Debug)]
struct Parcel {
    target: Arc<Target>,
    dialect: &'static dyn Dialect,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Slices { list: smallvec::IntoIter<[Bytes; 1]>, length: u64 },
    Upload(Upload),
}

/// Shows no prompt.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slices { list, length } => write!(f, "Slices({} of {length} bytes)", list.as_slice().len()),
            Self::Upload(upload) => upload.fmt(f),
        }
    }
}

impl Outgoing {
    /// A request made of slices, in order.
    pub fn from_slices(target: Arc<Target>, dialect: &'static dyn Dialect, slices: impl IntoIterator<Item = Bytes>) -> Self {
        let list: SmallVec<[Bytes; 1]> = slices.into_iter().filter(|slice| !slice.is_empty()).collect();
        let length = list.iter().map(|slice| slice.len() as u64).sum();
        Self(Box::new(Parcel { target, dialect, content: Content::Slices { list: list.into_iter(), length } }))
    }

    /// The caller's payload, untouched.
    pub fn from_payload(target: Arc<Target>, dialect: &'static dyn Dialect, payload: Payload) -> Self {
        match payload {
            Payload::Whole(bytes) => Self::from_slices(target, dialect, [bytes]),
            Payload::Stream(upload) => Self(Box::new(Parcel { target, dialect, content: Content::Upload(upload) })),
        }
    }

    /// Where it goes.
    pub fn target(&self) -> &Arc<Target> {
        &self.0.target
    }

    /// The dialect it is in.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.0.dialect
    }

    /// The deadlines it has.
    pub fn timeouts(&self) -> &Timeouts {
        &self.0.target.timeouts
    }

    /// Whether it can be sent again: it is all in memory.
    pub fn is_replayable(&self) -> bool {
        matches!(self.0.content, Content::Slices { .. })
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0.content {
            Content::Slices { list, length } => Poll::Ready(list.next().map(|slice| {
                *length -= slice.len() as u64;
                Ok(Frame::data(slice))
            })),
            Content::Upload(upload) => upload.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0.content, Content::Slices { list, .. } if list.as_slice().is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0.content {
            Content::Slices { length, .. } => SizeHint::with_exact(*length),
            Content::Upload(_) => SizeHint::default(),
        }
    }
}
