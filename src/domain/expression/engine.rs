//! Evaluates what is more than a path, with MiniJinja, in bounded time and size.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value as Dynamic};
use serde_json::{Map, Number, Value};

use super::scan::{Guard, NameKind, Occurrence, slot_name};
use super::template::spend;
use super::{OUTPUT_BYTES_MAX, functions};
use crate::domain::scope::Scope;

/// The fuel of one evaluation: about as many operations, and 64 bytes for each unit.
const FUEL: u64 = 100_000;
const NESTING_MAX: usize = 100;
/// The most that one expression may read, in bytes of JSON, roughly.
pub(super) const INPUT_BYTES_MAX: usize = 2 * 1024 * 1024;
const ABSENT: &str = "\u{0}absent ";

/// The filters that an expression may name; the engine has others, which are not of use here.
pub(super) const FILTERS: [&str; 49] = [
    "abs",
    "add",
    "b64",
    "bool",
    "capitalize",
    "count",
    "d",
    "date",
    "default",
    "dictsort",
    "domain",
    "first",
    "float",
    "format",
    "hash",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "omit",
    "pick",
    "plain",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slackescape",
    "slug",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
];
pub(super) const TESTS: [&str; 35] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
    "safe",
    "escaped",
    "filter",
];
/// What is about HTML, or shows more than it should.
const UNWANTED_FILTERS: [&str; 5] = ["safe", "escape", "e", "pprint", "attr"];
/// What can put one value into many places, unpaid by fuel.
const AMPLIFYING_FILTERS: [&str; 5] = ["batch", "slice", "chain", "zip", "groupby"];
pub(super) const FUNCTIONS: [&str; 2] = ["dict", "range"];

pub(super) type Compiled = minijinja::Expression<'static, 'static>;

/// Why an evaluation gave no value.
#[derive(Debug)]
pub(super) enum Failure {
    /// The reference in this slot leads nowhere.
    Absent(usize),
    /// The whole came out undefined.
    NoValue,
    Failed(String),
    TooLarge,
    /// What the expression reads is too large together.
    TooMuchRead,
    OutOfFuel,
}

/// A syntax error at a byte offset of the slotted text.
pub(super) struct SyntaxError {
    pub offset: usize,
    pub detail: String,
}

pub(super) fn names_of(kind: NameKind) -> &'static [&'static str] {
    match kind {
        NameKind::Filter => &FILTERS,
        NameKind::Test => &TESTS,
        NameKind::Function => &FUNCTIONS,
    }
}

pub(super) fn compile(slotted: &str) -> Result<Compiled, SyntaxError> {
    environment().compile_expression_owned(slotted.to_owned()).map_err(|error| SyntaxError {
        offset: error.range().map_or(0, |range| range.start).min(slotted.len()),
        detail: error.detail().unwrap_or("the expression cannot be read").to_owned(),
    })
}

/// Evaluates to JSON of at most `bytes_max` bytes.
pub(super) fn evaluate(
    compiled: &Compiled,
    occurrences: &[Occurrence],
    scope: &Scope,
    bytes_max: usize,
) -> Result<Value, Failure> {
    let result = compiled.eval(slots(occurrences, scope)?).map_err(failure)?;
    if result.is_undefined() {
        return Err(Failure::NoValue);
    }
    let mut bytes_left = bytes_max;
    json(&result, &mut bytes_left, NESTING_MAX)
}

/// Turns a value of the engine into JSON, within the limits of a result.
pub(super) fn to_json(value: &Dynamic) -> Result<Value, Failure> {
    let mut bytes_left = OUTPUT_BYTES_MAX;
    json(value, &mut bytes_left, NESTING_MAX)
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(NESTING_MAX);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_debug(true); // Only so that syntax errors know where they are.
        for unwanted in UNWANTED_FILTERS.iter().chain(&AMPLIFYING_FILTERS) {
            environment.remove_filter(unwanted);
        }
        for unwanted in ["debug", "namespace"] {
            environment.remove_global(unwanted);
        }
        functions::register(&mut environment);
        environment
    })
}

