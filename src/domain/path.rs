//! Paths into a scope: parsed from dotted text, made canonical, looked up, and corrected.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};

use super::problem;
use super::scope::Scope;

/// The roots of the language; a path that begins with another name is bare.
pub const ROOTS: [&str; 9] =
    ["trigger", "steps", "run", "workflow", "tenant", "vars", "secrets", "item", "error"];

const TEXT_BYTES_MAX: usize = 512;
const SEGMENTS_MAX: usize = 64;
const SEARCHED_NODES_MAX: usize = 2_000;

/// A place in a scope, in canonical spelling: rooted (`trigger.payload.ticket.id`) or bare
/// (`ticket.id`, sought in the payload, then in the event).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    segments: Vec<Segment>,
    rooted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Segment {
    name: Box<str>,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Key,
    Index(usize),
    EachElement,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Lookup<'a> {
    /// The value, `None` when the path leads nowhere; owned only behind a `*`.
    pub value: Option<Cow<'a, Value>>,
}

impl Path {
    /// Reads a path such as `ticket.priorityName`, `items[0].id` or `["odd key"]`; Thena's spellings
    /// below `context` become the canonical ones.
    ///
    /// # Errors
    /// Returns what is wrong with the text, for a person.
    pub fn parse(text: &str) -> Result<Path, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("a path has at most {TEXT_BYTES_MAX} bytes"));
        }
        let segments = split(text.trim())?;
        if segments.len() > SEGMENTS_MAX {
            return Err(format!("a path has at most {SEGMENTS_MAX} segments"));
        }
        let is_thena = segments[0].name.as_ref() == "context" && !text.trim().starts_with('[');
        Ok(Path::of(if is_thena { canonical(&segments[1..])? } else { segments }))
    }

    /// Returns the names of the segments; `*` stands for each element of an array.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(|segment| segment.name.as_ref())
    }

    /// Tells whether the first segment is a root of the language.
    #[must_use]
    pub fn is_rooted(&self) -> bool {
        self.rooted
    }

    /// Returns the root that the path begins with, `None` for a bare one.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        self.rooted.then(|| self.first())
    }

    /// Finds the value: a rooted path from its root, a bare one in what the scope binds under that
    /// name, then in the payload, then in the event.
    #[must_use]
    pub fn lookup<'a>(&self, scope: &'a Scope) -> Lookup<'a> {
        Lookup { value: self.find(scope) }
    }

    /// Finds the value below `element` alone, or, for a root that the element does not have, in the
    /// scope.
    #[must_use]
    pub fn lookup_in<'a>(&self, element: &'a Value, scope: &'a Scope) -> Lookup<'a> {
        if self.rooted && element.get(self.first()).is_none() {
            return self.lookup(scope);
        }
        Lookup { value: walk(element, &self.segments) }
    }

    /// Returns the existing path that was probably meant by one that leads nowhere.
    #[must_use]
    pub fn nearest_existing(&self, scope: &Scope) -> Option<String> {
        let root = scope.root();
        if self.rooted && root.get(self.first()).is_some() {
            return nearest_below(root, &[], &self.segments).map(|found| found.text());
        }
        let event = root.get("trigger")?;
        let payload = event.get("payload").unwrap_or(&Value::Null);
        let in_payload = nearest_below(payload, &["payload"], &self.segments);
        let in_event = nearest_below(event, &[], &self.segments);
        let found = match (in_payload, in_event) {
            (Some(payload), Some(event)) if event.matched > payload.matched => event,
            (Some(payload), _) => payload,
            (None, Some(event)) => event,
            (None, None) => return None,
        };
        Some(found.text())
    }

    /// Returns where the earlier value of this place stands: the record `previousX` for a path that
    /// begins with `x` in the payload, and the path inside it.
    #[must_use]
    pub fn previous(&self) -> Option<(Path, Path)> {
        let at = if self.rooted { 2 } else { 0 };
        let in_payload = !self.rooted || self.segments().take(2).eq(["trigger", "payload"]);
        let record = self.segments.get(at).filter(|_| in_payload)?;
        let mut initials = record.name.chars();
        let initial = initials.next()?.to_uppercase();
        let name = format!("previous{initial}{}", initials.as_str());
        let mut segments = self.segments.clone();
        segments[at] = Segment::key(&name);
        Some((Path::of(segments[..=at].to_vec()), Path::of(segments)))
    }

    /// Returns this path followed by each element of the array there and `inner` inside it.
    #[must_use]
    pub fn for_each(&self, inner: Option<&Path>) -> Path {
        let each = Segment { name: "*".into(), step: Step::EachElement };
        let inner = inner.map(|path| path.segments.as_slice()).unwrap_or_default();
        Path::of(self.segments.iter().chain([&each]).chain(inner).cloned().collect())
    }

    fn of(segments: Vec<Segment>) -> Path {
        let rooted = segments.first().is_some_and(|first| ROOTS.contains(&&*first.name));
        Path { segments, rooted }
    }

    fn first(&self) -> &str {
        &self.segments[0].name
    }

    fn find<'a>(&self, scope: &'a Scope) -> Option<Cow<'a, Value>> {
        let root = scope.root();
        // A bare name that the scope itself binds, such as a loop's own, is the innermost one; a
        // root that is not bound here may still be a field of the payload.
        if root.get(self.first()).is_some() {
            return walk(root, &self.segments).or_else(|| self.find_id(root));
        }
        let event = root.get("trigger")?;
        let payload = event.get("payload").and_then(|payload| walk(payload, &self.segments));
        payload.or_else(|| walk(event, &self.segments)).or_else(|| self.find_id(root))
    }

    /// Finds the `ticketId` of a payload that has only the `ticket`, as Thena's own samples name it.
    fn find_id<'a>(&self, root: &'a Value) -> Option<Cow<'a, Value>> {
        let record = root.get("trigger")?.get("payload")?.get(self.record_of_id()?)?;
        record.get("id").map(Cow::Borrowed)
    }

    /// Returns the record of the payload whose id this path may mean.
    #[must_use]
    pub fn record_of_id(&self) -> Option<&str> {
        let name = match self.segments.as_slice() {
            [only] if !self.rooted => &only.name,
            [first, second, last] if &*first.name == "trigger" && &*second.name == "payload" => {
                &last.name
            }
            _ => return None, // Deeper down, a name is what it says.
        };
        name.strip_suffix("Id").filter(|record| !record.is_empty())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.segments.iter().enumerate() {
            let literal_context = position == 0 && segment.name.as_ref() == "context";
            let literal_star = segment.name.as_ref() == "*" && segment.step == Step::Key;
            if literal_context || literal_star || !segment.name.chars().all(is_plain) {
                write!(out, "[\"{}\"]", segment.name.replace('\\', "\\\\").replace('"', "\\\""))?;
            } else if position == 0 {
                out.write_str(&segment.name)?;
            } else {
                write!(out, ".{}", segment.name)?;
            }
        }
        Ok(())
    }
}

