//! What an activity says of itself, as data: from it come checks, forms, the API's list and docs.

pub mod custom;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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

/// How it is found out whether a call happened whose outcome is unknown, as after a timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settling {
    /// It is made again with the same key, by which the other side recognises it.
    #[default]
    Repeat,
    /// The other side is asked whether it happened, and it is made again only if it did not.
    Lookup,
    /// A person decides.
    Ask,
}

impl Settling {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Settling::Repeat => "repeat",
            Settling::Lookup => "lookup",
            Settling::Ask => "ask",
        }
    }
}

/// At most `limit` calls in each `window`, counted by `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How many calls a window takes.
    pub limit: u32,
    /// How long a window is.
    pub window: Duration,
    /// What is counted together: `tenant` or `activity`.
    pub key: &'static str,
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

/// Further names of activities.
const ALIASES: [(&str, &str); 1] = [("http.request", "workflows:http-request-platform")];

/// Every activity that definitions may name, by identifier, in every version that is offered.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The versions in order; none is without one.
    specs: BTreeMap<String, Vec<Arc<ActivitySpec>>>,
    /// The identifiers that a short name stands for.
    aliases: BTreeMap<String, Vec<String>>,
    /// How calls in doubt are settled, where not by repeating them.
    settling: BTreeMap<String, Settling>,
}

impl Catalogue {
    /// Collects specs; a later one replaces an earlier one of the same identifier and version.
    #[must_use]
    pub fn new(specs: impl IntoIterator<Item = ActivitySpec>) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for spec in specs {
            catalogue.add(spec);
        }
        catalogue
    }

    /// Says how the calls of activities are settled when their outcome is unknown.
    #[must_use]
    pub fn with_settling(self, all: impl IntoIterator<Item = (String, Settling)>) -> Catalogue {
        let settling = all.into_iter().filter(|(_, how)| *how != Settling::Repeat).collect();
        Catalogue { settling, ..self }
    }

    /// Returns how a call of `identifier` is settled whose outcome is unknown.
    #[must_use]
    pub fn settling(&self, identifier: &str) -> Settling {
        self.settling.get(identifier).copied().unwrap_or_default()
    }

    /// Adds a spec in its version.
    pub fn add(&mut self, spec: ActivitySpec) {
        let versions = self.specs.entry(spec.identifier.clone()).or_default();
        versions.retain(|known| known.version != spec.version);
        versions.push(Arc::new(spec));
        versions.sort_by_key(|known| known.version);
    }

    /// Lets a short name stand for an identifier.
    pub fn add_alias(&mut self, alias: &str, identifier: &str) {
        let known = self.aliases.entry(alias.to_owned()).or_default();
        if known.iter().all(|known| known != identifier) {
            known.push(identifier.to_owned());
        }
    }

    /// Returns the newest spec of `identifier`, if there is one.
    #[must_use]
    pub fn find(&self, identifier: &str) -> Option<&Arc<ActivitySpec>> {
        self.specs.get(identifier)?.last()
    }

    /// Returns the spec of `identifier` in a version; `None` is the newest.
    #[must_use]
    pub fn find_version(
        &self,
        identifier: &str,
        version: Option<u32>,
    ) -> Option<&Arc<ActivitySpec>> {
        let Some(version) = version else { return self.find(identifier) };
        self.specs.get(identifier)?.iter().find(|spec| spec.version == version)
    }

    /// Returns the versions of `identifier` that are offered, in order.
    pub fn versions(&self, identifier: &str) -> impl Iterator<Item = u32> {
        self.specs.get(identifier).into_iter().flatten().map(|spec| spec.version)
    }

    /// Returns the identifier that a name stands for: itself where it is one, the identifier behind
    /// a short name that only one activity has, or the name without the `-<APP>-<ORG>` of another
    /// installation where that is known. A name that nobody has is returned as it is.
    #[must_use]
    pub fn bare<'n>(&'n self, name: &'n str) -> &'n str {
        static INSTALLED: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new("^(.+)-[A-Z0-9]{6,}-[A-Z0-9]{6,}$")
                .expect("the pattern is constant and valid")
        });
        if let Some(known) = self.meant(name) {
            return known;
        }
        if let Some((_, known)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
            return known;
        }
        let short = INSTALLED.captures(name).and_then(|parts| parts.get(1));
        short.and_then(|short| self.meant(short.as_str())).unwrap_or(name)
    }

    /// Returns the identifiers that a short name may stand for; several when apps share it.
    #[must_use]
    pub fn sharing(&self, name: &str) -> &[String] {
        self.aliases.get(name).map_or(&[], Vec::as_slice)
    }

    fn meant<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        if self.specs.contains_key(name) {
            return Some(name);
        }
        match self.sharing(name) {
            [only] => Some(only),
            _ => None, // Nobody has it, or it is not clear whose is meant.
        }
    }

    /// Returns the newest spec of every activity in order of its identifier.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ActivitySpec>> {
        self.specs.values().filter_map(|versions| versions.last())
    }
}
