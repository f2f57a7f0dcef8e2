//! What was asked of the appliance and what it answered; it lives in another process than what is
//! killed.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// The kinds of events, each with a workflow of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Steps on the platform's own records.
    Steps,
    /// Steps that are undone, since the last one fails.
    Undo,
    /// A sleep and a step.
    Sleep,
}

impl Kind {
    /// Returns the name of its type of event and of its workflow.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Steps => "steps",
            Kind::Undo => "undo",
            Kind::Sleep => "sleep",
        }
    }
}

/// One event as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its kind.
    pub kind: Kind,
    /// The run that an answer named, once there was one.
    pub run: Option<String>,
    /// Whether an answer named another run than an earlier one.
    pub was_contradicted: bool,
    /// Whether it was looked for since it was acknowledged.
    pub was_seen: bool,
}

/// Every event by its id.
#[derive(Debug, Default)]
pub struct Ledger(RefCell<BTreeMap<String, Sent>>);

impl Ledger {
    /// Notes that an event is about to be sent.
    pub fn sent(&self, id: &str, kind: Kind) {
        let fresh = Sent { kind, run: None, was_contradicted: false, was_seen: false };
        self.0.borrow_mut().entry(id.to_owned()).or_insert(fresh);
    }

    /// Notes that an event was acknowledged, and with which run.
    pub fn acknowledged(&self, id: &str, run: &str) {
        let mut events = self.0.borrow_mut();
        let Some(event) = events.get_mut(id) else { return };
        event.was_contradicted |= event.run.as_ref().is_some_and(|told| told != run);
        event.run = Some(run.to_owned());
    }

    /// Returns the events that were acknowledged and not looked for yet, and counts them as seen.
    pub fn take_unseen(&self) -> Vec<String> {
        let mut events = self.0.borrow_mut();
        let unseen = events.iter_mut().filter(|(_, event)| event.run.is_some() && !event.was_seen);
        unseen
            .map(|(id, event)| {
                event.was_seen = true;
                id.clone()
            })
            .collect()
    }

    /// Returns the events without an answer.
    pub fn unanswered(&self) -> Vec<(String, Kind)> {
        let events = self.0.borrow();
        let open = events.iter().filter(|(_, event)| event.run.is_none());
        open.map(|(id, event)| (id.clone(), event.kind)).collect()
    }

    /// Returns everything.
    pub fn events(&self) -> Vec<(String, Sent)> {
        self.0.borrow().iter().map(|(id, event)| (id.clone(), event.clone())).collect()
    }

    /// Returns in words how many events there are.
    pub fn tell(&self) -> String {
        let events = self.0.borrow();
        let acknowledged = events.values().filter(|event| event.run.is_some()).count();
        format!("{acknowledged} of {} events acknowledged", events.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_names_another_run_is_noticed() {
        let ledger = Ledger::default();
        ledger.sent("a", Kind::Steps);
        assert_eq!(ledger.unanswered().len(), 1);
        ledger.acknowledged("a", "run-1");
        ledger.sent("a", Kind::Steps);
        ledger.acknowledged("a", "run-1");
        assert!(!ledger.events()[0].1.was_contradicted);
        assert_eq!(ledger.take_unseen(), ["a"]);
        assert!(ledger.take_unseen().is_empty());
        ledger.acknowledged("a", "run-2");
        assert!(ledger.events()[0].1.was_contradicted);
    }
}