impl Segment {
    fn key(name: &str) -> Segment {
        Segment { name: name.into(), step: Step::Key }
    }

    fn unquoted(name: &str) -> Segment {
        let digits = name.bytes().all(|byte| byte.is_ascii_digit());
        let step = match name.parse() {
            Ok(index) if digits => Step::Index(index),
            _ if name == "*" => Step::EachElement,
            _ => Step::Key, // A name, or a number too large to be an index.
        };
        Segment { name: name.into(), step }
    }
}

fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !".[]{}()\"'|,".contains(c)
}

fn split(text: &str) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    let mut rest = text;
    loop {
        rest = match rest.strip_prefix('[') {
            Some(inner) => {
                let (segment, after) = bracketed(inner)?;
                segments.push(segment);
                after
            }
            None => {
                let end = rest.find(|c| !is_plain(c)).unwrap_or(rest.len());
                if end == 0 {
                    return Err(format!("`{text}` has an empty segment or an odd character"));
                }
                segments.push(Segment::unquoted(&rest[..end]));
                &rest[end..]
            }
        };
        rest = match rest.chars().next() {
            None => return Ok(segments),
            Some('.') if !rest.starts_with(".[") => &rest[1..],
            Some('[') => rest,
            Some(odd) => return Err(format!("`{odd}` cannot stand in the path `{text}`")),
        };
    }
}

fn bracketed(inner: &str) -> Result<(Segment, &str), String> {
    let unclosed = || "a `[` in the path is never closed".to_owned();
    let inner = inner.trim_start();
    let Some(quote) = inner.chars().next().filter(|c| *c == '"' || *c == '\'') else {
        let (name, after) = inner.split_once(']').ok_or_else(unclosed)?;
        let segment = Segment::unquoted(name.trim());
        return match segment.step {
            Step::Index(_) | Step::EachElement => Ok((segment, after)),
            Step::Key => Err(format!("`[{name}]` needs quotes: `[\"{name}\"]`")),
        };
    };
    let mut name = String::new();
    let mut characters = inner[1..].char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
            c if c == quote => {
                let after = inner[at + 2..].trim_start();
                let after = after.strip_prefix(']').ok_or_else(unclosed)?;
                return Ok((Segment::key(&name), after));
            }
            c => name.push(c),
        }
    }
    Err(unclosed())
}

