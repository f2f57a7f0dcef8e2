//! What an app says of itself: read whole, as Thena's manifests are written, and compared.

mod activity;
mod change;
mod read;
mod scope;
mod setting;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::event_type;
use super::problem::Problem;

pub use activity::ManifestActivity;
pub use change::{ManifestChange, changes};
pub use scope::own_scopes;
pub use setting::{Given, Setting, fitting};

use read::{Need, Reader};

const NAME_CHARS_MAX: usize = 100;
const SLUG_CHARS_MAX: usize = 40;
const EVENTS_MAX: usize = 100;
/// The parts of a manifest.
const PARTS: [&str; 9] = [
    "app",
    "developer",
    "events",
    "scopes",
    "metadata",
    "activities",
    "integration",
    "configuration",
    "$schema",
];
const VISIBILITIES: [&str; 3] = ["public", "private", "unlisted"];
/// The places where the address for an app's own life may stand in `integration`.
const LIFECYCLE_URLS: [&str; 5] = [
    "/webhooks/installations",
    "/webhooks/installation",
    "/webhooks/lifecycle",
    "/installation_webhook_url",
    "/installations_url",
];
/// The places where the address for the events of the platform may stand in `integration`.
const EVENT_URLS: [&str; 5] = [
    "/webhooks/events",
    "/webhooks/platform_events",
    "/events_webhook_url",
    "/platform_events_url",
    "/webhook_url",
];

/// An app as its manifest describes it, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The name for people.
    pub name: String,
    /// The short name: lower case, digits and hyphens.
    pub slug: String,
    /// The developer's own version, such as `1.2.0`.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// `productivity`, `communication` and so on.
    pub category: String,
    /// `public`, `private` or `unlisted`.
    pub visibility: String,
    /// Who made it.
    pub author: String,
    /// The events that it publishes.
    pub publishes: Vec<PublishedEvent>,
    /// Patterns of the events that it wants, in the order of the manifest.
    pub subscribes: Vec<String>,
    /// What it cannot do without, as scopes of the platform.
    pub scopes_required: Vec<String>,
    /// What it can do without.
    pub scopes_optional: Vec<String>,
    /// What it can do in a step.
    pub activities: Vec<ManifestActivity>,
    /// What is set when it is installed.
    pub settings: Vec<Setting>,
    /// Where events go.
    pub events_url: Option<String>,
    /// Where the news of its own life goes.
    pub lifecycle_url: Option<String>,
}

/// An event that an app publishes.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedEvent {
    /// The type, such as `linear.contact.synced`.
    pub kind: String,
    /// Why it is published.
    pub reason: String,
    /// JSON Schema of the payload.
    pub schema: Value,
}

impl Manifest {
    /// Reads a manifest with Thena's keys.
    ///
    /// # Errors
    /// Returns every problem, each with the RFC 6901 pointer to its place.
    pub fn parse(raw: &Value) -> Result<Manifest, Vec<Problem>> {
        let mut reader = Reader::default();
        let manifest = read(&mut reader, raw);
        match manifest {
            Some(manifest) if reader.problems.is_empty() => Ok(manifest),
            _ => Err(reader.problems), // Whatever was missed says why.
        }
    }
}

fn read(reader: &mut Reader, raw: &Value) -> Option<Manifest> {
    let root = reader.root(raw)?;
    reader.close(root, "", &PARTS);
    let about = reader.object(root, "", "app", Need::Required)?;
    let (name, slug) = names(reader, about);
    let mut plain = |field, standard: &str| {
        let given = reader.text(about, "/app", field, Need::Optional);
        given.filter(|text| !text.is_empty()).unwrap_or_else(|| standard.to_owned())
    };
    let (version, description) = (plain("version", "1.0.0"), plain("description", ""));
    let (category, visibility) = (plain("category", "custom"), plain("visibility", "private"));
    reader.one_of("/app/visibility", &visibility, &VISIBILITIES);
    let developer = reader.object(root, "", "developer", Need::Optional);
    let author = developer
        .and_then(|developer| reader.text(developer, "/developer", "name", Need::Optional))
        .unwrap_or_default();
    reader.object(root, "", "metadata", Need::Optional);
    let (publishes, subscribes) = events(reader, root);
    let (scopes_required, scopes_optional) = scopes(reader, root);
    let settings = setting::read(reader, raw);
    let activities = activity::read(reader, raw, &settings);
    for activity in &activities {
        activity.check_scopes(reader, scopes_required.iter().chain(&scopes_optional));
    }
    reader.object(root, "", "integration", Need::Optional);
    Some(Manifest {
        name,
        slug,
        version,
        description,
        category,
        visibility,
        author,
        publishes,
        subscribes,
        scopes_required,
        scopes_optional,
        activities,
        settings,
        events_url: address(reader, raw, &EVENT_URLS),
        lifecycle_url: address(reader, raw, &LIFECYCLE_URLS),
    })
}

