//! Reads of an event's JSON only what a filter looks at, so that thousands can be tried at once.

use std::fmt;

use serde::Deserialize as _;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{Expected, Filter, Node, Operand};
use crate::domain::path::Path;

/// One bit for each field of a level tells whether an event has it.
const FIELDS_MAX: usize = 63;

/// The places of an event that a filter looks at, as a tree of field names.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    fields: Vec<(String, Sieve)>,
    /// Everything from here on is needed.
    is_whole: bool,
}

impl Sieve {
    /// Returns the sieve of a filter. What a template looks at is known only when it is rendered,
    /// so a filter with one needs the whole event.
    #[must_use]
    pub fn of(filter: &Filter) -> Sieve {
        let mut paths = Some(Vec::new());
        gather(&filter.root, &mut paths);
        let mut sieve = Sieve::default();
        match paths {
            None => sieve.is_whole = true,
            Some(paths) => paths.iter().for_each(|path| sieve.add(path)),
        }
        sieve.bound();
        sieve
    }

    fn add(&mut self, path: &Path) {
        let names: Vec<&str> = path.segments().collect();
        if path.root() == Some("trigger") {
            self.keep(&names[1..]);
        }
        // A bare path is sought in the payload and then in the event, and so is a root that is not
        // bound where the filter stands.
        self.keep(&names);
        self.keep(&[&["payload"], names.as_slice()].concat());
    }

    /// Reads a level whole where a filter looks at more of its fields than can be kept track of.
    fn bound(&mut self) {
        if self.fields.len() > FIELDS_MAX {
            self.is_whole = true;
        }
        self.fields.iter_mut().for_each(|(_, inner)| inner.bound());
    }

    fn keep(&mut self, names: &[&str]) {
        let Some((first, rest)) = names.split_first() else {
            self.is_whole = true;
            return;
        };
        let known = self.fields.iter().position(|(name, _)| name == first);
        let at = known.unwrap_or_else(|| {
            self.fields.push(((*first).to_owned(), Sieve::default()));
            self.fields.len() - 1
        });
        self.fields[at].1.keep(rest);
    }
}

/// Collects every path, or `None` once there is a template.
fn gather(node: &Node, paths: &mut Option<Vec<Path>>) {
    let mut note = |operand: &Operand| match operand {
        Operand::Path(path) => paths.iter_mut().for_each(|paths| paths.push(path.clone())),
        Operand::Expression(_) => *paths = None,
        Operand::Element => {} // Inside of an array, which is read whole.
    };
    match node {
        Node::Leaf(leaf) => {
            note(&leaf.operand);
            if let Some(previous) = &leaf.previous {
                note(&Operand::Path(previous.path.clone()));
            }
            if matches!(leaf.expected, Expected::Template(_)) {
                *paths = None;
            }
        }
        Node::Combined { children, .. } => children.iter().for_each(|it| gather(it, paths)),
        // Paths inside of elements are gathered as well: one that is rooted reads the event.
        Node::Quantified { operand, inner, .. } => {
            note(operand);
            gather(inner, paths);
        }
    }
}

impl Sieve {
    /// Prepares to read into `place`, where what the event before left is written over: events of one type look
    /// alike, so that nearly nothing needs new memory.
    pub fn reading_into<'a>(&'a self, place: &'a mut Value) -> Sifting<'a> {
        Sifting { sieve: self, place }
    }
}

/// A value that is being read through a sieve.
pub struct Sifting<'a> {
    sieve: &'a Sieve,
    place: &'a mut Value,
}

impl<'de> DeserializeSeed<'de> for Sifting<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        match self.sieve.fields.is_empty() && !self.sieve.is_whole {
            // Nothing below is looked at.
            true => reader.deserialize_ignored_any(IgnoredAny).map(drop),
            false => reader.deserialize_any(self),
        }
    }
}

/// Scalars and arrays are read as they are, of an object only the fields that are needed.
impl<'de> Visitor<'de> for Sifting<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        *self.place = Value::Bool(value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        *self.place = value.into();
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        *self.place = value.into();
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        *self.place = Number::from_f64(value).map_or(Value::Null, Value::Number);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        match self.place {
            Value::String(text) => value.clone_into(text),
            place => *place = Value::String(value.to_owned()),
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        *self.place = Value::Null;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        *self.place = Value::Array(all);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        if self.sieve.is_whole {
            *self.place = Value::deserialize(MapAccessDeserializer::new(fields))?;
            return Ok(());
        }
        if !self.place.is_object() {
            *self.place = Value::Object(Map::with_capacity(self.sieve.fields.len()));
        }
        let Value::Object(kept) = self.place else { unreachable!("it was made an object") };
        let mut found = 0_u64;
        while let Some(known) = fields.next_key_seed(Known(self.sieve))? {
            let Some((number, (name, inner))) = known else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            found |= 1_u64.checked_shl(number).unwrap_or(0);
            if let Some(place) = kept.get_mut(name) {
                fields.next_value_seed(inner.reading_into(place))?;
            } else {
                let mut value = Value::Null;
                fields.next_value_seed(inner.reading_into(&mut value))?;
                kept.insert(name.clone(), value);
            }
        }
        // What the event before had and this one lacks.
        if kept.len() != found.count_ones() as usize {
            let fields = self.sieve.fields.iter().zip(0_u32..);
            for ((name, _), _) in fields.filter(|(_, number)| found >> number & 1 == 0) {
                kept.swap_remove(name);
            }
        }
        Ok(())
    }
}

