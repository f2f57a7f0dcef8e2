//! Reads the text of a definition, JSON or YAML, into one JSON value within fixed bounds.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::codes::hinted;
use crate::domain::problem::{Problem, pointer_to};

/// How a definition is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, RFC 8259.
    Json,
    /// YAML, one document.
    Yaml,
}

/// The bounds of a text, beyond which it is refused before it costs anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLimits {
    /// The longest text, in bytes.
    pub bytes_max: usize,
    /// How deep objects and arrays may lie in each other.
    pub depth_max: usize,
}

impl Default for TextLimits {
    fn default() -> TextLimits {
        TextLimits { bytes_max: 256 * 1024, depth_max: 64 }
    }
}

/// How many times its text a value may weigh once the aliases of YAML are followed.
const EXPANSION_MAX: usize = 4;

/// Reads `text` as one value; keys that stand twice, and aliases that swell it, are refused.
///
/// # Errors
/// Returns a problem with one of the codes `too_large`, `too_deep`, `duplicate_key`, `wrong_type`
/// and `syntax`, whose detail names the line and the column.
pub fn parse_text(text: &str, format: Format, limits: TextLimits) -> Result<Value, Problem> {
    if text.len() > limits.bytes_max {
        let detail =
            format!("the text has {} bytes, the limit is {}", text.len(), limits.bytes_max);
        return Err(hinted(Problem::new("", "too_large", detail)));
    }
    let bounds = Bounds::new(text, limits);
    match format {
        Format::Json => read_json(text, &bounds),
        Format::Yaml => read_yaml(text, &bounds),
    }
    .map_err(|problem| advised(problem, text))
}

/// Looks in the text for the usual causes of a fault, which the scanner tells in its own words.
fn advised(problem: Problem, text: &str) -> Problem {
    let has = |pattern: &str| text.lines().any(|line| line.contains(pattern));
    let unquoted = || has(": {{") || has("- {{") || has(":{{");
    hinted(match problem.code.as_str() {
        "syntax" | "wrong_type" if unquoted() => {
            problem.with_hint("put quotes around what begins with `{{`: \"{{ path }}\"")
        }
        "syntax" if text.lines().any(|line| line.trim_start_matches(' ').starts_with('\t')) => {
            problem.with_hint("indent with spaces; YAML takes no tabs there")
        }
        _ => problem,
    })
}

fn read_json(text: &str, bounds: &Bounds) -> Result<Value, Problem> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = bounds.node().deserialize(&mut reader);
    read.and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        let sentence = error.to_string();
        // The library ends its sentence with the position, which is said once, our way.
        let reason = sentence.rsplit_once(" at line ").map_or(&*sentence, |(reason, _)| reason);
        bounds.problem(reason, Some((error.line(), error.column())))
    })
}

fn read_yaml(text: &str, bounds: &Bounds) -> Result<Value, Problem> {
    if flow_depth(text) > FLOW_DEPTH_MAX {
        bounds.fault.replace(Some(Fault { code: "too_deep", pointer: String::new() }));
        return Err(bounds.problem("brackets lie too deep in each other", None));
    }
    bounds.node().deserialize(serde_norway::Deserializer::from_str(text)).map_err(|error| {
        let sentence = error.to_string();
        let reason = sentence.rsplit_once(" at line ").map_or(&*sentence, |(reason, _)| reason);
        bounds.problem(reason, error.location().map(|at| (at.line(), at.column())))
    })
}

/// Text in quotes or block scalars may hold brackets too, so this is far above `depth_max`.
const FLOW_DEPTH_MAX: usize = 2_000;

/// Counts how many brackets are open at once at most: the YAML scanner takes time in the square of
/// it, long before it hands over the first value.
fn flow_depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => continue, // Only brackets open or close a level.
        }
        deepest = deepest.max(open);
    }
    deepest
}

struct Fault {
    code: &'static str,
    pointer: String,
}

/// What is left to spend while a text becomes a value, and where the reading stands.
struct Bounds {
    depth_left: Cell<usize>,
    weight_left: Cell<usize>,
    path: RefCell<Vec<String>>,
    fault: RefCell<Option<Fault>>,
}

impl Bounds {
    fn new(text: &str, limits: TextLimits) -> Bounds {
        Bounds {
            depth_left: Cell::new(limits.depth_max),
            weight_left: Cell::new((text.len() + 1_024) * EXPANSION_MAX),
            path: RefCell::default(),
            fault: RefCell::default(),
        }
    }

    fn node(&self) -> Node<'_> {
        Node { bounds: self }
    }

    fn fail<E: Error>(&self, code: &'static str, reason: impl fmt::Display) -> E {
        let pointer =
            self.path.borrow().iter().fold(String::new(), |base, key| pointer_to(&base, key));
        self.fault.replace(Some(Fault { code, pointer }));
        E::custom(reason)
    }

    fn spend<E: Error>(&self, weight: usize) -> Result<(), E> {
        let left = self.weight_left.get().checked_sub(weight + 1);
        let too_large =
            || self.fail("too_large", "the aliases swell the document beyond its limit");
        self.weight_left.set(left.ok_or_else(too_large)?);
        Ok(())
    }

    fn enter<E: Error>(&self) -> Result<(), E> {
        let left = self.depth_left.get().checked_sub(1);
        let too_deep = || self.fail("too_deep", "objects and arrays lie too deep in each other");
        self.depth_left.set(left.ok_or_else(too_deep)?);
        Ok(())
    }

    fn leave(&self) {
        self.depth_left.set(self.depth_left.get() + 1);
    }

    fn within<T>(&self, key: String, read: impl FnOnce() -> T) -> T {
        self.path.borrow_mut().push(key);
        let value = read();
        self.path.borrow_mut().pop();
        value
    }

    fn problem(&self, reason: &str, position: Option<(usize, usize)>) -> Problem {
        let fault = self.fault.take().unwrap_or(Fault { code: "syntax", pointer: String::new() });
        let detail = match position {
            Some((line, column)) if line > 0 => format!("line {line}, column {column}: {reason}"),
            _ => reason.to_owned(), // An empty text has no position.
        };
        Problem::new(fault.pointer, fault.code, detail)
    }
}

