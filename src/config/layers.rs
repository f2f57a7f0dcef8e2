//! Lays file, environment and flags over the defaults, and remembers which one each value is from.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::sense::nonsense;
use super::{Config, FOREIGN_VARIABLES, Flag, Loaded, SECRETS};
use crate::domain::problem::nearest;

const PREFIX: &str = "ERGANE_";
const MASK: &str = "********";
const PREPARED_KEY_CHARS_MIN: usize = 16;

/// One setting with its value in effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its name in the file, with dots.
    pub key: String,
    /// Its value; a secret's is masked.
    pub value: Value,
    /// Where the value comes from.
    pub source: Source,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said otherwise.
    Default,
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// The command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => out.write_str("default"),
            Source::File { path, line } => write!(out, "{}:{line}", path.display()),
            Source::Environment(name) => out.write_str(name),
            Source::Flag(name) => out.write_str(name),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {reason}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is no TOML.
    #[error("{path}: {reason}", path = .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        reason: String,
    },
    /// There is no such setting.
    #[error("{place}: there is no setting `{key}`{}", suggestion(.meant.as_deref()))]
    Unknown {
        /// Where it was given.
        place: String,
        /// What was given.
        key: String,
        /// The setting that was probably meant.
        meant: Option<String>,
    },
    /// The value does not fit the setting.
    #[error("{place}: `{key}` cannot take this value: {reason}")]
    Value {
        /// Where it was given.
        place: String,
        /// The setting.
        key: String,
        /// What does not fit.
        reason: String,
    },
}

fn suggestion(meant: Option<&str>) -> String {
    meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// A value that replaces a default.
struct Override {
    key: String,
    value: Value,
    source: Source,
}

/// Lays `file`, `variables` and `flags` over the defaults, in this order.
pub(super) fn load(
    file: Option<(&Path, &str)>,
    variables: impl Iterator<Item = (String, String)>,
    flags: &[Flag],
) -> Result<Loaded, ConfigError> {
    let defaults = serde_json::to_value(Config::default()).expect("settings are plain data");
    let known = flatten(&defaults);
    let mut overrides = match file {
        Some((path, text)) => from_file(path, text, &known)?,
        None => Vec::new(),
    };
    overrides.extend(from_environment(variables, &known)?);
    overrides.extend(flags.iter().map(|flag| Override {
        key: flag.key.to_owned(),
        value: read_as(&flag.value, known.get(flag.key)),
        source: Source::Flag(flag.name),
    }));
    let mut tree = defaults.clone();
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    for change in overrides {
        check_alone(&defaults, &change)?;
        set(&mut tree, &change.key, change.value);
        sources.insert(change.key, change.source);
    }
    let config: Config = serde_json::from_value(tree.clone())
        .expect("each value was accepted alone, and settings do not depend on each other");
    check_prepared_key(&config, &sources)?;
    check_notices(&config, &sources)?;
    check_sense(&config, &sources)?;
    let settings =
        flatten(&tree).into_iter().map(|(key, value)| describe(key, value, &mut sources)).collect();
    Ok(Loaded { config, settings, file: file.map(|(path, _)| path.to_path_buf()) })
}

fn check_prepared_key(
    config: &Config,
    sources: &BTreeMap<String, Source>,
) -> Result<(), ConfigError> {
    let length = config.bootstrap_key.chars().count();
    if length == 0 || length >= PREPARED_KEY_CHARS_MIN {
        return Ok(());
    }
    let key = "bootstrap_key".to_owned();
    let place = sources.get(&key).unwrap_or(&Source::Default).to_string();
    let reason = format!("it has {length} characters, {PREPARED_KEY_CHARS_MIN} are the least");
    Err(ConfigError::Value { place, key, reason })
}

fn check_notices(config: &Config, sources: &BTreeMap<String, Source>) -> Result<(), ConfigError> {
    for (number, notice) in config.notices.iter().enumerate() {
        if let Some(fault) = notice.fault() {
            let key = "notices".to_owned();
            let place = sources.get(&key).unwrap_or(&Source::Default).to_string();
            let reason = format!("number {} {fault}", number + 1);
            return Err(ConfigError::Value { place, key, reason });
        }
    }
    Ok(())
}

/// Hides the secrets inside a list of tables.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_secrets).collect(),
        Value::Object(fields) => {
            let hidden = fields.into_iter().map(|(name, field)| {
                let is_secret = matches!(name.as_str(), "secret" | "password" | "url");
                let is_set = field.as_str().is_some_and(|text| !text.is_empty());
                match is_secret && is_set {
                    true => (name, Value::String(MASK.to_owned())),
                    false => (name, without_secrets(field)),
                }
            });
            Value::Object(hidden.collect())
        }
        plain => plain,
    }
}

fn check_sense(config: &Config, sources: &BTreeMap<String, Source>) -> Result<(), ConfigError> {
    let Some((keys, reason)) = nonsense(config) else { return Ok(()) };
    // Somebody set one of the two, and that one is to be looked at.
    let key = keys.into_iter().find(|key| sources.contains_key(*key)).unwrap_or(keys[0]);
    let place = sources.get(key).unwrap_or(&Source::Default).to_string();
    Err(ConfigError::Value { place, key: key.to_owned(), reason })
}

fn describe(key: String, value: Value, sources: &mut BTreeMap<String, Source>) -> Setting {
    let is_hidden = SECRETS.contains(&key.as_str()) && value != Value::String(String::new());
    let value = if is_hidden { Value::String(MASK.to_owned()) } else { without_secrets(value) };
    let source = sources.remove(&key).unwrap_or(Source::Default);
    Setting { key, value, source }
}

