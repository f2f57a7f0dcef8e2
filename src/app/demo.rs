//! The demo's switch, and what the systems that stand in for the outside world have received.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use crate::domain::time::Timestamp;

/// How many things happen in a minute while the demo runs.
const RATE_PER_MINUTE: u32 = 20;
const MESSAGES_MAX: usize = 100;

/// What a demo shares between its generator, its stand-ins, the API and the pages; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Demo {
    /// Pauses and resumes the generator.
    pub switch: DemoSwitch,
    /// What the stand-ins received.
    pub inbox: DemoInbox,
}

/// Pauses and resumes the generator of events, and counts what it did; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct DemoSwitch(Arc<Gauge>);

#[derive(Debug, Default)]
struct Gauge {
    paused: AtomicBool,
    sent: AtomicU64,
}

/// How the generator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoView {
    /// Whether it makes things happen.
    pub running: bool,
    /// How many things it makes happen in a minute while it runs.
    pub rate_per_minute: u32,
    /// How many things it has made happen since the start of the process.
    pub sent: u64,
}

impl DemoSwitch {
    /// Returns how the generator stands.
    #[must_use]
    pub fn view(&self) -> DemoView {
        DemoView {
            running: self.is_running(),
            rate_per_minute: RATE_PER_MINUTE,
            sent: self.0.sent.load(Ordering::Relaxed),
        }
    }

    /// Returns whether the generator makes things happen.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.0.paused.load(Ordering::Relaxed)
    }

    /// Stops the generator until `resume`; pausing twice is no error.
    pub fn pause(&self) {
        self.0.paused.store(true, Ordering::Relaxed);
    }

    /// Lets the generator go on.
    pub fn resume(&self) {
        self.0.paused.store(false, Ordering::Relaxed);
    }

    /// Counts one thing that the generator made happen.
    pub fn count(&self) {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// The newest messages that the stand-ins received; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct DemoInbox(Arc<Mutex<VecDeque<DemoMessage>>>);

/// One message that a stand-in received.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoMessage {
    /// When it came.
    pub at: Timestamp,
    /// Who received it: `pager`, `billing` or `crm`.
    pub sink: String,
    /// The status that was answered.
    pub status: u16,
    /// The key that is the same through every attempt of a step.
    pub idempotency_key: String,
    /// What was sent.
    pub body: Value,
}

impl DemoInbox {
    /// Keeps a message, and forgets the oldest when there are more than a hundred.
    pub fn keep(&self, message: DemoMessage) {
        let mut messages = self.0.lock();
        messages.truncate(MESSAGES_MAX - 1);
        messages.push_front(message);
    }

    /// Returns the messages, newest first.
    #[must_use]
    pub fn messages(&self) -> Vec<DemoMessage> {
        self.0.lock().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clone_of_a_switch_is_the_same_switch() {
        let switch = DemoSwitch::default();
        let other = switch.clone();
        assert_eq!(switch.view(), DemoView { running: true, rate_per_minute: 20, sent: 0 });
        other.pause();
        other.count();
        assert_eq!(switch.view(), DemoView { running: false, rate_per_minute: 20, sent: 1 });
        other.resume();
        assert!(switch.is_running());
    }

    #[test]
    fn the_inbox_keeps_the_newest_hundred() {
        let inbox = DemoInbox::default();
        for number in 0..150u16 {
            inbox.keep(DemoMessage {
                at: Timestamp::default(),
                sink: "pager".to_owned(),
                status: number,
                idempotency_key: String::new(),
                body: Value::Null,
            });
        }
        let kept: Vec<u16> = inbox.messages().iter().map(|message| message.status).collect();
        assert_eq!((kept.len(), kept[0], kept[99]), (100, 149, 50));
    }
}