/// Recognises the name of a field without keeping it.
struct Known<'a>(&'a Sieve);

impl<'de, 'a> DeserializeSeed<'de> for Known<'a> {
    type Value = Option<(u32, &'a (String, Sieve))>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Known<'a> {
    type Value = Option<(u32, &'a (String, Sieve))>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok((0..).zip(&self.0.fields).find(|(_, (known, _))| known == name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::scope::Scope;

    fn event() -> Value {
        json!({
            "id": "e1", "type": "ticket:updated", "source": "s", "subject": null,
            "actor": {"id": "u1", "type": "AGENT", "email": ""},
            "payload": {
                "ticket": {"status": "open", "score": 4.5, "tags": ["a", "b"], "large": u64::MAX,
                    "lines": [{"id": 1, "deep": {"x": -2}}], "plan": {"tier": "gold", "seats": 3}},
                "previousTicket": {"status": "new"}, "steps": {"a": 1},
            },
            "metadata": {"k": "v"}, "cause": null,
        })
    }

    #[test]
    fn a_sifted_event_gives_the_same_answer_as_the_whole() {
        let other = json!({
            "type": 5, "metadata": [], "ticket": {"status": "z"}, "actor": "nobody",
            "payload": {
                "ticket": {"status": {"a": 1}, "nope": 1, "subject": "s", "plan": "x", "tags": 3},
                "previousTicket": null, "missing": {"path": 1}, "steps": {"b": 2},
            },
        })
        .to_string();
        for filter in [
            json!({}),
            json!({"ticket.status": {"~eq": "open", "~changedFrom": "new"}}),
            json!({"ticket.subject": {"~changed": true}}),
            json!({"ticket.score": {"~gt": 4}, "ticket.large": {"~gt": 1}}),
            json!({"ticket.tags": {"~contains": "b"}, "ticket.tags.0": {"~eq": "a"}}),
            json!({"ticket.lines.*.deep.x": {"~contains": -2}}),
            json!({"ticket.lines": {"~any": {"deep.x": {"~lt": 0}, "trigger.type": {"~ends": "updated"}}}}),
            json!({"ticket.plan": {"~eq": {"tier": "gold", "seats": 3}}}),
            json!({"ticket": {"~isempty": false}, "ticket.plan.tier": {"~in": ["gold"]}}),
            json!({"actor.id": {"~eq": "u1"}, "metadata.k": {"~neq": "x"}, "cause": {"~isnull": true}}),
            json!({"{{trigger.payload.ticket.status}}": {"~eq": "open"}}),
            json!({"ticket.status": {"~neq": "{{trigger.actor.id}}"}}),
            json!({"trigger.payload": {"~isempty": false}, "missing.path": {"~isnull": true}}),
            json!({"~or": [{"type": {"~eq": "x"}}, {"~not": {"ticket.nope": {"~eq": 1}}}]}),
            json!({"steps.a": {"~eq": 1}}),
        ] {
            let read = Filter::parse(&filter, "").expect("a fine filter");
            let text = event().to_string();
            let sieve = Sieve::of(&read);
            let mut sifted = Value::Null;
            // What another event left must not be seen.
            for text in [&other, &text] {
                let mut reader = serde_json::Deserializer::from_str(text);
                sieve.reading_into(&mut sifted).deserialize(&mut reader).expect("it is JSON");
            }
            let whole = read.matches(&Scope::of_event(event()));
            assert_eq!(read.matches(&Scope::of_event(sifted)), whole, "{filter}");
        }
    }

    #[test]
    fn what_no_condition_looks_at_is_left_out() {
        let filter = json!({"ticket.status": {"~eq": "open"}});
        let filter = Filter::parse(&filter, "").expect("a fine filter");
        let mut sifted = Value::Null;
        Sieve::of(&filter).reading_into(&mut sifted).deserialize(event()).expect("it is JSON");
        assert_eq!(sifted, json!({"payload": {"ticket": {"status": "open"}}}));
    }
}