/// Rewrites what follows Thena's `context` into our spelling.
fn canonical(rest: &[Segment]) -> Result<Vec<Segment>, String> {
    let names: Vec<&str> = rest.iter().map(|segment| segment.name.as_ref()).collect();
    let join = |prefix: &[&str], skipped: usize| -> Vec<Segment> {
        let prefix = prefix.iter().map(|name| Segment::key(name));
        prefix.chain(rest[skipped..].iter().cloned()).collect()
    };
    let in_envelope = |name: &str, at: usize| match envelope(name) {
        Some(place) => join(place, at + 1),
        None => join(&["trigger"], at),
    };
    Ok(match names.as_slice() {
        [] => return Err("name what you want of `context`".to_owned()),
        ["event", "message", "messageAttributes", name, ..] => join(attribute(name)?, 4),
        ["event", "messageAttributes", name, ..] => join(attribute(name)?, 3),
        ["event", "message", name, ..] => in_envelope(name, 2),
        ["event", "message"] => join(&["trigger"], 2),
        ["event", name, ..] => in_envelope(name, 1),
        ["event"] => join(&["trigger"], 1),
        ["steps", id, field, ..] => {
            let id = step_id(id);
            let field = if *field == "result" { "output" } else { field };
            join(&["steps", &id, field], 3)
        }
        ["steps", id] => join(&["steps", &step_id(id)], 2),
        ["execution", ..] => join(&["run"], 1),
        ["now", ..] => join(&["run", "now"], 1),
        // A root of ours, or a record that was joined into the context under its own name.
        _ => rest.to_vec(),
    })
}

/// Returns where a field of Thena's envelope that we name differently stands.
fn envelope(name: &str) -> Option<&'static [&'static str]> {
    match name {
        "eventType" => Some(&["trigger", "type"]),
        "eventId" => Some(&["trigger", "id"]),
        "timestamp" => Some(&["trigger", "time"]),
        "orgId" => Some(&["tenant", "id"]),
        _ => None, // The names that are the same in both.
    }
}

fn attribute(name: &str) -> Result<&'static [&'static str], String> {
    Ok(match name {
        "event_name" => &["trigger", "type"],
        "event_id" => &["trigger", "id"],
        "event_timestamp" => &["trigger", "time"],
        "context_user_id" => &["trigger", "actor", "id"],
        "context_user_type" => &["trigger", "actor", "type"],
        "context_organization_id" => &["tenant", "id"],
        _ => return Err(format!("`{name}` is no message attribute")),
    })
}

fn step_id(id: &str) -> String {
    let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("step_{id}") } else { id.to_owned() }
}

fn walk<'a>(start: &'a Value, segments: &[Segment]) -> Option<Cow<'a, Value>> {
    let mut value = start;
    for (position, segment) in segments.iter().enumerate() {
        if segment.step == Step::EachElement {
            return each(value, &segments[position + 1..]);
        }
        value = child(value, segment)?;
    }
    Some(Cow::Borrowed(value))
}

fn child<'a>(value: &'a Value, segment: &Segment) -> Option<&'a Value> {
    match (value, segment.step) {
        (Value::Object(fields), _) => fields.get(segment.name.as_ref()),
        (Value::Array(items), Step::Index(index)) => items.get(index),
        _ => None, // A scalar has no children, and an array none by name.
    }
}

/// Gathers the rest of the path from each element, one array also behind several `*`.
fn each<'a>(value: &'a Value, rest: &[Segment]) -> Option<Cow<'a, Value>> {
    let items = value.as_array()?;
    if rest.is_empty() {
        return Some(Cow::Borrowed(value));
    }
    let is_nested = rest.iter().any(|segment| segment.step == Step::EachElement);
    let mut gathered = Vec::new();
    for found in items.iter().filter_map(|item| walk(item, rest)) {
        match found.into_owned() {
            Value::Array(inner) if is_nested => gathered.extend(inner),
            found => gathered.push(found),
        }
    }
    Some(Cow::Owned(Value::Array(gathered)))
}

struct Nearest {
    names: Vec<String>,
    matched: usize,
}

impl Nearest {
    fn text(&self) -> String {
        Path::of(self.names.iter().map(|name| Segment::unquoted(name)).collect()).to_string()
    }
}

