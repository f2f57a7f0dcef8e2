//! A subscription as somebody wrote it, and the check of it against what there is.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::error::Error;
use crate::activities::outside::courier::{Courier, PlainHttp};
use crate::domain::id::TenantId;
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::secret::Secret;
use crate::domain::signature::standard_webhooks::PREFIX;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Format, Subscription};
use crate::store::seal::Sealer;
use crate::store::webhooks::{SealedPart, WebhookRow, place};

const URL_CHARS_MAX: usize = 2_048;
const DESCRIPTION_CHARS_MAX: usize = 1_000;
const HEADERS_MAX: usize = 20;
const HEADER_CHARS_MAX: usize = 4_096;
/// The lengths of a secret that Standard Webhooks allows, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What is given of a subscription; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct WebhookDraft {
    /// Where deliveries go.
    pub url: Option<String>,
    /// Patterns of event types.
    pub types: Option<Vec<String>>,
    /// A condition on events; `Some(None)` takes it away.
    pub filter: Option<Option<Value>>,
    /// What it is for.
    pub description: Option<String>,
    /// `event` or `thena`.
    pub format: Option<String>,
    /// Headers that are sent beside ours, all of them.
    pub headers: Option<Map<String, Value>>,
    /// Whether events are delivered.
    pub enabled: Option<bool>,
    /// What deliveries are signed with; only when it is made.
    pub secret: Option<String>,
}

impl WebhookDraft {
    /// Makes every field given, by the value that a new subscription has.
    #[must_use]
    pub fn whole(self) -> WebhookDraft {
        WebhookDraft {
            url: Some(self.url.unwrap_or_default()),
            types: Some(self.types.unwrap_or_default()),
            filter: Some(self.filter.flatten()),
            description: Some(self.description.unwrap_or_default()),
            format: Some(self.format.unwrap_or_else(|| Format::default().as_str().to_owned())),
            headers: Some(self.headers.unwrap_or_default()),
            enabled: Some(self.enabled.unwrap_or(true)),
            secret: self.secret,
        }
    }
}

/// What a subscription is checked against, and what seals its secrets.
pub(super) struct Checks {
    pub(super) tenant: TenantId,
    pub(super) courier: Arc<Courier>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) known: Vec<String>,
    pub(super) webhooks_max: usize,
    pub(super) plain: PlainHttp,
}

impl Checks {
    /// Puts what is given into `row`; what was wrong elsewhere is told together with what is
    /// wrong here.
    pub(super) fn complete(
        &self,
        row: &mut WebhookRow,
        draft: WebhookDraft,
        mut problems: Vec<Problem>,
    ) -> Result<(), Error> {
        if let Some(url) = draft.url {
            problems.extend(self.url_problem(&url));
            row.url = url.trim().to_owned();
        }
        let is_about_events = draft.types.is_some() || draft.filter.is_some();
        if let Some(types) = draft.types {
            row.types = types;
        }
        if let Some(filter) = draft.filter {
            row.filter = filter;
        }
        if is_about_events {
            let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
            match Subscription::parse(&row.types, row.filter.as_ref(), &known) {
                Ok(subscription) => row.types = subscription.types(),
                Err(more) => problems.extend(more),
            }
        }
        if let Some(description) = draft.description {
            problems.extend(too_long("/description", &description, DESCRIPTION_CHARS_MAX));
            row.description = description;
        }
        if let Some(format) = draft.format {
            match Format::parse(&format) {
                Some(format) => row.format = format,
                None => problems.push(format_problem(&format)),
            }
        }
        if let Some(headers) = draft.headers {
            match read_headers(headers) {
                Ok(headers) => self.seal_headers(row, &headers),
                Err(more) => problems.extend(more),
            }
        }
        row.enabled = draft.enabled.unwrap_or(row.enabled);
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
    }

    /// Returns what is wrong with a secret that was given.
    pub(super) fn secret_problem(&self, secret: Option<&str>) -> Option<Problem> {
        let encoded = secret?.strip_prefix(PREFIX).unwrap_or_default();
        let bytes = STANDARD.decode(encoded).map_or(0, |bytes| bytes.len());
        if SECRET_BYTES.contains(&bytes) {
            return None;
        }
        let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
        let detail = format!("must be `{PREFIX}` and base64 of {least} to {most} bytes");
        let problem = Problem::new("/secret", "invalid_secret", detail);
        Some(problem.with_hint("leave it out, and one is made"))
    }

    pub(super) fn url_problem(&self, url: &str) -> Option<Problem> {
        if url.trim().is_empty() {
            return Some(Problem::new("/url", "required", "`url` is required"));
        }
        if let Some(problem) = too_long("/url", url, URL_CHARS_MAX) {
            return Some(problem);
        }
        let failure = self.courier.address(url, self.plain).err()?;
        Some(Problem::new("/url", &failure.code, failure.message))
    }

    fn seal_headers(&self, row: &mut WebhookRow, headers: &BTreeMap<String, String>) {
        row.header_names = headers.keys().cloned().collect();
        row.headers = None;
        if !headers.is_empty() {
            row.version += 1;
            let text = Secret::new(json!(headers).to_string());
            let sealed = self.sealer.seal(place(self.tenant, &row.id, row.version), &text);
            row.headers = Some(SealedPart { sealed, version: row.version });
        }
    }
}

impl WebhookRow {
    /// Returns a subscription of which nothing is known yet but its name and its maker.
    pub(super) fn blank(id: String, created_by: &str, now: Timestamp) -> WebhookRow {
        WebhookRow {
            id,
            url: String::new(),
            types: Vec::new(),
            filter: None,
            description: String::new(),
            format: Format::default(),
            app: None,
            teams: Vec::new(),
            header_names: Vec::new(),
            headers: None,
            secrets: Vec::new(),
            version: 0,
            enabled: true,
            disabled: None,
            created_at: now,
            created_by: created_by.to_owned(),
            updated_at: now,
        }
    }
}

fn read_headers(given: Map<String, Value>) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let mut problems = Vec::new();
    if given.len() > HEADERS_MAX {
        let detail = format!("{} headers are too many, the limit is {HEADERS_MAX}", given.len());
        problems.push(Problem::new("/headers", "too_many_headers", detail));
    }
    let mut headers = BTreeMap::new();
    for (name, value) in given {
        let pointer = pointer_to("/headers", &name);
        let Value::String(value) = value else {
            problems.push(Problem::new(pointer, "wrong_type", "must be a text"));
            continue;
        };
        if let Some(fault) = Courier::header_fault(&name, &value) {
            problems.push(Problem::new(&pointer, "invalid_header", fault));
        }
        problems.extend(too_long(&pointer, &value, HEADER_CHARS_MAX));
        headers.insert(name.to_lowercase(), value);
    }
    if problems.is_empty() { Ok(headers) } else { Err(problems) }
}

fn too_long(pointer: &str, text: &str, chars_max: usize) -> Option<Problem> {
    let chars = text.chars().count();
    (chars > chars_max).then(|| {
        let detail = format!("has {chars} characters, {chars_max} are the most");
        Problem::new(pointer, "too_long", detail)
    })
}

fn format_problem(given: &str) -> Problem {
    let known = Format::ALL.map(Format::as_str);
    let detail = format!("`{given}` is no format; one is {}", known.join(" or "));
    let problem = Problem::new("/format", "unknown_format", detail);
    match nearest(given, known) {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}
