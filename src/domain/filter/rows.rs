//! A filter as rows that people fill in: conditions in groups, there and back without loss.

use serde_json::{Map, Value, json};

/// How deep groups may lie in each other where people edit rows.
pub const GROUPS_DEEP_MAX: usize = 4;

/// How the rows of a group belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Each must hold.
    All,
    /// One must hold.
    Any,
    /// Not one may hold.
    None,
}

impl Quantity {
    /// Every quantity.
    pub const EVERY: [Quantity; 3] = [Quantity::All, Quantity::Any, Quantity::None];

    /// Returns the word of a form.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Quantity::All => "all",
            Quantity::Any => "any",
            Quantity::None => "none",
        }
    }

    /// Returns the quantity of a form's word; `All` for any other word.
    #[must_use]
    pub fn of_word(word: &str) -> Quantity {
        let found = Quantity::EVERY.into_iter().find(|known| known.word() == word);
        found.unwrap_or(Quantity::All)
    }
}

/// One row of a form.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A condition.
    Test {
        /// What is looked at.
        path: String,
        /// The operator, such as `~eq`.
        operator: String,
        /// What stands at its right.
        value: Value,
    },
    /// Rows that belong together.
    Group(RowGroup),
}

/// Rows that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct RowGroup {
    /// How.
    pub quantity: Quantity,
    /// The rows, in order.
    pub rows: Vec<Row>,
}

impl RowGroup {
    /// Reads a filter; `None` for one that rows cannot show, which is edited as JSON.
    #[must_use]
    pub fn of(filter: &Value) -> Option<RowGroup> {
        group(filter, 1)
    }

    /// Writes the filter in its shortest form; groups without a condition are left out.
    #[must_use]
    pub fn to_filter(&self) -> Value {
        written(self).unwrap_or_else(|| json!({}))
    }

    /// Adds a row at the end of the group at a place; a place that is not there is left alone.
    pub fn add(&mut self, place: &[usize], row: Row) {
        if let Some(group) = self.find(place) {
            group.rows.push(row);
        }
    }

    /// Removes the row at a place, if there is one.
    pub fn remove(&mut self, place: &[usize]) {
        let Some((last, parents)) = place.split_last() else { return };
        if let Some(group) = self.find(parents)
            && *last < group.rows.len()
        {
            group.rows.remove(*last);
        }
    }

    fn find(&mut self, place: &[usize]) -> Option<&mut RowGroup> {
        let Some((first, rest)) = place.split_first() else { return Some(self) };
        match self.rows.get_mut(*first)? {
            Row::Group(inner) => inner.find(rest),
            Row::Test { .. } => None,
        }
    }
}

fn group(filter: &Value, depth: usize) -> Option<RowGroup> {
    if depth > GROUPS_DEEP_MAX {
        return None;
    }
    let all = |rows| RowGroup { quantity: Quantity::All, rows };
    let fields = match filter {
        Value::Null => return Some(all(Vec::new())),
        Value::Object(fields) => fields,
        _ => return None, // It is no filter at all.
    };
    let mut entries = fields.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) if is_logical(key) => combined(key, value, depth),
        _ => {
            let rows: Option<Vec<Vec<Row>>> =
                fields.iter().map(|(key, value)| rows_of(key, value, depth)).collect();
            Some(all(rows?.into_iter().flatten().collect()))
        }
    }
}

fn is_logical(key: &str) -> bool {
    matches!(key, "~and" | "~or" | "~not")
}

fn combined(key: &str, value: &Value, depth: usize) -> Option<RowGroup> {
    let quantity = match key {
        "~and" => Quantity::All,
        "~or" => Quantity::Any,
        _ => return negated(value, depth), // `~not` alone is left.
    };
    let items: Option<Vec<Row>> = value.as_array()?.iter().map(|it| item(it, depth)).collect();
    Some(RowGroup { quantity, rows: items? })
}

fn negated(value: &Value, depth: usize) -> Option<RowGroup> {
    let inner = group(value, depth)?;
    let rows = match inner.quantity {
        Quantity::Any => inner.rows,
        Quantity::All if inner.rows.len() == 1 => inner.rows,
        Quantity::All | Quantity::None => vec![Row::Group(group(value, depth + 1)?)],
    };
    Some(RowGroup { quantity: Quantity::None, rows })
}

