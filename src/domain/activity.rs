//! What an activity says of itself, as data: from it come checks, forms, the API's list and docs.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use super::workflow::Retry;

/// Where an activity acts, which decides how often it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Changes or reads the platform's own records: commits with the journal, exactly once.
    Platform,
    /// Calls the outside: intent first, then the call, then the result; at least once.
    Outside,
    /// A pause, which the run itself keeps.
    Sleep,
}

/// Whether and how a finished step of an activity can be undone without being told how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compensation {
    /// Nothing to undo: it only reads or computes.
    NotNeeded,
    /// The platform puts back what the step changed.
    Automatic,
    /// Another activity takes back what the step did, if the step says `compensate: auto`.
    Offered,
    /// It has an effect that only a compensation written in the step can undo.
    Manual,
}

/// At most `limit` calls in each `window`, counted by `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How many calls a window takes.
    pub limit: u32,
    /// How long a window is.
    pub window: Duration,
    /// What is counted together.
    pub key: ThrottleKey,
}

/// Which calls of a tenant are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThrottleKey {
    /// Those of the activity.
    #[default]
    Activity,
    /// Those of the activity to each destination on their own.
    Destination,
    /// Those of every activity that is counted so.
    Tenant,
}

impl ThrottleKey {
    /// Every key.
    pub const ALL: [ThrottleKey; 3] =
        [ThrottleKey::Activity, ThrottleKey::Destination, ThrottleKey::Tenant];

    /// Returns its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ThrottleKey::Activity => "activity",
            ThrottleKey::Destination => "destination",
            ThrottleKey::Tenant => "tenant",
        }
    }

    /// Returns the key of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<ThrottleKey> {
        ThrottleKey::ALL.into_iter().find(|key| key.name() == name)
    }
}

/// Describes one operation that a step can call.
#[derive(Clone, Debug)]
pub struct ActivitySpec {
    /// The name that steps use, such as `tickets:update-ticket-platform`.
    pub identifier: String,
    /// The name for people.
    pub name: String,
    /// Counts from 1; a step may pin it.
    pub version: u32,
    /// Groups activities in lists: `tickets`, `accounts`, `workflows` …
    pub category: String,
    /// Who offers it: `platform`, or an app's name.
    pub source: String,
    /// What it does, in a sentence or two.
    pub description: String,
    /// JSON Schema of the rendered input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// Where it acts.
    pub reach: Reach,
    /// How it is undone.
    pub compensation: Compensation,
    /// What the caller must be allowed to do, such as `tickets:write`.
    pub scopes: Vec<String>,
    /// How long an attempt may take unless the step says otherwise.
    pub timeout: Duration,
    /// How often it is tried unless the step says otherwise.
    pub retry: Retry,
    /// How often it may be called.
    pub throttle: Option<Throttle>,
}

/// Every activity that definitions may name, by identifier.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    specs: BTreeMap<String, Arc<ActivitySpec>>,
}

impl Catalogue {
    /// Collects specs; a later one replaces an earlier one of the same identifier.
    #[must_use]
    pub fn new(specs: impl IntoIterator<Item = ActivitySpec>) -> Catalogue {
        let by_identifier =
            specs.into_iter().map(|spec| (spec.identifier.clone(), Arc::new(spec))).collect();
        Catalogue { specs: by_identifier }
    }

    /// Returns the spec of `identifier`, if there is one.
    #[must_use]
    pub fn find(&self, identifier: &str) -> Option<&Arc<ActivitySpec>> {
        self.specs.get(identifier)
    }

    /// Returns a name without the `-<APP>-<ORG>` of an installed app's activity, when only the
    /// bare name is known.
    #[must_use]
    pub fn bare<'n>(&self, name: &'n str) -> &'n str {
        static INSTALLED: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new("^(.+)-[A-Z0-9]{6,}-[A-Z0-9]{6,}$")
                .expect("the pattern is constant and valid")
        });
        if self.find(name).is_some() {
            return name;
        }
        let short = INSTALLED.captures(name).and_then(|parts| parts.get(1));
        let short = short.map(|part| part.as_str());
        short.filter(|short| self.find(short).is_some()).unwrap_or(name)
    }

    /// Returns every spec in order of its identifier.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ActivitySpec>> {
        self.specs.values()
    }
}
