//! Reads an expression once: finds the paths in it, and replaces each by a slot for its value.

use std::ops::Range;

use crate::domain::path::Path;

const REFERENCES_MAX: usize = 50;
/// Bounds how deep the engine's own tree can be, which it walks recursively.
const OPERATORS_MAX: usize = 250;
/// Stands behind what is multiplied and refuses lists there: a list that repeats itself costs
/// nothing until it is written out, and then more than there is.
const SCALAR_GUARD: &str = "|_scalar ";
const KEYWORD_OPERATORS: [&str; 6] = ["and", "or", "not", "in", "if", "else"];
const CONSTANTS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];

/// An expression whose paths have become the variables `_0`, `_1` and so on.
#[derive(Debug)]
pub(super) struct Scanned {
    pub slotted: String,
    pub occurrences: Vec<Occurrence>,
    pub names: Vec<Name>,
    edits: Vec<Edit>,
}

/// A replacement in the text as it was written.
#[derive(Debug)]
struct Edit {
    span: Range<usize>,
    text: String,
}

/// One path in an expression.
#[derive(Clone, Debug)]
pub(super) struct Occurrence {
    pub path: Path,
    pub guard: Guard,
    pub span: Range<usize>,
}

/// Whether the absence of a path is provided for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// An absent path is an error.
    Required,
    /// A `default` follows.
    Defaulted,
    /// An `is defined` follows.
    Tested,
}

/// A filter, test or function that an expression names.
#[derive(Debug)]
pub(super) struct Name {
    pub kind: NameKind,
    pub span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    Filter,
    Test,
    Function,
}

/// A fault at a byte offset of the expression.
#[derive(Debug)]
pub(super) struct Fault {
    pub offset: usize,
    pub detail: String,
    pub hint: Option<String>,
}

impl Scanned {
    pub fn read(text: &str) -> Result<Scanned, Fault> {
        let mut scanner = Scanner::new(text);
        while let Some(token) = scanner.next_char() {
            scanner.step(token)?;
        }
        scanner.end_operand();
        let Scanner { occurrences, names, edits, operators, .. } = scanner;
        if occurrences.len() > REFERENCES_MAX || operators > OPERATORS_MAX {
            let detail = format!(
                "an expression has at most {REFERENCES_MAX} references and {OPERATORS_MAX} operators"
            );
            return Err(Fault { offset: 0, detail, hint: None });
        }
        Ok(Scanned { slotted: edited(text, &edits), occurrences, names, edits })
    }

    /// Returns the path if the expression `text` is nothing else.
    pub fn whole_path(&self, text: &str) -> Option<&Path> {
        match self.occurrences.as_slice() {
            [only] if only.span == (0..text.len()) => Some(&only.path),
            _ => None, // A literal, or a path among other things.
        }
    }

    /// Translates an offset in the slotted text back into one in the text as it was written.
    pub fn original_offset(&self, slotted: usize) -> usize {
        let (mut original, mut seen) = (0, 0);
        for edit in &self.edits {
            let edit_at = seen + (edit.span.start - original);
            if slotted < edit_at {
                break;
            }
            if slotted < edit_at + edit.text.len() {
                return edit.span.start;
            }
            seen = edit_at + edit.text.len();
            original = edit.span.end;
        }
        original + (slotted - seen)
    }