/// An item of a list of filters: one condition, or a group of its own.
fn item(filter: &Value, depth: usize) -> Option<Row> {
    let mut inner = group(filter, depth + 1)?;
    match (inner.quantity, inner.rows.len()) {
        (Quantity::All, 1) => inner.rows.pop(),
        _ => Some(Row::Group(inner)),
    }
}

fn rows_of(key: &str, value: &Value, depth: usize) -> Option<Vec<Row>> {
    if is_logical(key) {
        return Some(vec![Row::Group(group(&json!({ key: value }), depth + 1)?)]);
    }
    if key.starts_with('~') {
        return None; // An operator without a path.
    }
    let tests = value.as_object().filter(|tests| !tests.is_empty())?;
    let test = |(operator, value): (&String, &Value)| Row::Test {
        path: key.to_owned(),
        operator: operator.clone(),
        value: value.clone(),
    };
    Some(tests.iter().map(test).collect())
}

fn written(group: &RowGroup) -> Option<Value> {
    let items: Vec<Value> = group.rows.iter().filter_map(item_written).collect();
    if items.is_empty() {
        return None;
    }
    Some(match group.quantity {
        Quantity::All => merged(&items).unwrap_or_else(|| json!({ "~and": items })),
        Quantity::Any => json!({ "~or": items }),
        Quantity::None => json!({ "~not": { "~or": items } }),
    })
}

fn item_written(row: &Row) -> Option<Value> {
    match row {
        Row::Test { path, operator, value } => Some(json!({ path: { operator: value } })),
        Row::Group(inner) => written(inner),
    }
}

/// Writes conditions side by side; `None` where two would stand at the same key.
fn merged(items: &[Value]) -> Option<Value> {
    let mut all = Map::new();
    for item in items {
        for (key, value) in item.as_object()? {
            let Some(earlier) = all.get_mut(key) else {
                all.insert(key.clone(), value.clone());
                continue;
            };
            if is_logical(key) {
                return None;
            }
            for (operator, value) in value.as_object()? {
                let taken = earlier.as_object_mut()?.insert(operator.clone(), value.clone());
                if taken.is_some() {
                    return None;
                }
            }
        }
    }
    Some(Value::Object(all))
}

/// Writes a value for a line of a form: a text as it is, unless it would be read as something else.
#[must_use]
pub fn value_text(operator: &str, value: &Value) -> String {
    match value {
        Value::Array(items) if is_listing(operator) && items.iter().all(is_plain) => {
            items.iter().map(scalar_text).collect::<Vec<_>>().join(", ")
        }
        other => scalar_text(other),
    }
}

/// Reads a line of a form as the value of an operator.
#[must_use]
pub fn value_of(operator: &str, text: &str) -> Value {
    let trimmed = text.trim();
    if matches!(operator, "~isnull" | "~isempty" | "~changed") && trimmed.is_empty() {
        return Value::Bool(true);
    }
    if !is_listing(operator) {
        return scalar_of(text);
    }
    match serde_json::from_str(trimmed) {
        Ok(list @ Value::Array(_)) => list,
        _ if trimmed.is_empty() => json!([]),
        // An expression makes the whole list.
        _ if trimmed.starts_with("{{") => json!(trimmed),
        _ => trimmed.split(',').map(|item| scalar_of(item.trim())).collect(),
    }
}

/// Returns whether a list stands at the right of the operator.
#[must_use]
pub fn is_listing(operator: &str) -> bool {
    matches!(operator, "~in" | "~nin" | "~between")
}

fn is_plain(item: &Value) -> bool {
    match item {
        Value::String(text) => !text.contains([',', '[', '{']) && text.trim() == text,
        Value::Array(_) | Value::Object(_) => false,
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) if serde_json::from_str::<Value>(text).is_err() => text.clone(),
        other => other.to_string(),
    }
}

