//! What all requests share: settings, rate limits, requests in flight, metrics.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use governor::clock::DefaultClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

use super::crowd::Crowd;
use super::metrics::HttpMetrics;
use super::settings::WebSettings;
use super::stream::Streams;
use crate::app::demo::Demo;
use crate::clock::Clock;
use crate::tls::Certificates;

/// The state of a server beside the application.
#[derive(Debug)]
pub struct Front {
    /// What the operator set.
    pub settings: WebSettings,
    /// Tells the time.
    pub clock: Clock,
    /// How often each key may ask.
    pub rate: Rate,
    /// How often one address may send a form.
    pub forms: Rate,
    /// How many connections each address has.
    pub crowd: Arc<Crowd>,
    /// The certificates of the doors, by the name of the door.
    pub certificates: Vec<(&'static str, Arc<Certificates>)>,
    /// Requests with an idempotency key that have not been answered yet.
    pub in_flight: InFlight,
    /// Streams that are open.
    pub streams: Arc<Streams>,
    /// Counts requests.
    pub metrics: HttpMetrics,
    /// The description of the API, made when it is first asked for.
    pub description: OnceLock<Bytes>,
    /// The page that shows it, likewise.
    pub viewer: OnceLock<Bytes>,
    /// The demo, if this is one.
    pub demo: Option<Demo>,
}

impl Front {
    /// Builds the state.
    #[must_use]
    pub fn new(settings: WebSettings, clock: Clock) -> Front {
        let rate = Rate::new(settings.requests_per_second, settings.requests_burst);
        let crowd = Crowd::new(settings.connections_per_address_max);
        Front {
            settings,
            clock,
            crowd,
            certificates: Vec::new(),
            rate,
            forms: Rate::per_minute(0),
            in_flight: InFlight::default(),
            streams: Arc::default(),
            metrics: HttpMetrics::new(),
            description: OnceLock::new(),
            viewer: OnceLock::new(),
            demo: None,
        }
    }

    /// Sets how many forms one address may send in a minute; 0 for any number.
    #[must_use]
    pub fn with_forms_per_minute(self, limit: u32) -> Front {
        Front { forms: Rate::per_minute(limit), ..self }
    }

    /// Tells of the certificates of the doors.
    #[must_use]
    pub fn with_certificates(self, certificates: Vec<(&'static str, Arc<Certificates>)>) -> Front {
        Front { certificates, ..self }
    }

    /// Serves a demo as well.
    #[must_use]
    pub fn with_demo(self, demo: Demo) -> Front {
        Front { demo: Some(demo), ..self }
    }
}

type Limiter = RateLimiter<u64, DashMapStateStore<u64>, DefaultClock, StateInformationMiddleware>;

/// A bucket of requests for each key.
#[derive(Debug)]
pub struct Rate {
    limiter: Option<Limiter>,
    per_second: u32,
    burst: u32,
}

/// How a key stands against its limit after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many requests a full bucket holds.
    pub limit: u32,
    /// How many are left now.
    pub remaining: u32,
    /// How long until the bucket is full again, in seconds, rounded up.
    pub reset_seconds: u32,
    /// Whether this request was one too many.
    pub verdict: Verdict,
}

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Granted,
    /// The bucket is empty.
    Refused,
}

const BUCKETS_BEFORE_SWEEP: usize = 10_000;

impl Rate {
    /// Allows `per_second` requests in the long run (0 for any number) and `burst` at once.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Rate {
        let burst = burst.max(1);
        let limiter = NonZeroU32::new(per_second).map(|rate| {
            let burst = NonZeroU32::new(burst).expect("it is at least one");
            RateLimiter::dashmap(Quota::per_second(rate).allow_burst(burst)).with_middleware()
        });
        Rate { limiter, per_second, burst }
    }

    /// Allows `limit` in a minute, all at once if need be; 0 for any number.
    #[must_use]
    pub fn per_minute(limit: u32) -> Rate {
        let limiter = NonZeroU32::new(limit).map(|limit| {
            RateLimiter::dashmap(Quota::per_minute(limit).allow_burst(limit)).with_middleware()
        });
        Rate { limiter, per_second: limit.div_ceil(60).max(1), burst: limit.max(1) }
    }

    /// Takes one request out of the bucket of `key`; `None` when nothing is limited.
    #[must_use]
    pub fn take(&self, key: u64) -> Option<Allowance> {
        let limiter = self.limiter.as_ref()?;
        if limiter.len() > BUCKETS_BEFORE_SWEEP {
            limiter.retain_recent();
        }
        let (remaining, verdict) = match limiter.check_key(&key) {
            Ok(snapshot) => (snapshot.remaining_burst_capacity(), Verdict::Granted),
            Err(_) => (0, Verdict::Refused),
        };
        let reset_seconds = (self.burst - remaining.min(self.burst)).div_ceil(self.per_second);
        Some(Allowance { limit: self.burst, remaining, reset_seconds, verdict })
    }
}

/// The scopes of idempotency keys whose first request is still being answered.
#[derive(Debug, Default)]
pub struct InFlight(Arc<Mutex<HashSet<String>>>);

impl InFlight {
    /// Enters `scope` until the answer's guard is dropped; `None` when it is entered already.
    #[must_use]
    pub fn enter(&self, scope: &str) -> Option<Entered> {
        let fresh = self.0.lock().insert(scope.to_owned());
        fresh.then(|| Entered { scope: scope.to_owned(), all: Arc::clone(&self.0) })
    }
}

/// Leaves its scope when it is dropped.
#[derive(Debug)]
pub struct Entered {
    scope: String,
    all: Arc<Mutex<HashSet<String>>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.all.lock().remove(&self.scope);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_bucket() {
        let rate = Rate::new(1, 2);
        let verdicts: Vec<_> =
            (0..3).map(|_| rate.take(1).map(|it| (it.remaining, it.verdict))).collect();
        assert_eq!(
            verdicts,
            [Some((1, Verdict::Granted)), Some((0, Verdict::Granted)), Some((0, Verdict::Refused))]
        );
        assert_eq!(rate.take(2).map(|it| it.verdict), Some(Verdict::Granted));
        assert_eq!(Rate::new(0, 0).take(1), None);
    }

    #[test]
    fn a_scope_is_entered_once_at_a_time() {
        let in_flight = InFlight::default();
        let entered = in_flight.enter("a");
        assert!(entered.is_some() && in_flight.enter("a").is_none());
        drop(entered);
        assert!(in_flight.enter("a").is_some());
    }
}
