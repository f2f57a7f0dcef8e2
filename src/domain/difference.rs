//! Where two JSON values differ.

use serde::Serialize;
use serde_json::Value;

use super::path::Path;

/// A place at which two values differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Where, as expressions spell it; empty for the whole value.
    pub path: String,
    /// What stands there on the left; `None` for nothing.
    pub left: Option<Value>,
    /// What stands there on the right; `None` for nothing.
    pub right: Option<Value>,
}

/// Lists the places at which two values differ, at most `limit` of them, as deep as both have
/// objects or lists.
#[must_use]
pub fn differences(left: Option<&Value>, right: Option<&Value>, limit: usize) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), left, right, limit, &mut found);
    found
}

fn compare(
    path: String,
    left: Option<&Value>,
    right: Option<&Value>,
    limit: usize,
    found: &mut Vec<Difference>,
) {
    if left == right || found.len() >= limit {
        return;
    }
    match (left, right) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(added) {
                let below = join(&path, name);
                compare(below, before.get(name), after.get(name), limit, found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                let below = format!("{path}[{index}]");
                compare(below, before.get(index), after.get(index), limit, found);
            }
        }
        _ => found.push(Difference { path, left: left.cloned(), right: right.cloned() }),
    }
}

fn join(path: &str, name: &str) -> String {
    let is_plain = Path::parse(name).is_ok_and(|path| path.to_string() == name);
    match (path.is_empty(), is_plain && !name.contains(['.', '['])) {
        (true, true) => name.to_owned(),
        (false, true) => format!("{path}.{name}"),
        (_, false) => format!("{path}['{}']", name.replace('\'', "\\'")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_that_differs_is_named_once() {
        let left = json!({"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": true});
        let right = json!({"a": 1, "b": {"c": [1, 3, 4], "d": "x"}, "new": null});
        let found = differences(Some(&left), Some(&right), 10);
        let paths: Vec<&str> = found.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["b.c[1]", "b.c[2]", "gone", "new"]);
        assert_eq!((found[2].left.clone(), found[2].right.clone()), (Some(json!(true)), None));
        assert_eq!(differences(Some(&left), Some(&right), 2).len(), 2);
    }

    #[test]
    fn values_of_other_kinds_differ_as_a_whole() {
        let found = differences(Some(&json!([1])), None, 10);
        assert_eq!((found.len(), found[0].path.as_str()), (1, ""));
        assert!(differences(None, None, 10).is_empty());
    }
}