fn nearest_below(base: &Value, prefix: &[&str], segments: &[Segment]) -> Option<Nearest> {
    let mut names: Vec<String> = prefix.iter().map(|name| (*name).to_owned()).collect();
    let mut value = base;
    for (position, segment) in segments.iter().enumerate() {
        if let Some(inner) = child(value, segment) {
            names.push(segment.name.to_string());
            value = inner;
            continue;
        }
        let found = match value {
            Value::Object(fields) => similar(fields, &segment.name),
            _ => None, // Nothing below has a name.
        };
        if let Some((name, inner)) = found {
            names.push(name.clone());
            extend(&mut names, inner, &segments[position + 1..]);
            return Some(Nearest { names, matched: position + 1 });
        }
        let last = &segments[segments.len() - 1].name;
        if let Some(inner) = search(value, last) {
            names.extend(inner);
            return Some(Nearest { names, matched: position + 1 });
        }
        return (position > 0).then_some(Nearest { names, matched: position });
    }
    None
}

fn extend(names: &mut Vec<String>, mut value: &Value, rest: &[Segment]) {
    for segment in rest {
        let Some(inner) = child(value, segment) else { return };
        names.push(segment.name.to_string());
        value = inner;
    }
}

fn similar<'a>(fields: &'a Map<String, Value>, typed: &str) -> Option<(&'a String, &'a Value)> {
    let close = problem::nearest(typed, fields.keys().map(String::as_str));
    let lower = typed.to_lowercase();
    let mut letters: Vec<char> = lower.chars().collect();
    letters.sort_unstable();
    let is_swapped = |name: &&str| {
        let mut others: Vec<char> = name.to_lowercase().chars().collect();
        others.sort_unstable();
        others == letters
    };
    let begins_alike = |name: &&str| {
        let name = name.to_lowercase();
        lower.len().min(name.len()) > 2 && (name.starts_with(&lower) || lower.starts_with(&name))
    };
    let names = || fields.keys().map(String::as_str);
    let name = close.or_else(|| names().find(is_swapped)).or_else(|| names().find(begins_alike))?;
    fields.get_key_value(name)
}

