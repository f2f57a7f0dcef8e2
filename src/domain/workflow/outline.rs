//! The steps of a document as it is written, right or wrong: what each is and where it stands.

use serde_json::Value;

use crate::domain::problem::pointer_to;

/// The kinds of steps, by the field that makes them one.
pub const KINDS: [&str; 7] =
    ["activity", "sleep", "waitFor", "branch", "forEach", "parallel", "run"];
/// How deep steps are followed.
const DEPTH_MAX: usize = 10;

/// One step of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlined {
    /// Where it stands, an RFC 6901 pointer.
    pub at: String,
    /// In how many steps it stands.
    pub depth: usize,
    /// Its id as it is written; `step_1` where it has none.
    pub id: String,
    /// One of [`KINDS`]; empty where it is none of them.
    pub kind: &'static str,
    /// The step as it is written.
    pub value: Value,
}

/// A list of steps inside a step, and when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InnerList {
    /// Where it stands.
    pub at: String,
    /// When it runs, in a few words.
    pub when: String,
}

impl Outlined {
    /// Returns whether the step runs before the one at `pointer`: it stands before it in the same
    /// list, or before a step around it. Everything runs before what stands nowhere.
    #[must_use]
    pub fn is_before(&self, pointer: Option<&str>) -> bool {
        let Some(pointer) = pointer else { return true };
        let (mine, other) = (self.at.split('/'), pointer.split('/'));
        let mut shared = mine.zip(other).skip_while(|(mine, other)| mine == other);
        let number = |text: &str| text.parse::<usize>().ok();
        match shared.next() {
            // The paths part at an index; it is one of a list of steps if `steps` stands before it.
            Some((mine, other)) => {
                let at = common(&self.at, pointer);
                at.ends_with("/steps") && number(mine) < number(other)
                    || is_parallel_list(at) && number(mine) < number(other)
            }
            None => false, // It stands around the other, or inside it, or is the same.
        }
    }
}

/// Returns what two pointers have in common.
fn common<'p>(one: &'p str, other: &str) -> &'p str {
    let same = one.split('/').zip(other.split('/')).take_while(|(one, other)| one == other);
    let length: usize = same.map(|(segment, _)| segment.len() + 1).sum();
    &one[..length.saturating_sub(1).min(one.len())]
}

/// A branch of `parallel` is a list without a name: `/steps/1/parallel/0`.
fn is_parallel_list(at: &str) -> bool {
    let mut back = at.rsplit('/');
    back.next().is_some_and(|last| last.parse::<usize>().is_ok()) && back.next() == Some("parallel")
}

/// Returns every step of a document, each before those inside it.
#[must_use]
pub fn outline(document: &Value) -> Vec<Outlined> {
    let mut found = Vec::new();
    for name in ["steps", "onFailure"] {
        follow(&document[name], &pointer_to("", name), 0, &mut found);
    }
    found
}

fn follow(list: &Value, at: &str, depth: usize, found: &mut Vec<Outlined>) {
    let Some(list) = list.as_array().filter(|_| depth < DEPTH_MAX) else { return };
    for (index, value) in list.iter().enumerate() {
        let at = pointer_to(at, &index.to_string());
        let id = match &value["id"] {
            Value::String(id) => id.clone(),
            Value::Number(number) => format!("step_{number}"),
            _ => format!("step_{}", index + 1), // The check asks for one.
        };
        let kind = kind_of(value);
        found.push(Outlined { at: at.clone(), depth, id, kind, value: value.clone() });
        for inner in inner_lists(value, &at) {
            let place = &inner.at[at.len()..];
            follow(value.pointer(place).unwrap_or(&Value::Null), &inner.at, depth + 1, found);
        }
    }
}

/// Returns which field makes a step what it is.
#[must_use]
pub fn kind_of(step: &Value) -> &'static str {
    let has = |kind: &str| step.get(kind).is_some_and(|value| !value.is_null());
    KINDS.into_iter().find(|kind| has(kind)).unwrap_or_default()
}

/// Returns the lists of steps inside a step that stands at `at`.
#[must_use]
pub fn inner_lists(step: &Value, at: &str) -> Vec<InnerList> {
    let list = |place: String, when: String| InnerList { at: format!("{at}{place}"), when };
    match kind_of(step) {
        "branch" => {
            let ways = step["branch"].as_array().into_iter().flatten().enumerate();
            let way = |(index, way): (usize, &Value)| {
                let is_else = way.get("else").is_some() || way.get("if").is_none();
                let when = if is_else { "otherwise" } else { "if" };
                list(format!("/branch/{index}/steps"), when.to_owned())
            };
            ways.map(way).collect()
        }
        "forEach" => vec![list("/forEach/steps".to_owned(), "for each item".to_owned())],
        "parallel" => {
            let (place, ways) = match step["parallel"].get("branches") {
                Some(ways) => ("/parallel/branches", ways),
                None => ("/parallel", &step["parallel"]),
            };
            let count = ways.as_array().map_or(0, Vec::len);
            let way = |index| {
                list(format!("{place}/{index}"), format!("at the same time, {}", index + 1))
            };
            (0..count).map(way).collect()
        }
        _ => Vec::new(), // Nothing stands inside the others.
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({"steps": [
            {"id": "a", "sleep": "1s"},
            {"id": "b", "branch": [
                {"if": {}, "steps": [{"id": "c", "sleep": "1s"}, {"id": "d", "sleep": "1s"}]},
                {"else": true, "steps": [{"id": "e", "sleep": "1s"}]},
            ]},
            {"id": "f", "parallel": [[{"id": "g", "activity": "x"}], [{"id": "h", "run": {}}]]},
        ]})
    }

    #[test]
    fn every_step_is_found_where_it_stands() {
        let found = outline(&document());
        let told: Vec<String> =
            found.iter().map(|step| format!("{} {} {}", step.id, step.at, step.kind)).collect();
        assert_eq!(
            told,
            [
                "a /steps/0 sleep",
                "b /steps/1 branch",
                "c /steps/1/branch/0/steps/0 sleep",
                "d /steps/1/branch/0/steps/1 sleep",
                "e /steps/1/branch/1/steps/0 sleep",
                "f /steps/2 parallel",
                "g /steps/2/parallel/0/0 activity",
                "h /steps/2/parallel/1/0 run",
            ]
        );
    }

    #[test]
    fn only_earlier_steps_are_seen() {
        let found = outline(&document());
        let seen = |pointer: &str| -> String {
            let before = found.iter().filter(|step| step.is_before(Some(pointer)));
            before.map(|step| step.id.as_str()).collect()
        };
        assert_eq!(seen("/steps/0"), "");
        assert_eq!(seen("/steps/1"), "a");
        assert_eq!(seen("/steps/1/branch/0/steps/1"), "ac");
        assert_eq!(seen("/steps/1/branch/1/steps/0"), "a");
        assert_eq!(seen("/steps/2"), "abcde");
        assert_eq!(seen("/steps/2/parallel/1/0"), "abcde");
        assert_eq!(seen("/steps/3"), "abcdefgh");
    }
}