fn scalar_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::filter::Filter;

    fn back(filter: &Value) -> Value {
        RowGroup::of(filter).expect("rows can show it").to_filter()
    }

    #[test]
    fn what_rows_show_is_written_back_as_it_was() {
        for filter in [
            json!({}),
            json!({"a": {"~eq": 1}}),
            json!({"a": {"~gt": 1, "~lt": 5}, "b.c": {"~in": ["x", "y"]}}),
            json!({"~or": [{"a": {"~eq": 1}}, {"b": {"~eq": 2}}]}),
            json!({"~not": {"~or": [{"a": {"~eq": 1}}]}}),
            json!({"a": {"~eq": 1}, "~or": [{"b": {"~eq": 2}}, {"c": {"~eq": 3}, "d": {"~eq": 4}}]}),
            json!({"~and": [{"a": {"~neq": 1}}, {"a": {"~neq": 2}}]}),
            json!({"tags": {"~any": {"~starts": "vip"}}}),
            json!({"{{ trigger.payload.a }}": {"~eq": "{{ trigger.payload.b }}"}}),
        ] {
            assert_eq!(back(&filter), filter);
            Filter::parse(&back(&filter), "").expect("it is a filter");
        }
    }

    #[test]
    fn what_is_written_otherwise_means_the_same() {
        for (filter, same) in [
            (json!({"~not": {"a": {"~eq": 1}}}), json!({"~not": {"~or": [{"a": {"~eq": 1}}]}})),
            (
                json!({"~not": {"a": {"~eq": 1}, "b": {"~eq": 2}}}),
                json!({"~not": {"~or": [{"a": {"~eq": 1}, "b": {"~eq": 2}}]}}),
            ),
            (
                json!({"~and": [{"a": {"~eq": 1}}, {"b": {"~eq": 2}}]}),
                json!({"a": {"~eq": 1}, "b": {"~eq": 2}}),
            ),
            (json!(null), json!({})),
        ] {
            assert_eq!(back(&filter), same);
        }
    }

    #[test]
    fn what_rows_cannot_show_is_left_to_json() {
        let deep = (0..GROUPS_DEEP_MAX)
            .fold(json!({"a": {"~eq": 1}, "b": {"~eq": 1}}), |inner, _| json!({"~or": [inner]}));
        for filter in [json!("text"), json!([1]), json!({"a": 1}), json!({"~eq": 1}), deep] {
            assert_eq!(RowGroup::of(&filter), None, "{filter}");
        }
    }

    #[test]
    fn rows_are_added_and_removed_where_they_stand() {
        let mut rows = RowGroup::of(&json!({"a": {"~eq": 1}, "~or": [{"b": {"~eq": 2}}]}))
            .expect("rows can show it");
        let test = |path: &str| Row::Test {
            path: path.to_owned(),
            operator: "~eq".to_owned(),
            value: json!(3),
        };
        rows.add(&[1], test("c"));
        rows.remove(&[0]);
        rows.remove(&[7, 7]);
        rows.add(&[9], test("lost"));
        assert_eq!(rows.to_filter(), json!({"~or": [{"b": {"~eq": 2}}, {"c": {"~eq": 3}}]}));
        rows.remove(&[0, 0]);
        rows.remove(&[0, 0]);
        assert_eq!(rows.to_filter(), json!({}), "a group without conditions is left out");
    }

    #[test]
    fn a_line_keeps_the_type_of_its_value() {
        for (operator, value, text) in [
            ("~eq", json!("high"), "high"),
            ("~eq", json!("5"), "\"5\""),
            ("~eq", json!(5), "5"),
            ("~eq", json!(true), "true"),
            ("~eq", json!(""), ""),
            ("~eq", json!({"a": 1}), "{\"a\":1}"),
            ("~in", json!(["high", "urgent"]), "high, urgent"),
            ("~in", json!(["a, b"]), "[\"a, b\"]"),
            ("~in", json!(["5", 5]), "\"5\", 5"),
            ("~in", json!("{{ vars.list }}"), "{{ vars.list }}"),
            ("~between", json!([1, 5]), "1, 5"),
        ] {
            assert_eq!(value_text(operator, &value), text);
            assert_eq!(value_of(operator, text), value);
        }
        assert_eq!(value_of("~isnull", " "), json!(true));
    }
}
