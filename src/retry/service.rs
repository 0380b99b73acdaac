//! The service.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tokio::time::{Instant, sleep};
use tower::{BoxError, ServiceExt};
use tower_service::Service;

use super::{
    RetryPolicy,
    walk::{Step, Walk},
};
use crate::{
    fault::{Fault, FaultKind, Phase, Timeout, Tried},
    stage::{Alarm, Attempt, Closed, Health, Outcome, PROBE_WAIT, Pass, Routed, Spare, SpareExtensions, deadline},
};

/// Tries the targets of a plan until one answers.
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    policy: RetryPolicy,
    health: Health,
}

impl<S> Retry<S> {
    pub(super) fn new(inner: S, policy: RetryPolicy, health: Health) -> Self {
        Self { inner, shared: Arc::new(Shared { policy, health }) }
    }
}

impl<S, ResBody> Service<Request<Routed>> for Retry<S>
where
    S: Service<Request<Attempt>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    ResBody: 'static,
{
    type Response = Response<ResBody>;
    type Error = Fault;
    type Future = ResponseFuture<ResBody>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        // Each attempt awaits the inner service itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Routed>) -> ResponseFuture<ResBody> {
        ResponseFuture(Box::pin(self.walk(request)))
    }
}

impl<S, ResBody> Retry<S>
where
    S: Service<Request<Attempt>, Response = Response<ResBody>> + Clone,
    S::Error: Into<BoxError>,
{
    /// Tries the targets of the plan. The future holds nothing twice: what an `async fn` takes, it moves once more.
    fn walk(&self, request: Request<Routed>) -> impl Future<Output = Result<Response<ResBody>, Fault>> + use<S, ResBody> {
        let Self { mut inner, shared } = self.clone();
        let deadline = deadline(shared.policy.total);
        let mut alarm = Alarm::at(deadline);
        let (parts, Routed { call, plan }) = request.into_parts();
        // An upload can be sent once.
        let once = call.payload().whole().is_none();
        let targets = if plan.fallbacks && !once { plan.targets.len() } else { plan.targets.len().min(1) };
        let mut head = Request::from_parts(parts, ());
        let mut walk = Walk::new(targets);
        let mut tried = None;
        async move {
            let Shared { policy, health } = &*shared;
            policy.deposit();
            while let Some(target) = plan.targets.get(walk.target()) {
                let provider = target.provider.name.as_str();
                let admitted = match health.admit(target) {
                    // A target that is failing is tried at the budget's cost.
                    Ok(pass) if pass.is_probe() && !policy.withdraw() => Err(Closed::Breaker(PROBE_WAIT)),
                    admitted => admitted,
                };
                let pass = match admitted.map_err(|closed| walk.closed(provider, closed)) {
                    Ok(pass) => pass,
                    Err(Step::Try { .. }) => continue,
                    Err(Step::Stop) => break,
                };
                let number = walk.number();
                let begun = alarm.bound(call.tally().begin(call.facts(), target, number)).await;
                let begun = begun.unwrap_or_else(|| Err(FaultKind::Timeout(Timeout::Total).into()));
                let begun = begun.map_err(|fault| so_far(fault.with_attempts(walk.attempts()), tried.take()));
                let tally = begun?.running(pass.running());
                let last = once || walk.is_last(policy);
                let mut spare = None;
                let answer = alarm.bound(async {
                    let ready = inner.ready().await?;
                    // The head that came has room for what is written into it. What is kept for another attempt has none.
                    spare = (!last).then(|| (Spare::of(&head), SpareExtensions::of(head.extensions())));
                    let (call, target, tally) = (call.clone(), target.clone(), tally.clone());
                    let attempt = Attempt { call, target, number, tally, deadline: Some(deadline) };
                    ready.call(mem::take(&mut head).map(|()| attempt)).await
                });
                let fault = match answer.await {
                    Some(Ok(response)) => {
                        pass.succeed();
                        return Ok(response);
                    }
                    Some(Err(error)) => Fault::from(error.into()),
                    None => Fault::new(FaultKind::Timeout(Timeout::Total)).at(Phase::BeforeHead),
                };
                if let Some((spare, extensions)) = spare {
                    head = spare.into_request(());
                    *head.extensions_mut() = extensions.into_extensions();
                }
                // Kept, it would hold what it took, such as a place in a queue, while the next attempt is waited for.
                inner = inner.clone();
                tried = Some(Box::new(Tried { attempts: number, provider: target.provider.name.shared(), model: target.model.clone() }));
                tally.end(Outcome::Failed, Some(&fault));
                drop(tally);
                judge(pass, &fault);
                match walk.failed(provider, fault, policy, jitter()) {
                    Step::Stop => break,
                    _ if last => break,
                    Step::Try { repeat: false, .. } => {}
                    Step::Try { wait, .. } => {
                        let in_time = wait < deadline.duration_since(Instant::now());
                        if in_time && policy.withdraw() {
                            if !wait.is_zero() {
                                sleep(wait).await;
                            }
                        } else if walk.next() == Step::Stop {
                            // A repeat that cannot be had; another target's first attempt costs nothing.
                            break;
                        }
                    }
                }
            }
            Err(so_far(walk.verdict(), tried))
        }
    }
}

/// The fault, with how far the call came.
fn so_far(fault: Fault, tried: Option<Box<Tried>>) -> Fault {
    match tried {
        Some(tried) => fault.with_tried(*tried),
        None => fault,
    }
}

/// Tells the target's health what the fault says of it.
fn judge(pass: Pass, fault: &Fault) {
    match (fault.kind(), fault.retry_after()) {
        (FaultKind::RateLimited, Some(wait)) => pass.limited(wait),
        _ if fault.counts_against_health() => pass.fail(),
        _ => drop(pass),
    }
}

/// A number from 0 to 1.
fn jitter() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the longest wait is the safe one.
    if getrandom::fill(&mut bytes).is_err() {
        return 1.0;
    }
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX)
}

/// The future of [`Retry`].
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<ResBody>(Pin<Box<dyn Future<Output = Result<Response<ResBody>, Fault>> + Send>>);

impl<ResBody> Future for ResponseFuture<ResBody> {
    type Output = Result<Response<ResBody>, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<ResBody> fmt::Debug for ResponseFuture<ResBody> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