#[derive(Clone, Copy)]
struct Node<'b> {
    bounds: &'b Bounds,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a plain value without tags")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.bounds.spend(0).map(|()| Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.bounds.spend(0).map(|()| Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.bounds.spend(0).map(|()| Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.bounds.spend(0).map(|()| Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.bounds.spend(0)?;
        let number = Number::from_f64(value);
        let infinite = || self.bounds.fail("wrong_type", "a number must be finite");
        Ok(Value::Number(number.ok_or_else(infinite)?))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.bounds.spend(value.len()).map(|()| Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.bounds.spend(0)?;
        self.bounds.enter()?;
        let mut list = Vec::new();
        loop {
            let index = list.len().to_string();
            let read = self.bounds.within(index, || items.next_element_seed(self))?;
            let Some(item) = read else { break };
            list.push(item);
        }
        self.bounds.leave();
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.bounds.spend(0)?;
        self.bounds.enter()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            self.bounds.spend(key.len())?;
            let value = self.bounds.within(key.clone(), || {
                if object.contains_key(&key) {
                    return Err(self.bounds.fail(
                        "duplicate_key",
                        format!("the key `{key}` stands twice in one object"),
                    ));
                }
                entries.next_value_seed(self)
            })?;
            object.insert(key, value);
        }
        self.bounds.leave();
        Ok(Value::Object(object))
    }
}

/// YAML has keys that are no strings, such as `1:`; they are taken as they are written in JSON.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<String, D::Error> {
        reader.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key that is a string")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;

    fn fault(text: &str, format: Format) -> (String, String) {
        let problem = parse_text(text, format, TextLimits::default()).expect_err(text);
        (problem.code, problem.pointer)
    }

    #[test]
    fn json_and_yaml_read_alike() {
        let json =
            r#"{"on": "ticket:created", "steps": [{"id": "a", "n": 1.5, "b": true, "z": null}]}"#;
        let yaml = "on: ticket:created\nsteps:\n  - {id: a, n: 1.5, b: true, z: }\n";
        let read = |text, format| parse_text(text, format, TextLimits::default());
        assert_eq!(read(json, Format::Json), read(yaml, Format::Yaml));
    }

    #[test]
    fn an_alias_is_followed() {
        let text = "a: &x {k: v}\nb: *x\n";
        let value = parse_text(text, Format::Yaml, TextLimits::default()).expect("a valid text");
        assert_eq!(value, json!({"a": {"k": "v"}, "b": {"k": "v"}}));
    }

    #[test]
    fn a_broken_text_is_refused_with_its_position() {
        let read = |text, format| parse_text(text, format, TextLimits::default());
        let json = read("{\n  \"a\": }", Format::Json).expect_err("broken");
        assert_eq!(
            (json.code.as_str(), json.detail.as_str()),
            ("syntax", "line 2, column 8: expected value")
        );
        let yaml = read("a: [1, 2\nb: }", Format::Yaml).expect_err("broken");
        assert!(yaml.code == "syntax" && yaml.detail.starts_with("line 2, column"), "{yaml:?}");
    }

    #[test]
    fn what_is_no_plain_document_is_refused() {
        for (text, format, code, pointer) in [
            ("", Format::Json, "syntax", ""),
            ("{} {}", Format::Json, "syntax", ""),
            ("a: 1\n---\nb: 2", Format::Yaml, "syntax", ""),
            (r#"{"a": {"b": 1, "b": 2}}"#, Format::Json, "duplicate_key", "/a/b"),
            ("a:\n  - b: 1\n    b: 2", Format::Yaml, "duplicate_key", "/a/0/b"),
            ("a: .inf", Format::Yaml, "wrong_type", "/a"),
            ("a: !tag x", Format::Yaml, "syntax", ""),
        ] {
            assert_eq!(fault(text, format), (code.into(), pointer.into()), "{text}");
        }
    }

    #[test]
    fn hostile_texts_end_quickly() {
        let begun = Instant::now();
        let deep = "[".repeat(200_000);
        let deep_block = "- ".repeat(100_000);
        let deep_keys = "? ".repeat(100_000);
        let bomb = (1..12).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
            let item = format!("*a{}", n - 1);
            format!("{text}a{n}: &a{n} [{}]\n", [item.as_str(); 9].join(", "))
        });
        let long = "x".repeat(300_000);
        let long_alias = format!("a: &a {}\nb: [{}]", "x".repeat(50_000), "*a, ".repeat(10_000));
        assert_eq!(fault(&deep, Format::Json).0, "too_deep");
        assert_eq!(fault(&deep, Format::Yaml).0, "too_deep");
        assert_eq!(fault(&bomb, Format::Yaml).0, "too_large");
        assert_eq!(fault(&long, Format::Yaml).0, "too_large");
        assert_eq!(fault(&long_alias, Format::Yaml).0, "too_large");
        for text in [deep_block, deep_keys, "a: &a [*a]".to_owned(), "{".repeat(1_999)] {
            assert!(parse_text(&text, Format::Yaml, TextLimits::default()).is_err());
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
