//! Activities as the API shows them.

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::error::Error;
use crate::domain::activity::{ActivitySpec, Compensation};
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
    /// What the caller must be allowed to do.
    pub scopes: Vec<String>,
}

impl App {
    /// Lists activities by identifier.
    #[must_use]
    pub fn activities(&self, category: Option<&str>) -> Vec<ActivityView> {
        let all = self.engine().activities().catalogue().iter();
        let wanted = all.filter(|spec| category.is_none_or(|name| spec.category == name));
        wanted.map(|spec| ActivityView::from(&**spec)).collect()
    }

    /// Returns one activity; a version behind an `@` is allowed.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn activity(&self, identifier: &str) -> Result<ActivityView, Error> {
        let plain = identifier.split_once('@').map_or(identifier, |(plain, _)| plain);
        let catalogue = self.engine().activities().catalogue();
        let spec = catalogue.find(catalogue.bare(plain)).cloned();
        spec.map(|spec| ActivityView::from(&*spec))
            .ok_or_else(|| Error::NotFound { what: "activity", id: identifier.to_owned() })
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
            scopes: spec.scopes.clone(),
        }
    }
}
