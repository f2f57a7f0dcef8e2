//! A filter in words: one row for each test, groups indented.

use serde_json::Value;

/// One row of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How deep it is nested, from 0.
    pub depth: usize,
    /// What is looked at; empty for a group.
    pub path: String,
    /// What is asked of it, in words.
    pub operator: String,
    /// What it is compared with, as JSON; empty for a group.
    pub value: String,
}

const WORDS: [(&str, &str); 27] = [
    ("~eq", "is"),
    ("~neq", "is not"),
    ("~gt", "is more than"),
    ("~gte", "is at least"),
    ("~lt", "is less than"),
    ("~lte", "is at most"),
    ("~in", "is one of"),
    ("~nin", "is none of"),
    ("~regex", "matches"),
    ("~nregex", "does not match"),
    ("~starts", "starts with"),
    ("~nstarts", "does not start with"),
    ("~ends", "ends with"),
    ("~nends", "does not end with"),
    ("~contains", "contains"),
    ("~ncontains", "does not contain"),
    ("~isnull", "is null:"),
    ("~isempty", "is empty:"),
    ("~and", "all of"),
    ("~or", "any of"),
    ("~not", "not"),
    ("~any", "any item"),
    ("~all", "every item"),
    ("~changed", "has changed:"),
    ("~changedTo", "has changed to"),
    ("~changedFrom", "has changed from"),
    ("~between", "is between"),
];

/// Returns an operator in words, or as it is written when it is not known.
pub fn words(operator: &str) -> String {
    WORDS
        .iter()
        .find(|(name, _)| *name == operator)
        .map_or_else(|| operator.to_owned(), |(_, words)| (*words).to_owned())
}

/// Returns a filter's rows; none when it matches everything.
pub fn rules(filter: &Value) -> Vec<Rule> {
    let mut rows = Vec::new();
    collect(filter, "", 0, &mut rows);
    rows
}

fn collect(filter: &Value, path: &str, depth: usize, rows: &mut Vec<Rule>) {
    let Some(fields) = filter.as_object() else {
        return;
    };
    for (key, value) in fields {
        let grouped = matches!(key.as_str(), "~and" | "~or" | "~not" | "~any" | "~all");
        match value {
            Value::Array(items) if grouped => {
                rows.push(group(key, path, depth));
                items.iter().for_each(|item| collect(item, path, depth + 1, rows));
            }
            Value::Object(_) if grouped => {
                rows.push(group(key, path, depth));
                collect(value, path, depth + 1, rows);
            }
            Value::Object(_) if !key.starts_with('~') => collect(value, &bare(key), depth, rows),
            _ if key.starts_with('~') => rows.push(row(path, &words(key), value, depth)),
            _ => rows.push(row(&bare(key), "is", value, depth)),
        }
    }
}

fn group(key: &str, path: &str, depth: usize) -> Rule {
    Rule { depth, path: path.to_owned(), operator: words(key), value: String::new() }
}

fn row(path: &str, operator: &str, value: &Value, depth: usize) -> Rule {
    let value = brief(value);
    Rule { depth, path: path.to_owned(), operator: operator.to_owned(), value }
}

/// Writes a value for a line of text: strings bare, lists with commas.
pub fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(brief).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn bare(path: &str) -> String {
    path.trim().trim_start_matches("{{").trim_end_matches("}}").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_reads_as_sentences() {
        let filter = json!({
            "{{ ticket.priorityName }}": {"~in": ["high", "urgent"]},
            "~or": [{"ticket.vip": {"~eq": true}}, {"ticket.age": {"~gt": 3}}]
        });
        let text: Vec<String> = rules(&filter)
            .iter()
            .map(|rule| format!("{}|{} {} {}", rule.depth, rule.path, rule.operator, rule.value))
            .collect();
        assert_eq!(
            text,
            [
                "0|ticket.priorityName is one of high, urgent",
                "0| any of ",
                "1|ticket.vip is true",
                "1|ticket.age is more than 3",
            ]
        );
    }
}
