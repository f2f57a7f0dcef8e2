//! What stands between an event that matches and its run: how often, how soon and with how many
//! others it may start one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::expression::Template;
use crate::domain::time::{Timestamp, format_duration};

/// The gates of one trigger, in the order in which an event passes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gates {
    /// Lets one event of a key through in each window.
    pub dedupe: Option<Dedupe>,
    /// Lets the first events of a period through and withholds the rest.
    pub throttle: Option<Allowance>,
    /// Decides when those that passed start a run.
    pub pace: Option<Pace>,
}

/// At most one event of a key in a window, which begins with that event.
#[derive(Clone, Debug, PartialEq)]
pub struct Dedupe {
    /// Rendered against the event.
    pub key: Template,
    /// How long further events of the key start nothing.
    pub window: Duration,
}

/// So many starts of a key in a period, which begins with the first of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Allowance {
    /// Rendered against the event; without it all events count together.
    pub key: Option<Template>,
    /// How many starts a period has, at least 1.
    pub limit: u32,
    /// How long a period is.
    pub period: Duration,
}

/// When an event that passed starts a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// Once nothing of its key has come for a while, with the last event alone.
    Debounce {
        /// Rendered against the event; without it all events count together.
        key: Option<Template>,
        /// How long it must have been quiet.
        wait: Duration,
        /// How long it is waited for quiet at most, from the first event on.
        wait_max: Option<Duration>,
    },
    /// Together with others of its key, as one event that holds them all.
    Batch {
        /// Rendered against the event; without it all events count together.
        key: Option<Template>,
        /// How many events make a batch full.
        size: u32,
        /// How long the first of them waits at most.
        wait: Duration,
    },
    /// As soon as its period has room, in order of arrival.
    RateLimit(Allowance),
}

/// Returns the payload of the event that holds gathered events.
#[must_use]
pub fn batch_payload(events: Vec<Value>, first_at: Timestamp, last_at: Timestamp) -> Value {
    json!({
        "count": events.len(),
        "firstAt": first_at,
        "lastAt": last_at,
        "events": events,
    })
}

/// How much of a period has been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// When it began, or will.
    pub begun: Timestamp,
    /// How many starts it has had.
    pub count: u32,
}

impl Gates {
    /// Returns every key, for the check of what it refers to.
    pub fn keys(&self) -> impl Iterator<Item = &Template> {
        let dedupe = self.dedupe.as_ref().map(|dedupe| &dedupe.key);
        let throttle = self.throttle.as_ref().and_then(|throttle| throttle.key.as_ref());
        dedupe.into_iter().chain(throttle).chain(self.pace.as_ref().and_then(Pace::key))
    }

    /// Returns whether runs begin with a batch and not with the event that matched.
    #[must_use]
    pub fn makes_batches(&self) -> bool {
        matches!(self.pace, Some(Pace::Batch { .. }))
    }

    /// Adds the gates to a trigger in canonical form.
    pub(super) fn write(&self, body: &mut Map<String, Value>) {
        if let Some(Dedupe { key, window }) = &self.dedupe {
            let window = format_duration(*window);
            body.insert("dedupe".to_owned(), json!({"key": key.source(), "window": window}));
        }
        if let Some(throttle) = &self.throttle {
            body.insert("throttle".to_owned(), throttle.native());
        }
        match &self.pace {
            None => {}
            Some(Pace::Debounce { key, wait, wait_max }) => {
                let mut own = keyed(key.as_ref());
                own.insert("wait".to_owned(), json!(format_duration(*wait)));
                if let Some(wait_max) = wait_max {
                    own.insert("maxWait".to_owned(), json!(format_duration(*wait_max)));
                }
                body.insert("debounce".to_owned(), Value::Object(own));
            }
            Some(Pace::Batch { key, size, wait }) => {
                let mut own = keyed(key.as_ref());
                own.insert("size".to_owned(), json!(size));
                own.insert("wait".to_owned(), json!(format_duration(*wait)));
                body.insert("batch".to_owned(), Value::Object(own));
            }
            Some(Pace::RateLimit(allowance)) => {
                body.insert("rateLimit".to_owned(), allowance.native());
            }
        }
    }
}

impl Pace {
    /// Returns the key, if events are told apart.
    #[must_use]
    pub fn key(&self) -> Option<&Template> {
        match self {
            Pace::Debounce { key, .. } | Pace::Batch { key, .. } => key.as_ref(),
            Pace::RateLimit(allowance) => allowance.key.as_ref(),
        }
    }

