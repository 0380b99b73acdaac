//! The walk along a plan: which target next, after what wait. Knows no service and no clock.

use std::time::Duration;

use super::RetryPolicy;
use crate::{
    fault::{AttemptFault, Failure, Fault, FaultKind, Timeout},
    stage::Closed,
};

/// Where a call stands in its plan.
#[derive(Debug)]
pub(super) struct Walk {
    /// The target to try, by its place in the plan.
    target: usize,
    /// How many targets the plan allows.
    targets: usize,
    /// Attempts made.
    made: u32,
    /// Those of them that reached for a provider, and so count.
    spent: u32,
    /// Attempts made at this target.
    here: u32,
    /// What went wrong, which mostly is nothing.
    past: Option<Box<Past>>,
}

/// What went wrong on the way.
#[derive(Debug, Default)]
struct Past {
    /// What could not be said in a target's dialect: such a target is passed over.
    unsayable: Vec<Fault>,
    /// What each attempt, and each target passed over, ended with; and at which target.
    faults: Vec<(usize, Fault)>,
    attempts: Vec<AttemptFault>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Try the walk's target, once `wait` is over.
    Try {
        /// How long to wait first.
        wait: Duration,
        /// Whether it is a repeat at the same target, which the budget pays for.
        repeat: bool,
    },
    /// Give up.
    Stop,
}

/// Where a fault may be followed by another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// Anywhere.
    Here,
    /// At another target only.
    Elsewhere,
    /// Nowhere.
    Never,
}

impl Walk {
    pub(super) fn new(targets: usize) -> Self {
        Self { target: 0, targets, made: 0, spent: 0, here: 0, past: None }
    }

    /// The place of the target to try.
    pub(super) fn target(&self) -> usize {
        self.target
    }

    /// The number of the attempt to make, from 1.
    pub(super) fn number(&self) -> u32 {
        self.made + 1
    }

    /// Whether the next attempt is the last, whatever becomes of it.
    pub(super) fn is_last(&self, policy: &RetryPolicy) -> bool {
        self.spent + 1 >= policy.attempts && self.target + 1 >= self.targets
    }

    /// What became of the attempts so far.
    pub(super) fn attempts(&self) -> Vec<AttemptFault> {
        self.past.as_ref().map_or_else(Vec::new, |past| past.attempts.clone())
    }

    fn past(&mut self) -> &mut Past {
        self.past.get_or_insert_default()
    }

    /// An attempt at `provider` ended with `fault`. `jitter` is drawn from 0 to 1.
    pub(super) fn failed(&mut self, provider: &str, fault: Fault, policy: &RetryPolicy, jitter: f64) -> Step {
        self.made += 1;
        let again = again(&fault);
        self.past().attempts.push(AttemptFault {
            provider: provider.to_owned(),
            status: fault.upstream().and_then(|upstream| upstream.status),
            fault: fault.code(),
        });
        if matches!(fault.kind(), FaultKind::Lossy(_) | FaultKind::InvalidRequest(_)) {
            self.past().unsayable.push(fault);
            return self.next();
        }
        self.spent += 1;
        self.here += 1;
        let wait = self.wait(&fault, policy, jitter);
        let target = self.target;
        self.past().faults.push((target, fault));
        if again == Again::Never || self.spent >= policy.attempts {
            return Step::Stop;
        }
        let untried = u32::try_from(self.targets - self.target - 1).unwrap_or(u32::MAX);
        let spare = policy.attempts - self.spent;
        match wait {
            // Every target not tried yet has an attempt kept for it.
            Some(wait) if again == Again::Here && spare > untried => Step::Try { wait, repeat: true },
            _ => self.next(),
        }
    }

    /// The target at `provider` was passed over.
    pub(super) fn closed(&mut self, provider: &str, closed: Closed) -> Step {
        let fault = match closed {
            Closed::Breaker(wait) => Fault::new(FaultKind::Overloaded).with_retry_after(wait),
            Closed::Limited(wait) => Fault::new(FaultKind::RateLimited).with_retry_after(wait),
        };
        let code = if matches!(closed, Closed::Breaker(_)) { "breaker_open" } else { fault.code() };
        self.past().attempts.push(AttemptFault { provider: provider.to_owned(), status: None, fault: code });
        let target = self.target;
        self.past().faults.push((target, fault));
        self.next()
    }