/// Looks every reference up; an absent one fails only when the evaluation comes to it, because a
/// branch that is not taken may read what does not exist.
fn slots(occurrences: &[Occurrence], scope: &Scope) -> Result<Dynamic, Failure> {
    let mut slots = BTreeMap::new();
    let mut bytes_left = INPUT_BYTES_MAX;
    for (slot, occurrence) in occurrences.iter().enumerate() {
        let value = match (occurrence.path.lookup(scope).value, occurrence.guard) {
            (Some(value), _) if !spend(&value, &mut bytes_left) => {
                return Err(Failure::TooMuchRead);
            }
            (Some(value), _) => Dynamic::from(Serde(value.as_ref())),
            (None, Guard::Defaulted | Guard::Tested) => Dynamic::UNDEFINED,
            (None, Guard::Required) => {
                let detail = format!("{ABSENT}{slot}");
                Dynamic::from(Error::new(ErrorKind::UndefinedError, detail))
            }
        };
        slots.insert(slot_name(slot), value);
    }
    Ok(Dynamic::from_pairs(slots))
}

fn failure(error: Error) -> Failure {
    if error.kind() == ErrorKind::OutOfFuel {
        return Failure::OutOfFuel;
    }
    let detail = error.detail().unwrap_or_default();
    if let Some(slot) = detail.strip_prefix(ABSENT).and_then(|slot| slot.parse().ok()) {
        return Failure::Absent(slot);
    }
    match detail {
        "" => Failure::Failed(error.kind().to_string()),
        detail => Failure::Failed(format!("{}: {detail}", error.kind())),
    }
}

fn json(value: &Dynamic, bytes_left: &mut usize, depth: usize) -> Result<Value, Failure> {
    let text_bytes = value.as_str().map_or(0, str::len);
    *bytes_left = bytes_left.checked_sub(text_bytes + 2).ok_or(Failure::TooLarge)?;
    let inner_depth = depth.checked_sub(1).ok_or(Failure::TooLarge)?;
    Ok(match value.kind() {
        ValueKind::Undefined | ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => Value::Number(number(value)?),
        ValueKind::Seq | ValueKind::Iterable => {
            let mut items = Vec::new();
            for item in value.try_iter().map_err(failure)? {
                items.push(json(&item, bytes_left, inner_depth)?);
            }
            Value::Array(items)
        }
        ValueKind::Map => {
            let mut fields = Map::new();
            for key in value.try_iter().map_err(failure)? {
                let field = value.get_item(&key).map_err(failure)?;
                let key = key.to_string();
                *bytes_left = bytes_left.checked_sub(key.len() + 2).ok_or(Failure::TooLarge)?;
                fields.insert(key, json(&field, bytes_left, inner_depth)?);
            }
            Value::Object(fields)
        }
        ValueKind::Invalid => return Err(Failure::Failed(value.to_string())),
        _ => Value::String(value.to_string()), // Text, bytes and what can only be shown as text.
    })
}

fn number(value: &Dynamic) -> Result<Number, Failure> {
    if value.is_integer() {
        let signed = i64::try_from(value.clone()).map(Number::from);
        let unsigned = || u64::try_from(value.clone()).map(Number::from);
        return signed
            .or_else(|_| unsigned())
            .map_err(|_| Failure::Failed(format!("{value} is too large an integer for JSON")));
    }
    f64::try_from(value.clone())
        .ok()
        .and_then(Number::from_f64)
        .ok_or_else(|| Failure::Failed("the result is not a finite number".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_exists() {
        let unknown = |source: String| {
            let expression = environment().compile_expression_owned(source).expect("it parses");
            let error = expression.eval(()).err().map(|error| error.kind());
            matches!(
                error,
                Some(
                    ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
                )
            )
        };
        for filter in FILTERS {
            assert!(!unknown(format!("1|{filter}")), "filter {filter}");
        }
        for test in TESTS {
            assert!(!unknown(format!("1 is {test}")), "test {test}");
        }
        for function in FUNCTIONS {
            assert!(!unknown(format!("{function}()")), "function {function}");
        }
    }
}