    /// Returns when a window that gathers since `first_at` is over if nothing comes after `now`.
    #[must_use]
    pub fn due(&self, first_at: Timestamp, now: Timestamp) -> Timestamp {
        match self {
            Pace::Debounce { wait, wait_max: None, .. } => now + *wait,
            Pace::Debounce { wait, wait_max: Some(wait_max), .. } => {
                (now + *wait).min(first_at + *wait_max)
            }
            Pace::Batch { wait, .. } => first_at + *wait,
            Pace::RateLimit(_) => now,
        }
    }

    /// Returns how many events a window takes before it is over, at most `events_max`.
    #[must_use]
    pub fn size(&self, events_max: u32) -> u32 {
        match self {
            Pace::Batch { size, .. } => (*size).min(events_max),
            Pace::Debounce { .. } | Pace::RateLimit(_) => events_max,
        }
    }
}

impl Allowance {
    /// Counts one more start within the period; a period that is over gives way to a new one.
    ///
    /// # Errors
    /// Returns when the next period may begin.
    pub fn admit(&self, used: Option<Period>, now: Timestamp) -> Result<Period, Timestamp> {
        match used.filter(|used| now < self.end(*used)) {
            None => Ok(Period { begun: now, count: 1 }),
            Some(used) if used.count < self.limit => Ok(Period { count: used.count + 1, ..used }),
            Some(used) => Err(self.end(used)),
        }
    }

    /// Takes the earliest place for one more start and returns when it is: now, or when a period
    /// that has room begins. Places are given in order.
    #[must_use]
    pub fn place(&self, used: Option<Period>, now: Timestamp) -> (Period, Timestamp) {
        match self.admit(used, now) {
            Ok(period) => (period, period.begun.max(now)),
            Err(end) => (Period { begun: end, count: 1 }, end),
        }
    }

    /// Returns when a period is over.
    #[must_use]
    pub fn end(&self, period: Period) -> Timestamp {
        period.begun + self.period
    }

    fn native(&self) -> Value {
        let mut own = keyed(self.key.as_ref());
        own.insert("limit".to_owned(), json!(self.limit));
        own.insert("period".to_owned(), json!(format_duration(self.period)));
        Value::Object(own)
    }
}

fn keyed(key: Option<&Template>) -> Map<String, Value> {
    key.map(|key| ("key".to_owned(), key.source().clone())).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn allowance(limit: u32) -> Allowance {
        Allowance { key: None, limit, period: Duration::from_secs(60) }
    }

    #[test]
    fn a_throttle_lets_the_first_of_each_period_through() {
        let throttle = allowance(2);
        let mut used = None;
        let mut passed = Vec::new();
        for second in [0, 10, 20, 59, 60, 61, 62, 200] {
            match throttle.admit(used, at(second)) {
                Ok(period) => {
                    used = Some(period);
                    passed.push(second);
                }
                Err(until) => assert!(until > at(second)),
            }
        }
        assert_eq!(passed, [0, 10, 60, 61, 200]);
    }

    #[test]
    fn a_rate_limit_gives_every_event_its_place_in_order() {
        let limit = allowance(2);
        let mut used = None;
        let places = [0, 1, 2, 3, 4, 5, 130, 400].map(|second| {
            let (period, place) = limit.place(used, at(second));
            used = Some(period);
            place.millis() / 1_000
        });
        assert_eq!(places, [0, 1, 60, 60, 120, 120, 180, 400]);
        assert!(places.is_sorted(), "nobody overtakes");
    }

    #[test]
    fn quiet_is_waited_for_up_to_a_limit() {
        let wait = Duration::from_secs(10);
        let plain = Pace::Debounce { key: None, wait, wait_max: None };
        let wait_max = Some(Duration::from_secs(25));
        let limited = Pace::Debounce { key: None, wait, wait_max };
        assert_eq!(plain.due(at(0), at(20)), at(30));
        assert_eq!((limited.due(at(0), at(5)), limited.due(at(0), at(20))), (at(15), at(25)));
        let batch = Pace::Batch { key: None, size: 500, wait };
        assert_eq!((batch.due(at(0), at(9)), batch.size(100)), (at(10), 100));
    }
}
