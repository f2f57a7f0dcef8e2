//! Patterns of event types: one type in any of its spellings, or all that begin as `ticket:*` does.

use crate::domain::event_type;
use crate::domain::problem::{Problem, nearest};

/// What stands between the parts of a type; senders of their own types like the dot.
const SEPARATORS: [char; 2] = [':', '.'];

/// Which event types are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// The parts of a pattern with a star; `None` for a single type.
    parts: Option<Vec<String>>,
}

impl Pattern {
    /// Reads a pattern that stands at `pointer`; `known` are the event types that there are.
    ///
    /// # Errors
    /// Returns the problem `unknown_event_type` when no known type can ever be meant.
    pub fn parse(text: &str, pointer: &str, known: &[&str]) -> Result<Pattern, Problem> {
        let pattern = Pattern::restore(text.trim());
        match &pattern.parts {
            None => {
                let dotless = || Pattern { text: pattern.text.replace('.', ":"), parts: None };
                let spellings = [pattern.clone(), dotless()];
                if let Some(known) = spellings.into_iter().find(|it| it.is_known(known)) {
                    return Ok(known);
                }
            }
            Some(parts) if known.iter().any(|kind| may_meet(parts, kind)) => return Ok(pattern),
            Some(_) => {} // No type can ever begin so.
        }
        let detail = format!("there is no event type `{text}`");
        let problem = Problem::new(pointer, "unknown_event_type", detail);
        let families: Vec<String> = known.iter().map(|kind| format!("{}:*", first(kind))).collect();
        let families = families.iter().map(String::as_str);
        let near = match &pattern.parts {
            None => nearest(text, known.iter().copied().chain(families)),
            Some(_) => nearest(text, families.chain(known.iter().copied())),
        };
        Err(match near {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem.with_hint("register it first, or choose from the list of event types"),
        })
    }

    /// Takes a pattern as it is, whatever types there are.
    #[must_use]
    pub fn restore(text: &str) -> Pattern {
        if !text.contains('*') {
            return Pattern { text: event_type::canonical(text).into_owned(), parts: None };
        }
        let mut parts: Vec<String> = text.split(SEPARATORS).map(str::to_owned).collect();
        if parts[0] == "org" {
            "organization".clone_into(&mut parts[0]);
        }
        Pattern { text: parts.join(":"), parts: Some(parts) }
    }

    fn is_known(&self, known: &[&str]) -> bool {
        event_type::find(&self.text).is_some() || known.contains(&self.text.as_str())
    }

    /// Returns the canonical spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether a canonical type is meant. A star stands for one part or the rest of one, at
    /// the end for any number of parts too.
    #[must_use]
    pub fn covers(&self, kind: &str) -> bool {
        match &self.parts {
            None => self.text == kind,
            Some(parts) => meets(parts, kind, begins),
        }
    }
}

/// Returns whether some type that `known` stands for can be meant; it may have stars itself.
fn may_meet(parts: &[String], known: &str) -> bool {
    meets(parts, known, |own, given| given == "*" || begins(own, given))
}

fn begins(own: &str, given: &str) -> bool {
    match own.strip_suffix('*') {
        Some(beginning) => given.starts_with(beginning),
        None => own == given,
    }
}

fn meets(parts: &[String], kind: &str, same: impl Fn(&str, &str) -> bool) -> bool {
    let mut given = kind.split(SEPARATORS);
    for (index, own) in parts.iter().enumerate() {
        let Some(part) = given.next().filter(|part| !part.is_empty()) else { return false };
        if !same(own, part) {
            return false;
        }
        if own.ends_with('*') && index + 1 == parts.len() {
            return true;
        }
    }
    given.next().is_none()
}

fn first(kind: &str) -> &str {
    kind.split(SEPARATORS).next().unwrap_or(kind)
}