/// Takes the override alone, so that an error names the setting that is to blame.
fn check_alone(defaults: &Value, change: &Override) -> Result<(), ConfigError> {
    let mut tree = defaults.clone();
    set(&mut tree, &change.key, change.value.clone());
    serde_json::from_value::<Config>(tree).map(drop).map_err(|error| ConfigError::Value {
        place: change.source.to_string(),
        key: change.key.clone(),
        reason: error.to_string(),
    })
}

fn from_file(
    path: &Path,
    text: &str,
    known: &BTreeMap<String, Value>,
) -> Result<Vec<Override>, ConfigError> {
    let syntax = |error: toml::de::Error| ConfigError::Syntax {
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    let table = DeTable::parse(text).map_err(syntax)?;
    let values: Value = toml::from_str(text).map_err(syntax)?;
    let mut spans = Vec::new();
    collect_keys(table.get_ref(), "", known, &mut spans);
    let mut overrides = Vec::new();
    for (key, span) in spans {
        let line = text[..span.start].matches('\n').count() + 1;
        let source = Source::File { path: path.to_path_buf(), line };
        if !known.contains_key(&key) {
            return Err(unknown(source.to_string(), key, known));
        }
        let pointer = format!("/{}", key.replace('.', "/"));
        let value = values.pointer(&pointer).cloned().unwrap_or(Value::Null);
        overrides.push(Override { key, value, source });
    }
    Ok(overrides)
}

/// Lists the keys of `table` in full; a table is entered only where settings lie below it.
fn collect_keys(
    table: &DeTable<'_>,
    above: &str,
    known: &BTreeMap<String, Value>,
    found: &mut Vec<(String, Range<usize>)>,
) {
    for (name, value) in table {
        let key = join(above, name.get_ref());
        let section = format!("{key}.");
        match value.get_ref() {
            DeValue::Table(inner) if known.keys().any(|known| known.starts_with(&section)) => {
                collect_keys(inner, &key, known, found);
            }
            _ => found.push((key, name.span())), // A setting, or something that is none.
        }
    }
}

fn from_environment(
    variables: impl Iterator<Item = (String, String)>,
    known: &BTreeMap<String, Value>,
) -> Result<Vec<Override>, ConfigError> {
    let names: BTreeMap<String, &str> =
        known.keys().map(|key| (variable_of(key), key.as_str())).collect();
    let mut given: Vec<(String, String)> = variables
        .filter(|(name, _)| name.starts_with(PREFIX))
        .filter(|(name, _)| !FOREIGN_VARIABLES.contains(&name.as_str()))
        .collect();
    given.sort();
    let mut overrides = Vec::new();
    for (name, value) in given {
        let secret = name.strip_suffix("_FILE").and_then(|stem| names.get(stem));
        let (key, value) = match (names.get(&name), secret) {
            (Some(key), _) => (*key, value),
            (None, Some(key)) if SECRETS.contains(key) => (*key, read_secret(&value)?),
            _ if is_meant_for_us(&name, &names) => return Err(unknown_variable(&name, known)),
            _ => continue, // Orchestrators set variables such as ERGANE_PORT for a service's name.
        };
        let value = read_as(&value, known.get(key));
        overrides.push(Override { key: key.to_owned(), value, source: Source::Environment(name) });
    }
    Ok(overrides)
}

fn read_secret(path: &str) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: PathBuf::from(path),
        reason: error.to_string(),
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn is_meant_for_us(name: &str, names: &BTreeMap<String, &str>) -> bool {
    name.contains("__") || nearest(name, names.keys().map(String::as_str)).is_some()
}

fn unknown_variable(name: &str, known: &BTreeMap<String, Value>) -> ConfigError {
    let key = name.trim_start_matches(PREFIX).to_lowercase().replace("__", ".");
    unknown(format!("environment variable {name}"), key, known)
}

fn unknown(place: String, key: String, known: &BTreeMap<String, Value>) -> ConfigError {
    let meant = nearest(&key, known.keys().map(String::as_str)).map(str::to_owned);
    ConfigError::Unknown { place, key, meant }
}

/// Reads a text as the kind of value that the default is; what does not fit stays a text, and the
/// setting itself refuses it with a reason.
fn read_as(text: &str, default: Option<&Value>) -> Value {
    let as_text = || Value::String(text.to_owned());
    match default {
        Some(Value::Bool(_)) => match text {
            "true" | "1" | "yes" => Value::Bool(true),
            "false" | "0" | "no" => Value::Bool(false),
            _ => as_text(),
        },
        Some(Value::Number(_)) => {
            text.parse::<serde_json::Number>().map_or_else(|_| as_text(), Value::Number)
        }
        Some(Value::Array(_)) => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| Value::String(item.to_owned()))
            .collect(),
        Some(Value::Null | Value::String(_) | Value::Object(_)) | None => as_text(),
    }
}

/// Returns every leaf of a tree by its full key.
pub(super) fn flatten(tree: &Value) -> BTreeMap<String, Value> {
    fn descend(tree: &Value, above: &str, leaves: &mut BTreeMap<String, Value>) {
        match tree {
            Value::Object(fields) => {
                for (name, value) in fields {
                    descend(value, &join(above, name), leaves);
                }
            }
            leaf => drop(leaves.insert(above.to_owned(), leaf.clone())),
        }
    }
    let mut leaves = BTreeMap::new();
    descend(tree, "", &mut leaves);
    leaves
}

fn set(tree: &mut Value, key: &str, value: Value) {
    let slot = key.split('.').fold(tree, |node, name| &mut node[name]);
    *slot = value;
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
}

fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}
