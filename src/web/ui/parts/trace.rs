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
    Group { word: String, reason: String, children: Vec<Trace> },
    Leaf { path: String, operator: String, wanted: String, seen: String },
}

impl Trace {
    /// Reads the tree as the API spells it; `None` when nothing was tested.
    pub fn read(value: &Value) -> Option<Trace> {
        let node = value.as_object().filter(|node| !node.is_empty())?;
        let holds = node.get("result").and_then(Value::as_bool);
        let children = node.get("children").and_then(Value::as_array);
        let text = |name: &str| node.get(name).and_then(Value::as_str).unwrap_or_default();
        let reason = text("reason").to_owned();
        let body = if children.is_some() || matches!(text("op"), "~and" | "~or" | "~not") {
            TraceBody::Group {
                word: group_word(text("op"), text("path")),
                reason,
                children: children.into_iter().flatten().filter_map(Trace::read).collect(),
            }
        } else {
            TraceBody::Leaf {
                path: text("path").to_owned(),
                operator: words(text("op")),
                wanted: node.get("expected").map(brief).unwrap_or_default(),
                seen: if reason.is_empty() { seen(node.get("actual")) } else { reason },
            }
        };
        let (tone, name) = match holds {
            Some(true) => ("ok", "yes"),
            Some(false) => ("bad", "no"),
            None => ("idle", "pending"),
        };
        Some(Trace { tone, icon: Icon::new(name), decisive: holds == Some(false), body })
    }

    /// Returns the first test that said no, in words.
    pub fn first_refusal(&self) -> Option<String> {
        match &self.body {
            TraceBody::Group { children, .. } if self.decisive => {
                children.iter().find_map(Trace::first_refusal)
            }
            TraceBody::Leaf { path, operator, wanted, seen } if self.decisive => {
                let joined = if seen.starts_with("was ") { ", but" } else { ":" };
                Some(format!("{path} {operator} {wanted}{joined} {seen}"))
            }
            TraceBody::Group { .. } | TraceBody::Leaf { .. } => None,
        }
    }
}

fn group_word(operator: &str, path: &str) -> String {
    let word = words(if operator.is_empty() { "~and" } else { operator });
    if path.is_empty() { word } else { format!("{path}: {word}") }
}

fn seen(actual: Option<&Value>) -> String {
    match actual {
        None => "was absent".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "was empty".to_owned(),
        Some(value) => format!("was {}", brief(value)),
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
