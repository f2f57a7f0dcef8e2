//! Activities as the API shows them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::domain::activity::{ActivitySpec, Catalogue, Compensation, Reach};
use crate::domain::id::TenantId;
use crate::domain::time::format_duration;

/// One operation that a step can call.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityView {
    /// The name that steps use.
    pub unique_identifier: String,
    /// The name for people.
    pub name: String,
    /// Counts from 1.
    pub version: u32,
    /// Every version that steps may pin, in order.
    pub versions: Vec<u32>,
    /// Groups activities in lists.
    pub category: String,
    /// Who offers it.
    pub source: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of the rendered input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// `{limit, window, key}`, or null.
    pub throttle: Value,
    /// How long an attempt may take.
    pub timeout: String,
    /// `{attempts, initial, factor, max, jitter}`.
    pub retry: Value,
    /// `none`, `auto`, `offered` or `manual`.
    pub compensation: &'static str,
    /// How a call is settled whose outcome is unknown: `repeat`, `lookup` or `ask`; null where it
    /// cannot be.
    pub in_doubt: Option<&'static str>,
    /// What the caller must be allowed to do.
    pub scopes: Vec<String>,
}

impl App {
    /// Returns every activity that the definitions of a tenant may name: the built-in ones and
    /// those that it installed.
    #[must_use]
    pub fn catalogue(&self, tenant: TenantId) -> Arc<Catalogue> {
        Arc::clone(self.engine().installed(tenant).catalogue())
    }

    /// Lists activities by identifier, each in its newest version.
    #[must_use]
    pub fn activities(&self, who: &Principal, category: Option<&str>) -> Vec<ActivityView> {
        let catalogue = self.catalogue(who.tenant);
        let wanted =
            catalogue.iter().filter(|spec| category.is_none_or(|name| spec.category == name));
        wanted.map(|spec| ActivityView::of(spec, &catalogue)).collect()
    }

    /// Returns one activity by its identifier or a name that stands for it; a version behind an
    /// `@` is allowed, and no version is the newest.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn activity(&self, who: &Principal, identifier: &str) -> Result<ActivityView, Error> {
        let missing = || Error::NotFound { what: "activity", id: identifier.to_owned() };
        let (plain, version) = match identifier.split_once('@') {
            Some((plain, version)) => (plain, Some(version.parse().map_err(|_| missing())?)),
            None => (identifier, None),
        };
        let catalogue = self.catalogue(who.tenant);
        let spec = catalogue.find_version(catalogue.bare(plain), version);
        spec.map(|spec| ActivityView::of(spec, &catalogue)).ok_or_else(missing)
    }
}

impl ActivityView {
    /// Returns whether a text stands in its identifier, name, description or source, whatever the
    /// case of its letters.
    #[must_use]
    pub fn has_text(&self, text: &str) -> bool {
        let wanted = text.to_lowercase();
        let fields = [&self.unique_identifier, &self.name, &self.description, &self.source];
        fields.iter().any(|field| field.to_lowercase().contains(&wanted))
    }

    fn of(spec: &ActivitySpec, catalogue: &Catalogue) -> ActivityView {
        let settling = catalogue.settling(&spec.identifier).as_str();
        let in_doubt = (spec.reach == Reach::Outside).then_some(settling);
        let versions = catalogue.versions(&spec.identifier).collect();
        ActivityView { in_doubt, versions, ..ActivityView::from(spec) }
    }
}

impl From<&ActivitySpec> for ActivityView {
    fn from(spec: &ActivitySpec) -> ActivityView {
        let throttle = spec.throttle.as_ref().map(|throttle| {
            json!({
                "limit": throttle.limit,
                "window": format_duration(throttle.window),
                "key": throttle.key.name(),
            })
        });
        ActivityView {
            unique_identifier: spec.identifier.clone(),
            name: spec.name.clone(),
            version: spec.version,
            versions: vec![spec.version],
            category: spec.category.clone(),
            source: spec.source.clone(),
            description: spec.description.clone(),
            input_schema: spec.input_schema.clone(),
            output_schema: spec.output_schema.clone(),
            throttle: throttle.unwrap_or(Value::Null),
            timeout: format_duration(spec.timeout),
            retry: json!({
                "attempts": spec.retry.attempts,
                "initial": format_duration(spec.retry.initial),
                "factor": spec.retry.factor,
                "max": format_duration(spec.retry.max),
                "jitter": spec.retry.jitter,
            }),
            compensation: match spec.compensation {
                Compensation::NotNeeded => "none",
                Compensation::Automatic => "auto",
                Compensation::Offered => "offered",
                Compensation::Manual => "manual",
            },
            in_doubt: None,
            scopes: spec.scopes.clone(),
        }
    }
}