    /// Leaves the target for the next one.
    pub(super) fn next(&mut self) -> Step {
        self.target += 1;
        self.here = 0;
        if self.target < self.targets { Step::Try { wait: Duration::ZERO, repeat: false } } else { Step::Stop }
    }

    /// How long to wait before a repeat here; `None` if it is too long.
    fn wait(&self, fault: &Fault, policy: &RetryPolicy, jitter: f64) -> Option<Duration> {
        let ceiling = policy.backoff.saturating_mul(1 << (self.here - 1).min(16)).min(policy.max_backoff);
        let drawn = ceiling.mul_f64(jitter.clamp(0.0, 1.0));
        match fault.retry_after() {
            Some(told) if told > policy.max_retry_after => None,
            // All who were told to wait would else come back at the same moment.
            Some(told) => Some(told.saturating_add(drawn)),
            None => Some(drawn),
        }
    }

    /// What the caller is told in the end.
    pub(super) fn verdict(self) -> Fault {
        self.past.map(|past| *past).unwrap_or_default().verdict()
    }
}

impl Past {
    /// The least that a target asks to wait. Of each target, its last word counts.
    fn least_wait(&self) -> Option<Duration> {
        let next = self.faults.iter().skip(1).map(|(target, _)| Some(target)).chain([None]);
        let last_words = self.faults.iter().zip(next).filter(|((target, _), next)| *next != Some(target));
        last_words.filter_map(|((_, fault), _)| fault.retry_after()).min()
    }

    /// What the caller is told in the end.
    fn verdict(mut self) -> Fault {
        let wait = self.least_wait();
        let Some((_, last)) = self.faults.pop() else {
            // Nobody could be asked: the first target is the one the caller meant.
            return self.unsayable.into_iter().next().unwrap_or_else(|| Fault::new(FaultKind::Internal));
        };
        if again(&last) == Again::Never {
            // Of the caller's own mistake, what other targets said before is no part.
            return if last.verdict().origin == "user" { last } else { last.with_attempts(self.attempts) };
        }
        let all = |of: fn(&FaultKind) -> bool| self.faults.iter().map(|(_, fault)| fault).chain([&last]).all(|fault| of(fault.kind()));
        let kind = if all(|kind| matches!(kind, FaultKind::RateLimited)) {
            FaultKind::RateLimited
        } else if all(|kind| matches!(kind, FaultKind::Overloaded)) {
            FaultKind::Overloaded
        } else if all(|kind| matches!(kind, FaultKind::Overloaded | FaultKind::Upstream(Failure::Overloaded))) {
            FaultKind::Upstream(Failure::Overloaded)
        } else if all(|kind| matches!(kind, FaultKind::Timeout(_))) {
            last.kind().clone()
        } else {
            match last.kind() {
                // One target's limit, overload or deadline is not everybody's.
                FaultKind::RateLimited | FaultKind::Overloaded | FaultKind::Upstream(Failure::Overloaded) | FaultKind::Timeout(_) => {
                    FaultKind::Upstream(Failure::Status)
                }
                other => other.clone(),
            }
        };
        let waits = matches!(kind, FaultKind::RateLimited | FaultKind::Overloaded | FaultKind::Upstream(Failure::Overloaded));
        let mut fault = Fault::new(kind).at(last.phase()).with_attempts(self.attempts);
        if let Some(upstream) = last.upstream() {
            fault = fault.with_upstream(upstream.clone());
        }
        if let (Some(wait), true) = (wait, waits) {
            fault = fault.with_retry_after(wait);
        }
        fault.with_source(last)
    }
}

