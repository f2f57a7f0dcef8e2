//! The tree of a filter as it was evaluated: each test with what it wanted and what it met.

use askama::Template;
use askama::filters::HtmlSafe;
use serde_json::Value;

use super::icon::Icon;
use super::rules::{brief, words};

/// One test or group of an evaluated filter.
#[derive(Clone, Debug, Template)]
#[template(path = "components/trace.html")]
pub struct Trace {
    tone: &'static str,
    icon: Icon,
    decisive: bool,
    body: TraceBody,
}

impl HtmlSafe for Trace {}

#[derive(Clone, Debug)]
enum TraceBody {
    Group { word: String, children: Vec<Trace> },
    Leaf { path: String, operator: String, wanted: String, real: Option<String>, reason: String },
}

const CHILDREN: [&str; 4] = ["children", "items", "of", "nodes"];

impl Trace {
    /// Reads the tree as the API spells it; `None` when nothing was tested.
    pub fn read(value: &Value) -> Option<Trace> {
        let node = value.as_object().filter(|node| !node.is_empty())?;
        let holds = node.get("result").and_then(Value::as_bool);
        let children = CHILDREN.iter().find_map(|name| node.get(*name)?.as_array());
        let text = |name: &str| node.get(name).and_then(Value::as_str).unwrap_or_default();
        let body = match children {
            Some(children) => TraceBody::Group {
                word: group_word(text("op"), text("path")),
                children: children.iter().filter_map(Trace::read).collect(),
            },
            None => TraceBody::Leaf {
                path: text("path").to_owned(),
                operator: words(text("op")),
                wanted: node.get("expected").map(brief).unwrap_or_default(),
                real: (holds != Some(true)).then(|| real(node.get("actual"))),
                reason: text("reason").to_owned(),
            },
        };
        let (tone, name) = match holds {
            Some(true) => ("ok", "yes"),
            Some(false) => ("bad", "no"),
            None => ("idle", "pending"),
        };
        let decisive = holds == Some(false);
        Some(Trace { tone, icon: Icon::new(name), decisive, body })
    }

    /// Returns the first test that said no, in words.
    pub fn first_refusal(&self) -> Option<String> {
        match &self.body {
            TraceBody::Group { children, .. } if self.decisive => {
                children.iter().find_map(Trace::first_refusal)
            }
            TraceBody::Leaf { path, operator, wanted, real: Some(real), .. } if self.decisive => {
                Some(format!("{path} {operator} {wanted}, but was {real}"))
            }
            TraceBody::Group { .. } | TraceBody::Leaf { .. } => None,
        }
    }
}

fn group_word(operator: &str, path: &str) -> String {
    let word = match operator {
        "" => "all of".to_owned(),
        operator => words(operator),
    };
    if path.is_empty() { word } else { format!("{path}: {word}") }
}

fn real(actual: Option<&Value>) -> String {
    match actual {
        None => "absent".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "\"\"".to_owned(),
        Some(value) => brief(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_test_that_refused_is_named_with_its_value() {
        let trace = Trace::read(&json!({"op": "~and", "result": false, "children": [
            {"op": "~eq", "path": "ticket.teamId", "expected": "T1", "actual": "T1", "result": true},
            {"op": "~in", "path": "ticket.priorityName", "expected": ["high", "urgent"],
             "actual": "medium", "result": false, "reason": ""}
        ]}))
        .expect("a tree");
        let wanted = "ticket.priorityName is one of high, urgent, but was medium";
        assert_eq!(trace.first_refusal().as_deref(), Some(wanted));
        assert!(trace.to_string().contains("decisive"));
        assert!(Trace::read(&json!(null)).is_none() && Trace::read(&json!({})).is_none());
    }
}