fn names(reader: &mut Reader, about: &Map<String, Value>) -> (String, String) {
    let name = reader.text(about, "/app", "name", Need::Required).unwrap_or_default();
    if name.chars().count() > NAME_CHARS_MAX {
        let detail = format!("has more than {NAME_CHARS_MAX} characters");
        reader.report("/app/name", "too_long", &detail);
    }
    let slug = reader.text(about, "/app", "slug", Need::Optional);
    let slug = slug.unwrap_or_else(|| slug_of(&name));
    if !is_slug(&slug) && !name.is_empty() {
        let detail = "must have 1 to 40 lower-case letters, digits and `-`, a letter first";
        reader.report("/app/slug", "invalid_slug", detail);
    }
    (name, slug)
}

/// Returns the address at the first of `places` that is there.
fn address(reader: &mut Reader, raw: &Value, places: &[&str]) -> Option<String> {
    let places = places.iter().map(|place| format!("/integration{place}"));
    let is_given = |place: &String| raw.pointer(place).is_some_and(|url| !url.is_null());
    let place = places.into_iter().find(is_given)?;
    reader.url(raw, &place)
}

fn events(reader: &mut Reader, root: &Map<String, Value>) -> (Vec<PublishedEvent>, Vec<String>) {
    let Some(events) = reader.object(root, "", "events", Need::Optional) else {
        return Default::default();
    };
    reader.close(events, "/events", &["publish", "subscribe"]);
    let mut publishes: Vec<PublishedEvent> = Vec::new();
    for (at, event) in reader.items(events, "/events", "publish", EVENTS_MAX) {
        reader.close(event, &at, &["event", "name", "reason", "description", "schema"]);
        let named = if event.contains_key("name") { "name" } else { "event" };
        let Some(kind) = reader.text(event, &at, named, Need::Required) else { continue };
        if let Some((code, detail)) = event_fault(&kind) {
            reader.report(&format!("{at}/{named}"), code, &detail);
        } else if publishes.iter().any(|known| known.kind == kind) {
            reader.report(&format!("{at}/{named}"), "duplicate", "is published twice");
        }
        let reason = reader.text(event, &at, "reason", Need::Optional).unwrap_or_default();
        let schema = reader.schema(event, &at, "schema").unwrap_or(Value::Bool(true));
        publishes.push(PublishedEvent { kind, reason, schema });
    }
    let mut subscribes = Vec::new();
    for (at, event) in reader.items(events, "/events", "subscribe", EVENTS_MAX) {
        reader.close(event, &at, &["event", "name", "reason", "description"]);
        let named = if event.contains_key("name") { "name" } else { "event" };
        subscribes.extend(reader.text(event, &at, named, Need::Required));
    }
    (publishes, subscribes)
}

/// Says what is wrong with the type of an event that an app would publish.
fn event_fault(kind: &str) -> Option<(&'static str, String)> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
    if kind.len() > 255 || !kind.chars().all(fits) {
        return Some(("invalid_type", "must have 1 to 255 letters, digits and `_-.:/`".to_owned()));
    }
    let family = kind.split([':', '.']).next().unwrap_or_default();
    if family.is_empty() || family == kind {
        let detail = "must begin with a namespace, such as `linear.contact.synced`";
        return Some(("invalid_type", detail.to_owned()));
    }
    let is_taken = |known: &event_type::EventType| known.kind.split(':').next() == Some(family);
    let own = event_type::built_in().iter().any(is_taken) || event_type::find(kind).is_some();
    own.then(|| ("reserved_type", format!("`{family}` is a family of the platform's own events")))
}

fn scopes(reader: &mut Reader, root: &Map<String, Value>) -> (Vec<String>, Vec<String>) {
    let Some(scopes) = reader.object(root, "", "scopes", Need::Optional) else {
        return Default::default();
    };
    reader.close(scopes, "/scopes", &["required", "optional"]);
    let mut read = |list: &str| {
        let mut all: Vec<String> = Vec::new();
        for (at, text) in reader.texts(scopes, "/scopes", list) {
            match own_scopes(&text) {
                Ok(own) => all.extend(own),
                Err(problem) => reader.problems.push(Problem { pointer: at, ..problem }),
            }
        }
        all.sort();
        all.dedup();
        all
    };
    let required = read("required");
    let mut optional = read("optional");
    optional.retain(|scope| !required.contains(scope));
    (required, optional)
}

fn is_slug(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.len() <= SLUG_CHARS_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(fits)
}

/// Returns the short name that follows from a name.
fn slug_of(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    let slug = joined.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    slug.chars().take(SLUG_CHARS_MAX).collect::<String>().trim_end_matches('-').to_owned()
}
