//! Calls, targets, scripted bodies and a bookkeeper, for layers that are tested alone.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use portcullis::{
    catalog::{ApiKey, Catalog, Meter, ModelEntry, Preset, Price, Provider, Rate, Target, TargetEntry, Tier, Timeouts},
    fault::{Fault, FaultKind},
    normalize::NormalizeLayer,
    stage::{Attempt, AttemptEntry, Begin, Call, Intent, Tally},
};
use tokio::time::{Instant, Sleep};
use tower::{BoxError, Layer, ServiceExt, service_fn};

pub const CHAT: &str = "/v1/chat/completions";
pub const MESSAGES: &str = "/v1/messages";

/// What a scripted body does next.
pub enum Step {
    Data(Bytes),
    /// The same again and again, without end.
    Forever(Bytes),
    Wait(Duration),
    /// Pending once, and awake at once.
    Yield,
    /// Pending for good.
    Stall,
    Fail(&'static str),
    Panic,
}

/// A body that follows a script.
pub struct Feed {
    steps: VecDeque<Step>,
    sleep: Option<Pin<Box<Sleep>>>,
    exact: Option<u64>,
    alive: Option<Arc<()>>,
}

/// A body that follows `steps`.
pub fn feed(steps: impl IntoIterator<Item = Step>) -> Feed {
    Feed { steps: steps.into_iter().collect(), sleep: None, exact: None, alive: None }
}

/// A body of these chunks.
pub fn chunks<T: Into<Bytes>>(chunks: impl IntoIterator<Item = T>) -> Feed {
    feed(chunks.into_iter().map(data))
}

pub fn data(bytes: impl Into<Bytes>) -> Step {
    Step::Data(bytes.into())
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Feed {
    /// Says that it is `length` bytes long, true or not.
    pub fn sized(mut self, length: u64) -> Self {
        self.exact = Some(length);
        self
    }

    /// Holds `alive` as long as it lives.
    pub fn held(mut self, alive: &Arc<()>) -> Self {
        self.alive = Some(alive.clone());
        self
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed({} steps)", self.steps.len())
    }
}

impl Body for Feed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            return match self.steps.pop_front() {
                None => Poll::Ready(None),
                Some(Step::Data(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Forever(bytes)) => {
                    self.steps.push_front(Step::Forever(bytes.clone()));
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                Some(Step::Wait(time)) => {
                    self.sleep = Some(Box::pin(tokio::time::sleep(time)));
                    continue;
                }
                Some(Step::Yield) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Some(Step::Stall) => {
                    self.steps.push_front(Step::Stall);
                    Poll::Pending
                }
                Some(Step::Fail(why)) => Poll::Ready(Some(Err(why.into()))),
                Some(Step::Panic) => panic!("the body panicked"),
            };
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Whether nobody but the test holds `alive` any more.
pub fn gone(alive: &Arc<()>) -> bool {
    Arc::strong_count(alive) == 1
}

/// Polls `future` `times` times, then drops it. Says whether it was done before.
pub async fn left_after<F: Future>(times: usize, future: F) -> bool {
    let mut future = Box::pin(future);
    for _ in 0..times {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
    }
    false
}

/// A request with a whole body.
pub fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(path).header("content-type", "application/json").body(Full::new(body.into())).unwrap()
}

/// The call that normalising makes of `request`.
pub async fn normalized(request: Request<Full<Bytes>>) -> Request<Call> {
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let take = service_fn(move |request: Request<Call>| {
        *keep.lock().unwrap() = Some(request);
        async { Ok::<_, Fault>(Response::new(Full::new(Bytes::new()))) }
    });
    let answer = NormalizeLayer::new().layer(take).oneshot(request).await.unwrap();
    let call = kept.lock().unwrap().take();
    match call {
        Some(call) => call,
        None => panic!("refused: {:?}", text(answer.into_body()).await),
    }
}

/// A small call of `model` in chat or Messages.
pub async fn call(path: &str, model: &str, stream: bool) -> Request<Call> {
    normalized(post(path, ask(model, stream, ""))).await
}

/// The body of a small request that both dialects understand, and `more` members.
pub fn ask(model: &str, stream: bool, more: &str) -> String {
    format!(r#"{{"model":"{model}","max_tokens":64,"stream":{stream},"messages":[{{"role":"user","content":"Hello"}}]{more}}}"#)
}

/// A provider with a secret.
pub fn provider(preset: &'static Preset, name: &str, timeouts: Timeouts) -> Provider {
    preset.account(name).api_key(ApiKey::new("sk-upstream-secret")).timeouts(timeouts).build().unwrap()
}

/// Prices in USD per million.
pub fn price(input: &str, output: &str) -> Price {
    let rate = |text, meter| Rate::parse(text, meter).unwrap();
    Price::flat(Tier::default().rate(Meter::Input, rate(input, Meter::Input)).rate(Meter::Output, rate(output, Meter::Output)))
}

/// The one target of a model at one provider.
pub fn target(preset: &'static Preset, name: &str, timeouts: Timeouts) -> Arc<Target> {
    let model = if preset.kind == "anthropic" { "claude-sonnet-4-20250514" } else { "gpt-4o-mini" };
    let catalog = Catalog::builder()
        .provider(provider(preset, name, timeouts))
        .model(ModelEntry::new("m").target(TargetEntry::new(name, model).price(price("3.00", "15.00"))))
        .build()
        .unwrap();
    catalog.resolve("m").unwrap().model.targets[0].clone()
}

/// The first attempt of `call` at `target`, kept in `book`.
pub async fn attempt(call: Request<Call>, target: &Arc<Target>, book: &Book) -> Request<Attempt> {
    let (parts, call) = call.into_parts();
    let call = call.with_tally(book.tally());
    let tally = call.tally().begin(call.facts(), target, 1).await.unwrap();
    Request::from_parts(parts, Attempt { call, target: target.clone(), number: 1, tally, deadline: None })
}

/// A meter's side of a tally.
#[derive(Clone, Default)]
pub struct Book(Arc<Pages>);

#[derive(Default)]
struct Pages {
    intents: AtomicU32,
    closed: AtomicU32,
    refuses: AtomicBool,
    hangs: AtomicBool,
    tally: Mutex<Tally>,
}

impl Book {
    /// A tally that this book keeps.
    pub fn tally(&self) -> Tally {
        let tally = Tally::new(Admission(self.clone()));
        *self.0.tally.lock().unwrap() = tally.clone();
        tally
    }

    pub fn refusing() -> Self {
        let book = Self::default();
        book.0.refuses.store(true, Ordering::Relaxed);
        book
    }

    pub fn hanging() -> Self {
        let book = Self::default();
        book.0.hangs.store(true, Ordering::Relaxed);
        book
    }

    pub fn intents(&self) -> u32 {
        self.0.intents.load(Ordering::Relaxed)
    }

    pub fn closed(&self) -> u32 {
        self.0.closed.load(Ordering::Relaxed)
    }

    /// The attempts of the last call.
    pub fn attempts(&self) -> Vec<AttemptEntry> {
        self.0.tally.lock().unwrap().entries().0
    }

    /// How the one attempt ended, and the code of its fault.
    pub fn end(&self) -> (Option<&'static str>, Option<&'static str>) {
        let attempts = self.attempts();
        assert_eq!(attempts.len(), 1);
        (attempts[0].outcome.map(|outcome| outcome.name()), attempts[0].fault.as_ref().map(|fault| fault.fault))
    }
}

struct Admission(Book);

impl Begin for Admission {
    fn begin<'a>(&'a self, _: Intent<'a>) -> Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>> {
        let pages = &self.0.0;
        pages.intents.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            if pages.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if pages.refuses.load(Ordering::Relaxed) { Err(FaultKind::LedgerUnavailable.into()) } else { Ok(()) }
        })
    }

    fn close(&self, _: &Tally) {
        self.0.0.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads a body to its end.
pub async fn text<B>(body: B) -> String
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// How many whole seconds `work` takes by the paused clock.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, u64) {
    let start = Instant::now();
    let result = work.await;
    (result, start.elapsed().as_secs())
}