    /// Tells whether a reference's absence is provided for anywhere in the expression.
    pub fn is_optional(&self, occurrence: &Occurrence) -> bool {
        let path = occurrence.path.to_string();
        let covers = |tested: &Occurrence| {
            let rest = path.strip_prefix(&tested.path.to_string()).map(str::to_owned);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        occurrence.guard != Guard::Required
            || self.occurrences.iter().any(|other| other.guard == Guard::Tested && covers(other))
    }
}

pub(super) fn slot_name(slot: usize) -> String {
    format!("_{slot}")
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut edited = String::with_capacity(text.len());
    let mut written = 0;
    for edit in edits {
        edited.push_str(&text[written..edit.span.start]);
        edited.push_str(&edit.text);
        written = edit.span.end;
    }
    edited.push_str(&text[written..]);
    edited
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Previous {
    Operator,
    Operand,
    Pipe,
    Is,
    Dot,
}

struct Group {
    first: usize,
    is_grouping: bool,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    previous: Previous,
    groups: Vec<Group>,
    occurrences: Vec<Occurrence>,
    names: Vec<Name>,
    edits: Vec<Edit>,
    operators: usize,
    /// In how many brackets each factor stands that has not come to its end.
    factors: Vec<usize>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Scanner<'a> {
        Scanner {
            text,
            at: 0,
            previous: Previous::Operator,
            groups: vec![],
            occurrences: vec![],
            names: vec![],
            edits: vec![],
            operators: 0,
            factors: vec![],
        }
    }

    fn next_char(&mut self) -> Option<char> {
        self.at = self.after_spaces(self.at);
        self.text[self.at..].chars().next()
    }

    fn step(&mut self, token: char) -> Result<(), Fault> {
        let is_postfix = matches!(token, '.' | '[' | '(' | '|') || is_word(token);
        if self.previous == Previous::Operand && !is_postfix {
            self.end_operand();
        }
        self.operators += usize::from(!is_word(token) && !matches!(token, ',' | ':' | '"' | '\''));
        match token {
            '"' | '\'' => {
                self.at = string_end(self.text, self.at);
                self.previous = Previous::Operand;
            }
            '0'..='9' => {
                self.at = number_end(self.text, self.at);
                self.previous = Previous::Operand;
            }
            c if is_word(c) => return self.word(),
            '(' | '[' | '{' => {
                let is_grouping = token == '(' && self.previous == Previous::Operator;
                self.groups.push(Group { first: self.occurrences.len(), is_grouping });
                self.pass(token, Previous::Operator);
            }
            ')' | ']' | '}' => {
                self.pass(token, Previous::Operand);
                self.close_group();
            }
            '|' => self.pass(token, Previous::Pipe),
            '*' if self.text[self.at..].starts_with("**") => {
                self.at += 1;
                self.pass(token, Previous::Operator);
            }
            '*' if self.previous == Previous::Operand => {
                self.insert_guard();
                self.factors.push(self.groups.len());
                self.pass(token, Previous::Operator);
            }
            '.' => self.pass(token, Previous::Dot),
            other => self.pass(other, Previous::Operator),
        }
        Ok(())
    }

    fn pass(&mut self, token: char, previous: Previous) {
        self.at += token.len_utf8();
        self.previous = previous;
    }

    /// Guards the factor that ends here, if one does.
    fn end_operand(&mut self) {
        while self.factors.last().is_some_and(|depth| *depth >= self.groups.len()) {
            self.factors.pop();
            self.insert_guard();
        }
    }

    fn insert_guard(&mut self) {
        let text = SCALAR_GUARD.to_owned();
        self.edits.push(Edit { span: self.at..self.at, text });
    }

    fn close_group(&mut self) {
        let Some(group) = self.groups.pop().filter(|group| group.is_grouping) else { return };
        let guard = self.guard_after(self.at);
        if guard != Guard::Required {
            self.occurrences[group.first..].iter_mut().for_each(|inner| inner.guard = guard);
        }
    }

    fn word(&mut self) -> Result<(), Fault> {
        let end = word_end(self.text, self.at);
        let word = &self.text[self.at..end];
        let span = self.at..end;
        let next = &self.text.as_bytes()[self.after_spaces(end)..];
        let (kind, previous) = match self.previous {
            Previous::Pipe => (Some(NameKind::Filter), Previous::Operand),
            Previous::Is if word == "not" => (None, Previous::Is),
            Previous::Is => (Some(NameKind::Test), Previous::Operand),
            Previous::Dot => (None, Previous::Operand),
            Previous::Operator | Previous::Operand => match word {
                "is" => (None, Previous::Is),
                _ if KEYWORD_OPERATORS.contains(&word) => (None, Previous::Operator),
                _ if CONSTANTS.contains(&word) => (None, Previous::Operand),
                _ if next.first() == Some(&b'(') => (Some(NameKind::Function), Previous::Operand),
                _ if next.first() == Some(&b'=') && next.get(1) != Some(&b'=') => {
                    (None, Previous::Operator) // The name of a keyword argument.
                }
                _ => return self.path(),
            },
        };
        if self.previous == Previous::Operand {
            self.end_operand();
        }
        self.operators += 1;
        self.names.extend(kind.map(|kind| Name { kind, span }));
        self.at = end;
        self.previous = previous;
        Ok(())
    }

    fn path(&mut self) -> Result<(), Fault> {
        let span = self.at..chain_end(self.text, self.at);
        let path = Path::parse(&self.text[span.clone()]).map_err(|detail| Fault {
            offset: span.start,
            detail,
            hint: None,
        })?;
        let guard = self.guard_after(span.end);
        self.at = span.end;
        self.previous = Previous::Operand;
        let text = slot_name(self.occurrences.len());
        self.edits.push(Edit { span: span.clone(), text });
        self.occurrences.push(Occurrence { path, guard, span });
        Ok(())
    }

    fn guard_after(&self, end: usize) -> Guard {
        let rest = self.text[end..].trim_start();
        if let Some(filter) = rest.strip_prefix('|') {
            let filter = filter.trim_start();
            let is_default = ["default", "d"].contains(&&filter[..word_end(filter, 0)]);
            return if is_default { Guard::Defaulted } else { Guard::Required };
        }
        let mut words = rest.split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
        let tests = rest.starts_with("is") && words.next() == Some("is");
        match words.find(|word| *word != "not") {
            Some("defined" | "undefined") if tests => Guard::Tested,
            _ => Guard::Required,
        }
    }

    fn after_spaces(&self, at: usize) -> usize {
        self.text.len() - self.text[at..].trim_start().len()
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn word_end(text: &str, at: usize) -> usize {
    text[at..].find(|c| !is_word(c)).map_or(text.len(), |length| at + length)
}

fn number_end(text: &str, at: usize) -> usize {
    let end = word_end(text, at);
    let has_fraction =
        text[end..].starts_with('.') && text[end + 1..].starts_with(|c: char| c.is_ascii_digit());
    if has_fraction { word_end(text, end + 1) } else { end }
}

/// Returns the end of the quoted text that begins at `at`, or of everything if it is never closed.
pub(super) fn string_end(text: &str, at: usize) -> usize {
    let quote = text.as_bytes()[at];
    let mut escaped = false;
    for (offset, byte) in text.bytes().enumerate().skip(at + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return offset + 1,
            _ => {} // Inside the text.
        }
    }
    text.len()
}

/// Returns the end of the path that begins at `start`: names, numbers and `*` behind dots, and
/// literal subscripts; what is called is a method and no longer part of it.
fn chain_end(text: &str, start: usize) -> usize {
    let mut end = word_end(text, start);
    loop {
        let next = match text.as_bytes().get(end) {
            Some(b'.') if text[end + 1..].starts_with('*') => end + 2,
            Some(b'.') if matches!(&text[start..end], "steps" | "context.steps") => {
                hyphenated_end(text, end + 1)
            }
            Some(b'.') => word_end(text, end + 1),
            Some(b'[') => match subscript_end(text, end + 1) {
                Some(next) => next,
                None => return end,
            },
            _ => return end, // An operator, a space or the end.
        };
        if next == end + 1 || text[next..].starts_with('(') {
            return end;
        }
        end = next;
    }
}

/// A step's id may hold hyphens; nobody subtracts from the whole of a step.
fn hyphenated_end(text: &str, at: usize) -> usize {
    let mut end = word_end(text, at);
    while text[end..].starts_with('-') && word_end(text, end + 1) > end + 1 {
        end = word_end(text, end + 1);
    }
    end
}

fn subscript_end(text: &str, at: usize) -> Option<usize> {
    let start = text.len() - text[at..].trim_start().len();
    let end = match text[start..].chars().next()? {
        '"' | '\'' => string_end(text, start),
        '0'..='9' => start + text[start..].find(|c: char| !c.is_ascii_digit())?,
        '*' => start + 1,
        _ => return None, // Computed: left to the engine.
    };
    let close = text.len() - text[end..].trim_start().len();
    text[close..].starts_with(']').then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(text: &str) -> (String, Vec<String>) {
        let scanned = Scanned::read(text).expect(text);
        let marked = scanned.occurrences.iter().map(|occurrence| match occurrence.guard {
            Guard::Required => occurrence.path.to_string(),
            Guard::Defaulted => format!("{}?", occurrence.path),
            Guard::Tested => format!("{}??", occurrence.path),
        });
        (scanned.slotted.clone(), marked.collect())
    }

    #[test]
    fn paths_become_slots_and_nothing_else_does() {
        for (text, slotted, paths) in [
            ("a.b + 1.5", "_0 + 1.5", vec!["a.b"]),
            ("a.b | default('x.y') ~ c", "_0 | default('x.y') ~ _1", vec!["a.b?", "c"]),
            ("(a.b) | d(c.d)", "(_0) | d(_1)", vec!["a.b?", "c.d"]),
            ("a if a is defined else 'b'", "_0 if _1 is defined else 'b'", vec!["a", "a??"]),
            ("x|map(attribute='id')|list", "_0|map(attribute='id')|list", vec!["x"]),
            ("range(a.n)", "range(_0)", vec!["a.n"]),
            ("a.name.upper()", "_0.upper()", vec!["a.name"]),
            ("a[b.c].d", "_0[_1].d", vec!["a", "b.c"]),
            ("a['x y'][0].z", "_0", vec!["a[\"x y\"].0.z"]),
            ("{'a': b}.a", "{'a': _0}.a", vec!["b"]),
            ("steps.find-it.output - b-c", "_0 - _1-_2", vec!["steps.find-it.output", "b", "c"]),
            ("a.*.id|join", "_0|join", vec!["a.*.id"]),
            ("true and not none", "true and not none", vec![]),
            ("a == b", "_0 == _1", vec!["a", "b"]),
            ("a * b", "_0 |_scalar * _1|_scalar ", vec!["a", "b"]),
            ("(2 * -(x)|f) + 1", "(2 |_scalar * -(_0)|f|_scalar ) + 1", vec!["x"]),
            ("[1] * 2 if y else 2**3", "[1] |_scalar * 2 |_scalar if _0 else 2**3", vec!["y"]),
        ] {
            let paths: Vec<String> = paths.into_iter().map(str::to_owned).collect();
            assert_eq!(slots(text), (slotted.to_owned(), paths), "{text}");
        }
    }

    #[test]
    fn offsets_translate_back() {
        let scanned = Scanned::read("trigger.payload.x + ) + b").expect("scannable");
        assert_eq!(scanned.slotted, "_0 + ) + _1");
        assert_eq!(scanned.original_offset(5), 20);
        assert_eq!(scanned.original_offset(0), 0);
    }
}
