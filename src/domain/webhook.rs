//! Subscriptions to events: which ones they take, what is sent for one, when it is tried again.

mod message;
mod retry;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::event_type::Pattern;
use super::filter::Filter;
use super::problem::Problem;
use super::scope::Scope;
use super::workflow::team;

pub use message::{Format, MessageFacts, body};
pub use retry::{RETRY_AFTER_MAX, pause_after};

/// How many patterns one subscription may have.
const TYPES_MAX: usize = 100;

/// Which events a subscriber wants.
#[derive(Clone, Debug)]
pub struct Subscription {
    patterns: Vec<Pattern>,
    filter: Option<Filter>,
    /// None for every team.
    teams: Vec<String>,
}

impl Subscription {
    /// Reads the patterns and the filter of a subscription whose pointers begin at the root of the
    /// document; `known` are the event types that there are.
    ///
    /// # Errors
    /// Returns every problem at once: those of the filter, `empty`, `too_many_types` and
    /// `unknown_event_type`.
    pub fn parse(
        types: &[String],
        filter: Option<&serde_json::Value>,
        known: &[&str],
    ) -> Result<Subscription, Vec<Problem>> {
        let mut problems = Vec::new();
        if types.is_empty() {
            let problem = Problem::new("/types", "empty", "a subscription needs at least one type");
            problems.push(problem.with_hint("`*` stands for every event, `ticket:*` for some"));
        }
        if types.len() > TYPES_MAX {
            let detail = format!("{} types are too many, the limit is {TYPES_MAX}", types.len());
            problems.push(Problem::new("/types", "too_many_types", detail));
        }
        let mut patterns: Vec<Pattern> = Vec::new();
        for (index, text) in types.iter().enumerate().take(TYPES_MAX) {
            match Pattern::parse(text, &format!("/types/{index}"), known) {
                Ok(pattern) if !patterns.contains(&pattern) => patterns.push(pattern),
                Ok(_) => {} // The same once more, perhaps by an alias.
                Err(problem) => problems.push(problem),
            }
        }
        let filter = filter.map(|raw| Filter::parse(raw, "/filter")).transpose();
        match filter {
            Ok(filter) if problems.is_empty() => {
                Ok(Subscription { patterns, filter, teams: Vec::new() })
            }
            Ok(_) => Err(problems),
            Err(more) => Err([problems, more].concat()),
        }
    }

    /// Reads a subscription that was accepted before: a type that is no longer known takes what
    /// bears its name.
    ///
    /// # Errors
    /// Returns what is wrong with the filter.
    pub fn restore(
        types: &[String],
        filter: Option<&serde_json::Value>,
    ) -> Result<Subscription, Vec<Problem>> {
        let patterns = types.iter().map(|text| Pattern::restore(text)).collect();
        let filter = filter.map(|raw| Filter::parse(raw, "/filter")).transpose()?;
        Ok(Subscription { patterns, filter, teams: Vec::new() })
    }

    /// Limits it to the events of some teams and to those that are of none.
    #[must_use]
    pub fn of_teams(self, teams: Vec<String>) -> Subscription {
        Subscription { teams, ..self }
    }

    /// Returns the types in their canonical spelling, each once.
    #[must_use]
    pub fn types(&self) -> Vec<String> {
        self.patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
    }

    /// Returns whether it takes events of this canonical type at all.
    #[must_use]
    pub fn takes_kind(&self, kind: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.covers(kind))
    }

    /// Returns whether it names this canonical type, alone or with its family, and not just by
    /// taking every event.
    #[must_use]
    pub fn names_kind(&self, kind: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.as_str() != "*" && pattern.covers(kind))
    }

    /// Returns whether the filter holds for an event of a type that is taken; `scope` is made of
    /// the event when a filter needs it, and kept for the next subscription.
    #[must_use]
    pub fn wants(&self, event: &Event, scope: &mut Option<Scope>) -> bool {
        if !self.teams.is_empty() {
            let names = team::names_of(&event.payload);
            let is_own = |name: &&str| self.teams.iter().any(|team| team == name);
            if !names.is_empty() && !names.iter().any(is_own) {
                return false;
            }
        }
        let Some(filter) = &self.filter else { return true };
        filter.matches(scope.get_or_insert_with(|| Scope::of_event(event.to_value())))
    }
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum DeliveryStatus {
    /// It waits for its turn or for its next attempt.
    Pending = 1,
    /// An attempt is being made.
    Delivering = 2,
    /// The subscriber has it.
    Delivered = 3,
    /// It is not tried again by itself.
    Dead = 4,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [DeliveryStatus; 4] = [
        DeliveryStatus::Pending,
        DeliveryStatus::Delivering,
        DeliveryStatus::Delivered,
        DeliveryStatus::Dead,
    ];

    /// Returns the name that users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryStatus::Pending => "pending",
            DeliveryStatus::Delivering => "delivering",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Dead => "dead",
        }
    }

    /// Reads back what `as_str` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<DeliveryStatus> {
        DeliveryStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

#[cfg(test)]
mod tests;
