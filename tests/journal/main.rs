//! The journal and what ships it: nothing lost, nothing twice, whatever dies when.
#![cfg(feature = "sqlite")]

mod books;
#[cfg(unix)]
mod disk;
mod kill;
mod line;
#[path = "../support/metered.rs"]
mod metered;
mod power;
mod replay;
mod shipping;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use portcullis::{
    fault::{Fault, FaultKind},
    meter::{Ledger, MeterLayer, Record},
    stage::{Call, GenerationId, Outcome},
    store::{Batch, Position, RecordStore, Sqlite, StoreFuture, Sum, SumBy},
};
use tower::{Layer, ServiceExt, service_fn};

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("portcullis-journal-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn state(&self) -> PathBuf {
        self.0.join("gateway.state")
    }

    fn database(&self) -> Sqlite {
        Sqlite::open(self.0.join("gateway.db")).unwrap()
    }

    /// The segments, ascending.
    fn segments(&self) -> Vec<PathBuf> {
        segments(&self.state())
    }
}

fn segments(state: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(state).unwrap().map(|file| file.unwrap().path());
    let mut segments: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect();
    segments.sort();
    segments
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A call that one provider answers: 90 tokens in, 25 out, for 140,000 nano-USD.
async fn answered(ledger: impl Ledger) -> GenerationId {
    answer(ledger, metered::call(false)).await
}

async fn answer(ledger: impl Ledger, request: Request<Call>) -> GenerationId {
    let id = request.body().facts().id.clone();
    let whole = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let tally = call.tally().begin(call.facts(), &metered::target("one", "1", "2"), 1).await?;
        tally.head(200);
        tally.commit();
        tally.seen(&metered::seen(Some(metered::usage(90, 25)), 100));
        tally.end(Outcome::Complete, None);
        Ok::<_, Fault>(Response::new(Full::new(Bytes::from_static(b"{}"))))
    });
    MeterLayer::new(ledger).layer(whole).oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    id
}

/// A call that is refused before a provider is asked.
async fn refused(ledger: impl Ledger) -> GenerationId {
    let request = metered::call(false);
    let id = request.body().facts().id.clone();
    let refuse = service_fn(|_: Request<Call>| async { Err::<Response<Full<Bytes>>, Fault>(FaultKind::Overloaded.into()) });
    MeterLayer::new(ledger).layer(refuse).oneshot(request).await.unwrap_err();
    id
}

/// A call that a provider breaks off after 90 tokens in and 25 out, and whose attempts nobody notes.
async fn broken(ledger: impl Ledger) -> GenerationId {
    let request = metered::call(false);
    let id = request.body().facts().id.clone();
    let breaks = service_fn(|request: Request<Call>| async move {
        let call = request.into_body();
        let tally = call.tally().begin(call.facts(), &metered::target("one", "1", "2"), 1).await?;
        tally.head(200);
        tally.commit();
        tally.seen(&metered::seen(Some(metered::usage(90, 25)), 100));
        tally.end(Outcome::Truncated, None);
        Err::<Response<Full<Bytes>>, Fault>(FaultKind::Truncated.into())
    });
    MeterLayer::new(ledger).layer(breaks).oneshot(request).await.unwrap_err();
    id
}

/// A call whose attempts are announced, and that is never settled.
async fn abandoned(ledger: impl Ledger, attempts: u32) -> GenerationId {
    let request = metered::call(false);
    let id = request.body().facts().id.clone();
    let begins = service_fn(move |request: Request<Call>| async move {
        let call = request.into_body();
        for attempt in 1..=attempts {
            call.tally().begin(call.facts(), &metered::target("one", "1", "2"), attempt).await?;
        }
        std::future::pending::<Result<Response<Full<Bytes>>, Fault>>().await
    });
    let mut future = Box::pin(MeterLayer::new(Unsettling(ledger)).layer(begins).oneshot(request));
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    id
}

/// Forgets settlements, as a process does that dies first.
struct Unsettling<L>(L);

impl<L: Ledger> Ledger for Unsettling<L> {
    fn intend(&self, intended: &portcullis::meter::Intended<'_>) -> Result<(), Fault> {
        self.0.intend(intended)
    }

    fn settle(&self, _: Record) {}
}
