//! JSON as a tree that opens and closes, with a path to copy at every value.

use askama::Template;
use askama::filters::HtmlSafe;
use serde_json::Value;

use super::copy::Copy;

const CHILDREN_MAX: usize = 200;
const NULLS_SHOWN_MAX: usize = 3;
const TEXT_MAX_CHARS: usize = 4_000;
const DEPTH_MAX: usize = 40;

/// One value of a document, with its children.
#[derive(Clone, Debug, Template)]
#[template(path = "components/json_tree.html")]
pub struct JsonTree {
    key: String,
    path: String,
    copy: Copy,
    open: bool,
    body: Body,
}

impl HtmlSafe for JsonTree {}

#[derive(Clone, Debug)]
enum Body {
    Leaf {
        class: &'static str,
        text: String,
        cut: usize,
    },
    Branch {
        brackets: (char, char),
        size: String,
        children: Vec<JsonTree>,
        nulls: Vec<JsonTree>,
        cut: usize,
    },
}

impl JsonTree {
    /// Shows `value`, whose path for expressions begins with `root` (`trigger.payload`).
    pub fn new(root: &str, value: &Value) -> JsonTree {
        tree(String::new(), root.to_owned(), value, 0)
    }

    /// Opens what stands directly below the root, but for what was before a change.
    #[must_use]
    pub fn unfolded(mut self) -> JsonTree {
        if let Body::Branch { children, .. } = &mut self.body {
            let present = children.iter_mut().filter(|child| !child.key.starts_with("previous"));
            present.for_each(|child| child.open = true);
        }
        self
    }
}

fn tree(key: String, path: String, value: &Value, depth: usize) -> JsonTree {
    let body = body(&path, value, depth);
    let small = matches!(&body, Body::Branch { children, .. } if children.len() <= 14);
    let copy = Copy::new(path.clone(), "path");
    JsonTree { key, path, copy, open: depth == 0 || (depth < 4 && small), body }
}

fn body(path: &str, value: &Value, depth: usize) -> Body {
    match value {
        Value::Null => leaf("z", "null".to_owned()),
        Value::Bool(flag) => leaf("b", flag.to_string()),
        Value::Number(number) => leaf("n", number.to_string()),
        Value::String(text) if text.contains("{{") => leaf("x", text.clone()),
        Value::String(text) => leaf("s", format!("\"{text}\"")),
        Value::Array(items) if items.is_empty() => leaf("z", "[ ]".to_owned()),
        Value::Object(fields) if fields.is_empty() => leaf("z", "{ }".to_owned()),
        Value::Array(_) | Value::Object(_) if depth >= DEPTH_MAX => leaf("z", "…".to_owned()),
        Value::Array(items) => {
            let named = items.iter().enumerate().map(|(index, item)| (index.to_string(), item));
            branch(('[', ']'), "items", items.len(), named, |key| format!("{path}[{key}]"), depth)
        }
        Value::Object(fields) => {
            let named = fields.iter().map(|(name, field)| (name.clone(), field));
            branch(('{', '}'), "fields", fields.len(), named, |key| join(path, key), depth)
        }
    }
}

fn leaf(class: &'static str, text: String) -> Body {
    match text.char_indices().nth(TEXT_MAX_CHARS) {
        Some((end, _)) => {
            let cut = text[end..].chars().count();
            Body::Leaf { class, text: text[..end].to_owned(), cut }
        }
        None => Body::Leaf { class, text, cut: 0 },
    }
}

fn branch<'a>(
    brackets: (char, char),
    noun: &str,
    count: usize,
    named: impl Iterator<Item = (String, &'a Value)>,
    path_of: impl Fn(&str) -> String,
    depth: usize,
) -> Body {
    let shown = named.take(CHILDREN_MAX);
    let all: Vec<(JsonTree, bool)> = shown
        .map(|(key, value)| (tree(key.clone(), path_of(&key), value, depth + 1), value.is_null()))
        .collect();
    // Records have dozens of fields that nobody filled; they would hide the others.
    let many = all.iter().filter(|(_, null)| *null).count() > NULLS_SHOWN_MAX;
    let (nulls, children): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, null)| *null && many);
    let trees = |some: Vec<(JsonTree, bool)>| some.into_iter().map(|(tree, _)| tree).collect();
    let noun = if count == 1 { noun.trim_end_matches('s') } else { noun };
    let size = format!(" {count} {noun} ");
    let cut = count.saturating_sub(CHILDREN_MAX);
    Body::Branch { brackets, size, children: trees(children), nulls: trees(nulls), cut }
}

fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    match (path.is_empty(), plain) {
        (true, _) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (false, false) => format!("{path}['{}']", key.replace('\'', "\\'")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_has_a_path_that_expressions_understand() {
        let value = json!({"ticket": {"tags": ["vip"], "odd key": 1}});
        let html = JsonTree::new("trigger.payload", &value).to_string();
        for path in ["trigger.payload.ticket.tags[0]", "trigger.payload.ticket[&#39;odd key&#39;]"]
        {
            assert!(html.contains(path), "{path} in {html}");
        }
    }

    #[test]
    fn large_values_are_cut_and_say_so() {
        let value = json!({"text": "a".repeat(5_000), "list": vec![0; 300]});
        let html = JsonTree::new("", &value).to_string();
        assert!(html.contains("1002 more characters") && html.contains("… 100 more"));
    }
}
