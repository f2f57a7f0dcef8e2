//! What one tenant may use of the appliance, so that it takes nothing from its neighbours.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// Something that a tenant may use so much of, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quota {
    /// Events in a second, in the long run.
    EventsPerSecond,
    /// Events at once after a pause.
    EventsBurst,
    /// Requests in a second, in the long run.
    RequestsPerSecond,
    /// Requests at once after a pause.
    RequestsBurst,
    /// Runs at work at once.
    ActiveRuns,
    /// Runs that wait or queue.
    WaitingRuns,
    /// Bytes kept.
    StoredBytes,
    /// Workflows.
    Workflows,
    /// Connections.
    Connections,
    /// Secrets.
    Secrets,
    /// API keys.
    Keys,
    /// Webhook subscriptions.
    Webhooks,
    /// People.
    People,
    /// Event types of its own.
    EventTypes,
    /// Records of every kind.
    Records,
}

impl Quota {
    /// Every quota, in the order in which they are listed.
    pub const ALL: [Quota; 15] = [
        Quota::EventsPerSecond,
        Quota::EventsBurst,
        Quota::RequestsPerSecond,
        Quota::RequestsBurst,
        Quota::ActiveRuns,
        Quota::WaitingRuns,
        Quota::StoredBytes,
        Quota::Workflows,
        Quota::Connections,
        Quota::Secrets,
        Quota::Keys,
        Quota::Webhooks,
        Quota::People,
        Quota::EventTypes,
        Quota::Records,
    ];

    /// Returns its name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Quota::EventsPerSecond => "eventsPerSecond",
            Quota::EventsBurst => "eventsBurst",
            Quota::RequestsPerSecond => "requestsPerSecond",
            Quota::RequestsBurst => "requestsBurst",
            Quota::ActiveRuns => "activeRuns",
            Quota::WaitingRuns => "waitingRuns",
            Quota::StoredBytes => "storedBytes",
            Quota::Workflows => "workflows",
            Quota::Connections => "connections",
            Quota::Secrets => "secrets",
            Quota::Keys => "keys",
            Quota::Webhooks => "webhooks",
            Quota::People => "people",
            Quota::EventTypes => "eventTypes",
            Quota::Records => "records",
        }
    }

    /// Returns what is counted, for a sentence.
    #[must_use]
    pub const fn counted(self) -> &'static str {
        match self {
            Quota::EventsPerSecond => "events a second",
            Quota::EventsBurst => "events at once",
            Quota::RequestsPerSecond => "requests a second",
            Quota::RequestsBurst => "requests at once",
            Quota::ActiveRuns => "runs at work",
            Quota::WaitingRuns => "runs that wait",
            Quota::StoredBytes => "stored bytes",
            Quota::Workflows => "workflows",
            Quota::Connections => "connections",
            Quota::Secrets => "secrets",
            Quota::Keys => "API keys",
            Quota::Webhooks => "webhook subscriptions",
            Quota::People => "people",
            Quota::EventTypes => "event types",
            Quota::Records => "records",
        }
    }

    /// Returns the quota with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Quota> {
        Quota::ALL.into_iter().find(|quota| quota.name() == name)
    }
}

/// How much a tenant may use; 0 means without limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Events that a tenant may send in a second, in the long run.
    pub events_per_second: u64,
    /// Events that a tenant may send at once after a pause.
    pub events_burst: u64,
    /// Requests that the keys and people of a tenant may make in a second, in the long run.
    pub requests_per_second: u64,
    /// Requests that they may make at once after a pause.
    pub requests_burst: u64,
    /// Runs of a tenant that may be at work at once; further ones queue.
    pub active_runs: u64,
    /// Runs of a tenant that may wait or queue before its events are refused.
    pub waiting_runs: u64,
    /// Bytes of a tenant that may be kept before its events are refused.
    pub stored_bytes: u64,
    /// Workflows of a tenant.
    pub workflows: u64,
    /// Connections of a tenant.
    pub connections: u64,
    /// Secrets of a tenant.
    pub secrets: u64,
    /// API keys of a tenant.
    pub keys: u64,
    /// Webhook subscriptions of a tenant.
    pub webhooks: u64,
    /// People of a tenant.
    pub people: u64,
    /// Event types that a tenant registered itself.
    pub event_types: u64,
    /// Records of a tenant: tickets, accounts, custom objects and so on.
    pub records: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            events_per_second: 20_000,
            events_burst: 40_000,
            requests_per_second: 20_000,
            requests_burst: 40_000,
            active_runs: 0,
            waiting_runs: 2_000_000,
            stored_bytes: 0,
            workflows: 2_000,
            connections: 500,
            secrets: 2_000,
            keys: 1_000,
            webhooks: 500,
            people: 5_000,
            event_types: 2_000,
            records: 10_000_000,
        }
    }
}

impl Limits {
    /// Returns how much of something may be used; 0 for any amount.
    #[must_use]
    pub fn of(&self, quota: Quota) -> u64 {
        match quota {
            Quota::EventsPerSecond => self.events_per_second,
            Quota::EventsBurst => self.events_burst,
            Quota::RequestsPerSecond => self.requests_per_second,
            Quota::RequestsBurst => self.requests_burst,
            Quota::ActiveRuns => self.active_runs,
            Quota::WaitingRuns => self.waiting_runs,
            Quota::StoredBytes => self.stored_bytes,
            Quota::Workflows => self.workflows,
            Quota::Connections => self.connections,
            Quota::Secrets => self.secrets,
            Quota::Keys => self.keys,
            Quota::Webhooks => self.webhooks,
            Quota::People => self.people,
            Quota::EventTypes => self.event_types,
            Quota::Records => self.records,
        }
    }

