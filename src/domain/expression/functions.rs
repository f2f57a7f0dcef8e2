//! The filters that expressions have beside those of the engine.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use chrono::format::{Item, StrftimeItems};
use chrono_tz::Tz;
use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters, functions};
use sha2::{Digest as _, Sha256};

use super::engine::to_json;
use crate::domain::time::{Timestamp, parse_duration};

const MAPPED_TEXT_BYTES_MAX: usize = 256;
const RANGE_MAX: usize = 10_000;

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.add_filter("_scalar", scalar);
    environment.add_filter("map", map);
    environment.add_filter("tojson", tojson);
    environment.add_function("range", range);
    environment.add_filter("truncate", truncate);
    environment.add_filter("slug", slug);
    environment.add_filter("domain", domain);
    environment.add_filter("date", date);
    environment.add_filter("add", add);
    environment.add_filter("b64", b64);
    environment.add_filter("pick", pick);
    environment.add_filter("omit", omit);
    environment.add_filter("plain", plain);
    environment.add_filter("hash", hash);
    environment.add_filter("slackescape", slackescape);
}

fn wrong(detail: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// Refuses what would be repeated when it is multiplied.
fn scalar(value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            Err(wrong(format!("a {} cannot be multiplied", value.kind())))
        }
        _ => Ok(value), // Numbers, and texts, for which fuel is paid.
    }
}

/// Maps as the engine does, but puts nothing large into every element.
fn map(
    state: &mut State,
    value: Value,
    arguments: Rest<ValueOrKwargs>,
) -> Result<Vec<Value>, Error> {
    for argument in arguments.iter() {
        let argument: &Value = argument;
        let named = argument.is_kwargs().then(|| argument.try_iter()).transpose()?;
        let is_large = match named {
            Some(names) => names
                .map(|name| argument.get_item(&name))
                .any(|named| named.is_ok_and(|named| is_large(&named))),
            None => is_large(argument),
        };
        if is_large {
            return Err(wrong("`map` takes only short texts and numbers"));
        }
    }
    filters::map(state, value, arguments)
}

/// Writes JSON as it is written elsewhere, without the engine's escapes for HTML.
fn tojson(value: Value) -> Result<String, Error> {
    let json = to_json(&value).map_err(|_| wrong("the value is too large or has no JSON"))?;
    Ok(json.to_string())
}

fn is_large(argument: &Value) -> bool {
    match argument.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => true,
        _ => argument.as_str().is_some_and(|text| text.len() > MAPPED_TEXT_BYTES_MAX),
    }
}

fn range(lower: isize, upper: Option<isize>, step: Option<isize>) -> Result<Value, Error> {
    let range = functions::range(lower, upper, step)?;
    match range.len() {
        Some(length) if length <= RANGE_MAX => Ok(range),
        _ => Err(wrong(format!("a range has at most {RANGE_MAX} elements"))),
    }
}

/// Cuts a text to `length` characters, the last of which is then an ellipsis.
fn truncate(text: Cow<'_, str>, length: usize) -> String {
    if text.chars().count() <= length {
        return text.into_owned();
    }
    let kept: String = text.chars().take(length.saturating_sub(1)).collect();
    let ellipsis = if length == 0 { "" } else { "…" };
    format!("{}{ellipsis}", kept.trim_end())
}

/// Makes a text fit for a name or an address: lower case, digits and single hyphens.
fn slug(text: Cow<'_, str>) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// Returns the domain of a mail address or of a web address, in lower case.
fn domain(text: Cow<'_, str>) -> String {
    let host = text.split_once("://").map_or(text.as_ref(), |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    host.trim().trim_end_matches('>').to_lowercase()
}

/// Writes a time as `format` says, by default as its date, and in a zone where one is named.
fn date(
    time: Cow<'_, str>,
    format: Option<Cow<'_, str>>,
    zone: Option<Cow<'_, str>>,
) -> Result<String, Error> {
    let moment = DateTime::parse_from_rfc3339(&time)
        .map_err(|_| wrong(format!("`{time}` is not an RFC 3339 time")))?;
    let moment = match zone {
        Some(zone) => {
            let known: Tz = zone
                .parse()
                .map_err(|_| wrong(format!("`{zone}` is not a time zone such as Europe/Berlin")))?;
            moment.with_timezone(&known).fixed_offset()
        }
        None => moment,
    };
    let format = format.unwrap_or(Cow::Borrowed("%Y-%m-%d"));
    let items: Vec<Item<'_>> = StrftimeItems::new(&format).collect();
    if items.contains(&Item::Error) {
        return Err(wrong(format!("`{format}` is not a time format such as %Y-%m-%d %H:%M")));
    }
    Ok(moment.format_with_items(items.into_iter()).to_string())
}

/// Moves a time by a duration such as `4h` or `-30d`.
fn add(time: Cow<'_, str>, duration: Cow<'_, str>) -> Result<String, Error> {
    let moment: Timestamp = time.parse().map_err(|error| wrong(format!("{error}")))?;
    let (is_back, length) = match duration.trim().strip_prefix('-') {
        Some(length) => (true, length),
        None => (false, duration.trim().trim_start_matches('+')),
    };
    let length: Duration = parse_duration(length).map_err(|error| wrong(format!("{error}")))?;
    Ok(if is_back { moment - length } else { moment + length }.to_string())
}

/// Returns the SHA-256 of a text in hexadecimal, as a key that tells nothing.
fn hash(text: Cow<'_, str>) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Takes from a text what Slack would read as markup.
/// Source: <https://docs.slack.dev/messaging/formatting-message-text/#escaping>.
fn slackescape(text: Cow<'_, str>) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn b64(text: Cow<'_, str>) -> String {
    STANDARD.encode(text.as_bytes())
}

fn pick(object: Value, keys: Rest<String>) -> Result<Value, Error> {
    fields(&object, |name| keys.iter().any(|key| key == name))
}

fn omit(object: Value, keys: Rest<String>) -> Result<Value, Error> {
    fields(&object, |name| !keys.iter().any(|key| key == name))
}

fn fields(object: &Value, is_kept: impl Fn(&str) -> bool) -> Result<Value, Error> {
    if object.kind() != ValueKind::Map {
        return Err(wrong(format!("{} has no fields", object.kind())));
    }
    let mut kept = Vec::new();
    for key in object.try_iter()? {
        if key.as_str().is_some_and(&is_kept) {
            let field = object.get_item(&key)?;
            kept.push((key, field));
        }
    }
    Ok(Value::from_pairs(kept))
}

const ENTITIES: [(&str, &str); 6] = [
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&#39;", "'"),
    ("&nbsp;", " "),
    ("&amp;", "&"),
];

/// Turns HTML into its text: no tags, the common entities as characters, single spaces.
fn plain(text: Cow<'_, str>) -> String {
    let mut stripped = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some((before, tag)) = rest.split_once('<') {
        stripped.push_str(before);
        let is_tag = tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        match tag.split_once('>') {
            Some((_, after)) if is_tag => {
                stripped.push(' ');
                rest = after;
            }
            _ => {
                stripped.push('<'); // A lone sign, as in `a < b`.
                rest = tag;
            }
        }
    }
    stripped.push_str(rest);
    for (entity, character) in ENTITIES {
        stripped = stripped.replace(entity, character);
    }
    stripped.split_whitespace().collect::<Vec<_>>().join(" ")
}