/// Seeks a field of this name anywhere below, the shallowest first.
fn search(base: &Value, name: &str) -> Option<Vec<String>> {
    let mut waiting = std::collections::VecDeque::from([(base, Vec::new())]);
    let mut visited = 0;
    while let Some((value, names)) = waiting.pop_front() {
        let Value::Object(fields) = value else { continue };
        visited += fields.len();
        if visited > SEARCHED_NODES_MAX {
            return None;
        }
        for (key, inner) in fields {
            let mut below = names.clone();
            below.push(key.clone());
            if key.eq_ignore_ascii_case(name) {
                return Some(below);
            }
            waiting.push_back((inner, below));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let mut scope = Scope::of_event(json!({
            "id": "e1", "type": "ticket:created", "actor": {"id": "u1", "email": "a@b.c"},
            "payload": {"ticket": {"priorityName": "high", "tags": ["a", "b"], "odd key": 1},
                "item": {"sku": 7}, "type": "bug",
                "lines": [{"id": 1, "parts": [{"n": 1}]}, {"id": 2, "parts": [{"n": 2}, {"n": 3}]}]},
        }));
        scope.set_step("step_2", "output", json!({"id": 5}));
        scope.set("comment", json!({"text": "of the loop"}));
        scope
    }

    #[test]
    fn every_spelling_becomes_canonical() {
        for (written, canonical) in [
            ("ticket.priorityName", "ticket.priorityName"),
            ("items[0].id", "items.0.id"),
            ("items.0.id", "items.0.id"),
            ("[\"odd key\"].x", "[\"odd key\"].x"),
            ("a['odd \\'key']", "a[\"odd 'key\"]"),
            ("a['plain']", "a.plain"),
            ("lines[*].id", "lines.*.id"),
            ("a[\"*\"]", "a[\"*\"]"),
            ("context.event.message.payload.ticket.id", "trigger.payload.ticket.id"),
            ("context.event.payload.ticket.id", "trigger.payload.ticket.id"),
            ("context.event.message", "trigger"),
            ("context.event", "trigger"),
            ("context.event.message.eventType", "trigger.type"),
            ("context.event.eventId", "trigger.id"),
            ("context.event.message.timestamp", "trigger.time"),
            ("context.event.message.orgId", "tenant.id"),
            ("context.event.message.actor.email", "trigger.actor.email"),
            ("context.event.messageAttributes.event_name", "trigger.type"),
            ("context.event.messageAttributes.event_id", "trigger.id"),
            ("context.event.messageAttributes.event_timestamp", "trigger.time"),
            ("context.event.messageAttributes.context_user_id", "trigger.actor.id"),
            ("context.event.messageAttributes.context_user_type", "trigger.actor.type"),
            ("context.event.messageAttributes.context_organization_id", "tenant.id"),
            ("context.steps.2.result.id", "steps.step_2.output.id"),
            ("context.steps.find.result", "steps.find.output"),
            ("context.steps.1.input.title", "steps.step_1.input.title"),
            ("context.execution.id", "run.id"),
            ("context.workflow.name", "workflow.name"),
            ("context.now", "run.now"),
            ("context.account.name", "account.name"),
        ] {
            let path = Path::parse(written).expect(written);
            assert_eq!(path.to_string(), canonical, "{written}");
            assert_eq!(Path::parse(canonical).as_ref(), Ok(&path), "{canonical} reads back");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = "a.".repeat(300);
        for text in ["", ".", "a..b", "a.", "a b", "a[", "a[b]", "a[\"b", "a|b", "context", &long] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_id_of_a_record_is_found_under_its_own_name() {
        let scope = |payload: Value| Scope::of_event(json!({ "type": "a:b", "payload": payload }));
        let found = |text: &str, payload: Value| {
            let path = Path::parse(text).unwrap();
            path.lookup(&scope(payload)).value.map(Cow::into_owned)
        };
        let ticket = json!({ "ticket": { "id": "t1" } });
        let context = "context.event.message.payload.ticketId";
        for text in ["ticketId", "trigger.payload.ticketId", context] {
            assert_eq!(found(text, ticket.clone()), Some(json!("t1")), "{text}");
            assert_eq!(found(text, json!({ "ticketId": 5 })), Some(json!(5)), "{text}");
        }
        assert_eq!(found("ticket.ticketId", ticket.clone()), None);
        assert_eq!(found("accountId", ticket), None);
    }

    #[test]
    fn lookups_find_payload_then_event_then_roots() {
        let scope = scope();
        for (path, expected) in [
            ("ticket.priorityName", json!("high")),
            ("type", json!("bug")),
            ("trigger.type", json!("ticket:created")),
            ("actor.id", json!("u1")),
            ("ticket.tags.1", json!("b")),
            ("ticket[\"odd key\"]", json!(1)),
            ("steps.step_2.output.id", json!(5)),
            ("context.steps.2.result.id", json!(5)),
            ("item.sku", json!(7)),
            ("comment.text", json!("of the loop")),
            ("lines.*.id", json!([1, 2])),
            ("lines.*.parts.*.n", json!([1, 2, 3])),
            ("ticket.tags.*", json!(["a", "b"])),
        ] {
            let path = Path::parse(path).expect(path);
            assert_eq!(path.lookup(&scope).value.as_deref(), Some(&expected), "{path}");
        }
        for path in ["ticket.tags.2", "ticket.nothing.deep", "ticket.*", "nope", "steps.step_3"] {
            let path = Path::parse(path).expect(path);
            assert_eq!(path.lookup(&scope).value, None, "{path}");
        }
    }

    #[test]
    fn the_nearest_existing_path_is_named() {
        let scope = scope();
        for (typed, nearest) in [
            ("ticket.priority", Some("payload.ticket.priorityName")),
            ("tickt.priorityName", Some("payload.ticket.priorityName")),
            ("priorityName", Some("payload.ticket.priorityName")),
            ("actor.emial", Some("actor.email")),
            ("trigger.payload.ticket.prioritName", Some("trigger.payload.ticket.priorityName")),
            ("steps.step_2.output.idd", Some("steps.step_2.output.id")),
            ("ticket.zzzzzz", Some("payload.ticket")),
            ("zzzzzz", None),
        ] {
            let path = Path::parse(typed).expect(typed);
            assert_eq!(path.nearest_existing(&scope).as_deref(), nearest, "{typed}");
        }
    }

    #[test]
    fn the_previous_record_stands_beside_the_present_one() {
        for (path, previous) in [
            ("ticket.status", "previousTicket.status"),
            ("trigger.payload.account.name", "trigger.payload.previousAccount.name"),
        ] {
            let (_, found) = Path::parse(path).expect(path).previous().expect(path);
            assert_eq!(found.to_string(), previous);
        }
        assert_eq!(Path::parse("steps.a.output").expect("a path").previous(), None);
    }
}