/// Where `fault` may be followed by another attempt.
fn again(fault: &Fault) -> Again {
    match fault.kind() {
        FaultKind::RateLimited | FaultKind::Truncated | FaultKind::Overloaded => Again::Here,
        FaultKind::Timeout(Timeout::Connect | Timeout::FirstByte | Timeout::Idle) => Again::Here,
        FaultKind::Upstream(Failure::UnknownModel) | FaultKind::CredentialRefused => Again::Elsewhere,
        FaultKind::Upstream(_) => Again::Here,
        // What one dialect or model cannot say, another may. The provider was not asked.
        FaultKind::Lossy(_) | FaultKind::InvalidRequest(_) => Again::Elsewhere,
        _ => Again::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(targets: usize, attempts: u32, faults: &[FaultKind]) -> (Vec<usize>, Fault) {
        let policy = RetryPolicy::new().attempts(attempts);
        let mut walk = Walk::new(targets);
        let mut tried = Vec::new();
        for kind in faults {
            tried.push(walk.target());
            if walk.failed("p", Fault::new(kind.clone()), &policy, 0.0) == Step::Stop {
                break;
            }
        }
        (tried, walk.verdict())
    }

    const DOWN: FaultKind = FaultKind::Upstream(Failure::Status);

    #[test]
    fn every_target_has_an_attempt_kept_for_it() {
        let faults = vec![DOWN; 5];
        assert_eq!(walk(1, 3, &faults).0, [0, 0, 0]);
        assert_eq!(walk(2, 3, &faults).0, [0, 0, 1]);
        assert_eq!(walk(3, 3, &faults).0, [0, 1, 2]);
        assert_eq!(walk(5, 3, &faults).0, [0, 1, 2]);
    }

    #[test]
    fn what_a_target_cannot_carry_spends_no_attempt() {
        let lossy = FaultKind::Lossy(Vec::new());
        assert_eq!(walk(3, 1, &[lossy.clone(), lossy.clone(), DOWN]).0, [0, 1, 2]);
        let (_, verdict) = walk(2, 1, &[lossy.clone(), FaultKind::RateLimited]);
        assert_eq!(verdict.verdict().status, 429, "the other target was limited");
        assert_eq!(walk(2, 3, &[lossy.clone(), lossy]).1.verdict().status, 400);
    }

    #[test]
    fn a_refused_credential_moves_on_and_a_mistake_stops() {
        assert_eq!(walk(2, 3, &[FaultKind::CredentialRefused, DOWN, DOWN]).0, [0, 1, 1]);
        let (tried, verdict) = walk(2, 3, &[FaultKind::Rejected { status: 400 }]);
        assert_eq!((tried, verdict.kind()), (vec![0], &FaultKind::Rejected { status: 400 }));
    }

    #[test]
    fn what_all_targets_said_is_what_the_caller_hears() {
        let limited = FaultKind::RateLimited;
        assert_eq!(walk(2, 2, &[limited.clone(), limited.clone()]).1.verdict().status, 429);
        assert_eq!(walk(2, 2, &[limited, DOWN]).1.verdict().status, 502);
        let busy = FaultKind::Upstream(Failure::Overloaded);
        assert_eq!(walk(1, 2, &[busy.clone(), busy.clone()]).1.verdict().status, 503);
        let slow = FaultKind::Timeout(Timeout::FirstByte);
        assert_eq!(walk(1, 2, &[slow.clone(), slow.clone()]).1.verdict().status, 504);
        assert_eq!(walk(2, 2, &[slow, busy]).1.verdict().status, 502);
    }

    #[test]
    fn a_long_retry_after_is_not_sat_out() {
        let policy = RetryPolicy::new();
        let limited = |secs| Fault::new(FaultKind::RateLimited).with_retry_after(Duration::from_secs(secs));
        let mut walk = Walk::new(1);
        assert_eq!(walk.failed("p", limited(2), &policy, 0.0), Step::Try { wait: Duration::from_secs(2), repeat: true });
        assert_eq!(walk.failed("p", limited(60), &policy, 0.0), Step::Stop);
        assert_eq!(walk.verdict().retry_after(), Some(Duration::from_secs(60)), "its last word");
    }
}
