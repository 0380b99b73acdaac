//! A socket that loses patience.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::coop,
    time::{Instant, Sleep, sleep_until},
};

use super::{Limits, request::Activity};
use crate::socket::poll_write_slices;

/// How an HTTP/2 connection begins.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A socket whose reads fail when a head or the next request is too long in coming, and whose writes fail when the peer
/// does not read, or is gone while its request is in flight. Meanwhile the request's own layers keep the time of its body.
pub(super) struct Guarded {
    inner: TcpStream,
    limits: Limits,
    activity: Arc<Activity>,
    /// What was read to tell the protocol, and how much of it was handed on.
    start: Start,
    patience: Patience,
    /// Whether bytes may come that begin no head: HTTP/2's frames.
    frames: bool,
    /// Since when a write makes no progress.
    stalled: Option<Instant>,
    /// Whether bytes were seen that nobody has read yet: what follows them is not seen before.
    ahead: bool,
    read_alarm: Alarm,
    write_alarm: Alarm,
}

struct Start {
    bytes: [u8; PREFACE.len()],
    filled: usize,
    given: usize,
}

/// What the reader waits for.
enum Patience {
    /// The rest of a head, since its first byte, as far as anybody looked; of the first head, since the connection was made.
    Head(Option<Instant>),
    /// The next request, since the one before, as far as anybody looked.
    Next(Option<Instant>),
}

/// A timer that is set again only when it rings, so that a busy connection costs none.
#[derive(Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes, once it is set.
    wakes: Option<Waker>,
}

impl Guarded {
    pub(super) fn new(inner: TcpStream, limits: Limits, activity: Arc<Activity>) -> Self {
        let start = Start { bytes: [0; PREFACE.len()], filled: 0, given: 0 };
        Self {
            inner,
            limits,
            activity,
            start,
            patience: Patience::Head(Some(Instant::now())),
            frames: false,
            stalled: None,
            ahead: false,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
        }
    }

    /// Says that the peer speaks HTTP/2.
    pub(super) fn expect_frames(&mut self) {
        self.patience = Patience::Next(None);
        self.frames = true;
    }

    /// Reads just enough to tell HTTP/2 from HTTP/1; what was read is read again.
    pub(super) async fn read_preface(&mut self) -> io::Result<bool> {
        while let Some(space) = self.start.bytes.get_mut(self.start.filled..).filter(|space| !space.is_empty()) {
            let read = self.inner.read(space).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.start.filled += read;
            if !PREFACE.starts_with(self.start.bytes.get(..self.start.filled).unwrap_or_default()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(rest) = this.start.bytes.get(this.start.given..this.start.filled).filter(|rest| !rest.is_empty()) {
            let taken = rest.len().min(buf.remaining());
            buf.put_slice(rest.get(..taken).unwrap_or_default());
            this.start.given += taken;
            // The rest is mostly here: what comes in one read keeps the reader's buffer, one a connection, half as large.
            return match Pin::new(&mut this.inner).poll_read(cx, buf) {
                Poll::Pending => Poll::Ready(Ok(())),
                read => read,
            };
        }
        if this.activity.take_began() {
            this.patience = Patience::Next(None);
        }
        this.ahead = false;
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        let busy = this.activity.is_busy();
        if read.is_ready() {
            match &mut this.patience {
                _ if busy => {}
                Patience::Next(_) if !this.frames => this.patience = Patience::Head(None),
                // Frames that begin no request are silence, however many.
                Patience::Next(since) => {
                    let now = Instant::now();
                    if now.duration_since(*since.get_or_insert(now)) >= this.limits.idle {
                        return Poll::Ready(Err(late()));
                    }
                }
                Patience::Head(_) => {}
            }
            return read;
        }
        // hyper may not read again when the answer is done, so an alarm is set while it runs. Any will do: when it rings,
        // somebody looks.
        if busy && this.read_alarm.is_set(cx) {
            return Poll::Pending;
        }
        let now = Instant::now();
        let deadline = match &mut this.patience {
            _ if busy => now + this.limits.idle,
            Patience::Head(since) => *since.get_or_insert(now) + this.limits.head,
            Patience::Next(since) => *since.get_or_insert(now) + this.limits.idle,
        };
        if this.read_alarm.rings(deadline, now, cx) { Poll::Ready(Err(late())) } else { Poll::Pending }
    }
}

impl Guarded {
    /// Fails if the peer is gone while its request is in flight; to close the sending half is to be gone. hyper could look by
    /// reading, into a buffer that it makes anew for each request.
    fn look(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.frames || self.ahead || !self.activity.is_busy() {
            return Ok(());
        }
        match self.inner.poll_peek(cx, &mut ReadBuf::new(&mut [0])) {
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Poll::Ready(Ok(_)) => {
                self.ahead = true;
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(()),
        }
    }

    /// Fails a write that has made no progress for too long.
    fn watch<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        self.look(cx)?;
        let now = Instant::now();
        let deadline = *self.stalled.get_or_insert(now) + self.limits.write_stall;
        if self.write_alarm.rings(deadline, now, cx) { Poll::Ready(Err(late())) } else { Poll::Pending }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = poll_write_slices(Pin::new(&mut self.inner), cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes whenever it has looked at everything. A socket's own flush is always ready: it says nothing about the
        // peer, and must not end a stall.
        self.look(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, shut)
    }
}

impl Alarm {
    /// Whether `deadline` has passed; if not, the task is woken when it does, or earlier.
    pub(super) fn rings(&mut self, deadline: Instant, now: Instant, cx: &mut Context<'_>) -> bool {
        if now >= deadline {
            return true;
        }
        // Of a task that has used up its budget a timer takes no note.
        let noted = coop::has_budget_remaining();
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        if sleep.as_mut().poll(cx).is_ready() {
            // It was set for an earlier deadline.
            sleep.as_mut().reset(deadline);
            if sleep.as_mut().poll(cx).is_ready() {
                return true;
            }
        }
        match &mut self.wakes {
            Some(waker) if noted => waker.clone_from(cx.waker()),
            wakes => *wakes = noted.then(|| cx.waker().clone()),
        }
        false
    }

    /// Whether it will wake this task, sooner or later.
    fn is_set(&self, cx: &Context<'_>) -> bool {
        let set = self.sleep.as_ref().is_some_and(|sleep| !sleep.is_elapsed());
        set && self.wakes.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
    }
}

fn late() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