    /// Returns the limits with the values that one tenant has of its own, by their names.
    #[must_use]
    pub fn with(mut self, own: &BTreeMap<String, u64>) -> Limits {
        for (name, value) in own {
            // A name that a later version added says nothing to this one.
            if let Some(place) = Quota::named(name).map(|quota| self.place(quota)) {
                *place = *value;
            }
        }
        self
    }

    fn place(&mut self, quota: Quota) -> &mut u64 {
        match quota {
            Quota::EventsPerSecond => &mut self.events_per_second,
            Quota::EventsBurst => &mut self.events_burst,
            Quota::RequestsPerSecond => &mut self.requests_per_second,
            Quota::RequestsBurst => &mut self.requests_burst,
            Quota::ActiveRuns => &mut self.active_runs,
            Quota::WaitingRuns => &mut self.waiting_runs,
            Quota::StoredBytes => &mut self.stored_bytes,
            Quota::Workflows => &mut self.workflows,
            Quota::Connections => &mut self.connections,
            Quota::Secrets => &mut self.secrets,
            Quota::Keys => &mut self.keys,
            Quota::Webhooks => &mut self.webhooks,
            Quota::People => &mut self.people,
            Quota::EventTypes => &mut self.event_types,
            Quota::Records => &mut self.records,
        }
    }
}

/// A rate and how much of it may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// In a second, in the long run; 0 for any number.
    pub per_second: u64,
    /// At once after a pause.
    pub burst: u64,
}

/// What is left of a pace: full after a pause, and refilled steadily.
///
/// More than the burst may be taken from a full bucket; what is owed then is waited for, so that
/// the rate holds in the long run whatever the size of what is taken.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    pace: Pace,
    left: f64,
    at: Timestamp,
}

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// How much a full one holds.
    pub limit: u64,
    /// How much may be taken at once now.
    pub left: u64,
    /// How long until it is full again.
    pub full_in: Duration,
}

impl Bucket {
    /// Makes a full bucket.
    #[must_use]
    pub fn full(pace: Pace, now: Timestamp) -> Bucket {
        let pace = Pace { burst: pace.burst.max(pace.per_second).max(1), ..pace };
        Bucket { pace, left: pace.burst as f64, at: now }
    }

    /// Takes `amount` and returns how it stands; `None` where nothing is limited.
    ///
    /// # Errors
    /// Returns in how long so much will be there; then nothing is taken.
    pub fn take(&mut self, amount: u64, now: Timestamp) -> Result<Option<Level>, Duration> {
        if self.pace.per_second == 0 {
            return Ok(None);
        }
        self.refill(now);
        let wanted = amount.min(self.pace.burst) as f64;
        if self.left < wanted {
            return Err(self.time_for(wanted - self.left));
        }
        self.left -= amount as f64;
        Ok(Some(self.level()))
    }

    /// Returns how it stands.
    #[must_use]
    pub fn seen(mut self, now: Timestamp) -> Level {
        self.refill(now);
        self.level()
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = now.since(self.at).as_secs_f64();
        let more = passed * self.pace.per_second as f64;
        self.left = (self.left + more).min(self.pace.burst as f64);
        self.at = now;
    }

    fn level(&self) -> Level {
        let burst = self.pace.burst as f64;
        Level {
            limit: self.pace.burst,
            left: self.left.max(0.0) as u64,
            full_in: self.time_for(burst - self.left),
        }
    }

    fn time_for(&self, amount: f64) -> Duration {
        Duration::from_secs_f64(amount.max(0.0) / self.pace.per_second.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn every_quota_is_found_by_its_name_and_can_be_set_for_one_tenant() {
        for quota in Quota::ALL {
            assert_eq!(Quota::named(quota.name()), Some(quota));
            let own = BTreeMap::from([(quota.name().to_owned(), 7), ("later".to_owned(), 8)]);
            let limits = Limits::default().with(&own);
            assert_eq!(limits.of(quota), 7, "{quota:?}");
            let others = Quota::ALL.into_iter().filter(|other| *other != quota);
            assert!(others.into_iter().all(|it| limits.of(it) == Limits::default().of(it)));
        }
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = Bucket::full(Pace { per_second: 10, burst: 20 }, at(0));
        let level = bucket.take(20, at(0)).expect("it is full").expect("it is limited");
        assert_eq!((level.limit, level.left, level.full_in), (20, 0, Duration::from_secs(2)));
        assert_eq!(bucket.take(1, at(0)), Err(Duration::from_millis(100)));
        assert!(bucket.take(1, at(100)).is_ok());
        assert!(bucket.take(1, at(100)).is_err());
        assert_eq!(bucket.seen(at(1_100)).left, 10);
    }

    #[test]
    fn what_is_larger_than_the_burst_goes_through_and_is_waited_for_afterwards() {
        let mut bucket = Bucket::full(Pace { per_second: 10, burst: 20 }, at(0));
        assert!(bucket.take(100, at(0)).is_ok());
        assert_eq!(bucket.take(1, at(0)), Err(Duration::from_millis(8_100)));
        assert!(bucket.take(1, at(8_000)).is_err());
        assert!(bucket.take(1, at(8_100)).is_ok());
    }

    #[test]
    fn a_rate_of_nought_is_no_limit_and_a_clock_that_goes_back_holds_nobody_up() {
        let mut free = Bucket::full(Pace { per_second: 0, burst: 0 }, at(0));
        assert_eq!(free.take(1_000_000, at(0)), Ok(None));
        let mut bucket = Bucket::full(Pace { per_second: 1, burst: 1 }, at(1_000));
        assert!(bucket.take(1, at(1_000)).is_ok());
        assert!(bucket.take(1, at(0)).is_err());
        assert!(bucket.take(1, at(1_000)).is_ok());
    }
}
