//! A JSON tree with expressions in its strings: parsed once, checked, and rendered many times.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::engine::{self, Compiled, Failure};
use super::scan::{self, Fault, NameKind, Scanned};
use super::{EXPRESSIONS_MAX, ExpressionError, OUTPUT_BYTES_MAX, Reference, SOURCE_BYTES_MAX};
use crate::domain::path::Path;
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::scope::Scope;
use crate::domain::secret;

/// A JSON tree whose strings may hold `{{ … }}`.
#[derive(Clone)]
pub struct Template {
    source: Value,
    root: Node,
}

#[derive(Clone)]
enum Node {
    Constant(Value),
    /// A string that is one expression keeps the type of its value.
    Whole(Arc<Expression>),
    Text(Vec<Part>),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

#[derive(Clone)]
enum Part {
    Literal(String),
    Expression(Arc<Expression>),
}

struct Expression {
    text: String,
    pointer: String,
    scanned: Scanned,
    /// `None` for a plain path, which is looked up without the engine.
    compiled: Option<Compiled>,
}

impl Template {
    /// Reads a tree; `at` is the pointer of the tree in its document.
    ///
    /// # Errors
    /// Returns every problem at once: `invalid_expression`, `statement_not_allowed`,
    /// `expression_too_long`, `too_many_expressions`.
    pub fn parse(raw: &Value, at: &str) -> Result<Template, Vec<Problem>> {
        let mut reader = Reader { problems: Vec::new(), expressions: 0 };
        let root = reader.node(raw, at);
        if reader.expressions > EXPRESSIONS_MAX {
            let detail = format!("there are more than {EXPRESSIONS_MAX} expressions");
            reader.problems.push(Problem::new(at, "too_many_expressions", detail));
        }
        match reader.problems.is_empty() {
            true => Ok(Template { source: raw.clone(), root }),
            false => Err(reader.problems),
        }
    }

    /// Renders the tree against what the scope holds.
    ///
    /// # Errors
    /// Returns the first expression that has no value, fails, or needs too much time or space.
    pub fn render(&self, scope: &Scope) -> Result<Value, ExpressionError> {
        self.root.render(scope, &mut Meter { bytes_left: OUTPUT_BYTES_MAX })
    }

    /// Renders the tree as text: a string as it is, null as nothing, anything else as JSON.
    ///
    /// # Errors
    /// Fails as [`Template::render`] does.
    pub fn render_text(&self, scope: &Scope) -> Result<String, ExpressionError> {
        let mut text = String::new();
        append(&mut text, &self.render(scope)?);
        Ok(text)
    }

    /// Returns what the expressions read, as far as it is written out in them.
    #[must_use]
    pub fn references(&self) -> Vec<Reference> {
        let mut references = Vec::new();
        self.root.visit(&mut |expression| references.extend(expression.references()));
        references
    }

    /// Returns the value of each expression on its own, in the order of `places`.
    #[must_use]
    pub fn values(&self, scope: &Scope) -> Vec<Result<Value, ExpressionError>> {
        let mut values = Vec::new();
        self.root.visit(&mut |expression| {
            values.push(expression.evaluate(scope, OUTPUT_BYTES_MAX).map(Cow::into_owned));
        });
        values
    }

    /// Returns where each expression stands, with its text.
    #[must_use]
    pub fn places(&self) -> Vec<(String, String)> {
        let mut places = Vec::new();
        self.root.visit(&mut |expression| {
            places.push((expression.pointer.clone(), expression.text.clone()));
        });
        places
    }

    /// Returns the tree as it was written.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Returns the tree if no expression is in it.
    #[must_use]
    pub fn constant(&self) -> Option<&Value> {
        match &self.root {
            Node::Constant(value) => Some(value),
            _ => None, // Anything else holds an expression somewhere.
        }
    }

    /// Returns the path if the tree is one string that is nothing but a path.
    #[must_use]
    pub fn plain_path(&self) -> Option<&Path> {
        match &self.root {
            Node::Whole(expression) => expression.plain_path(),
            _ => None, // Text around it, or a tree.
        }
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Template").field(&self.source).finish()
    }
}

struct Reader {
    problems: Vec<Problem>,
    expressions: usize,
}

impl Reader {
    fn node(&mut self, raw: &Value, at: &str) -> Node {
        match raw {
            Value::String(text) => self.text(text, at),
            Value::Array(items) => {
                let nodes = items.iter().enumerate();
                let nodes: Vec<Node> = nodes
                    .map(|(index, item)| self.node(item, &pointer_to(at, &index.to_string())))
                    .collect();
                match nodes.iter().all(Node::is_constant) {
                    true => Node::Constant(raw.clone()),
                    false => Node::Array(nodes),
                }
            }
            Value::Object(fields) => {
                let nodes: Vec<(String, Node)> = fields
                    .iter()
                    .map(|(name, field)| (name.clone(), self.node(field, &pointer_to(at, name))))
                    .collect();
                match nodes.iter().all(|(_, node)| node.is_constant()) {
                    true => Node::Constant(raw.clone()),
                    false => Node::Object(nodes),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Node::Constant(raw.clone()),
        }
    }

    fn text(&mut self, text: &str, at: &str) -> Node {
        let pieces = match split(text) {
            Ok(pieces) => pieces,
            Err((offset, code, detail)) => {
                let detail = format!("column {}: {detail}", column(text, offset));
                self.problems.push(Problem::new(at, code, detail));
                return Node::Constant(Value::Null);
            }
        };
        let mut parts = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => parts.push(Part::Literal(literal.to_owned())),
                Piece::Expression { source, offset } => {
                    self.expressions += 1;
                    match Expression::parse(source, at) {
                        Ok(expression) => parts.push(Part::Expression(Arc::new(expression))),
                        Err((code, fault)) => {
                            self.problems.push(fault.problem(at, code, text, offset));
                        }
                    }
                }
            }
        }
        match parts.as_slice() {
            [Part::Expression(whole)] => Node::Whole(whole.clone()),
            [] | [Part::Literal(_)] => Node::Constant(Value::String(text.to_owned())),
            _ => Node::Text(parts),
        }
    }
}

impl Fault {
    fn problem(self, at: &str, code: &str, text: &str, offset: usize) -> Problem {
        let column = column(text, offset + self.offset);
        let problem = Problem::new(at, code, format!("column {column}: {}", self.detail));
        match self.hint {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        }
    }
}

/// Counts characters, from 1, as an editor does.
fn column(text: &str, offset: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < offset).count() + 1
}

enum Piece<'a> {
    Literal(&'a str),
    Expression { source: &'a str, offset: usize },
}

fn split(text: &str) -> Result<Vec<Piece<'_>>, (usize, &'static str, String)> {
    let mut pieces = Vec::new();
    let mut written = 0;
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|found| from + found) {
        from = open + 1;
        match text.as_bytes().get(open + 1) {
            Some(b'{') => {
                let inside = &text[open + 2..];
                let length = expression_length(inside).ok_or_else(|| {
                    (open, "invalid_expression", "this `{{` is never closed".to_owned())
                })?;
                if open > written {
                    pieces.push(Piece::Literal(&text[written..open]));
                }
                let inside = &inside[..length];
                let leading = inside.len() - inside.trim_start().len();
                pieces
                    .push(Piece::Expression { source: inside.trim(), offset: open + 2 + leading });
                written = open + 2 + length + 2;
                from = written;
            }
            Some(b'%') if text[open..].contains("%}") => {
                let detail = "statements (`{% %}`) are not part of the language".to_owned();
                return Err((open, "statement_not_allowed", detail));
            }
            Some(b'#') if text[open..].contains("#}") => {
                let detail = "comments (`{# #}`) are not part of the language".to_owned();
                return Err((open, "statement_not_allowed", detail));
            }
            _ => {} // A brace like any other character.
        }
    }
    if written < text.len() {
        pieces.push(Piece::Literal(&text[written..]));
    }
    Ok(pieces)
}

/// Returns how far the `}}` is that closes an expression, past quoted text and inner braces.
fn expression_length(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => {
                at = scan::string_end(inside, at);
                continue;
            }
            b'{' => depth += 1,
            b'}' if depth == 0 => return (bytes.get(at + 1) == Some(&b'}')).then_some(at),
            b'}' => depth -= 1,
            _ => {} // Part of the expression.
        }
        at += 1;
    }
    None
}

impl Expression {
    fn parse(text: &str, pointer: &str) -> Result<Expression, (&'static str, Fault)> {
        let fault = |offset, detail: String| Fault { offset, detail, hint: None };
        if text.len() > SOURCE_BYTES_MAX {
            let detail = format!("an expression has at most {SOURCE_BYTES_MAX} bytes");
            return Err(("expression_too_long", fault(0, detail)));
        }
        if text.is_empty() {
            let detail = "the braces hold no expression".to_owned();
            return Err(("invalid_expression", fault(0, detail)));
        }
        let scanned = Scanned::read(text).map_err(|fault| ("invalid_expression", fault))?;
        let compiled = match scanned.whole_path(text) {
            Some(_) => None,
            None => Some(engine::compile(&scanned.slotted).map_err(|error| {
                let offset = scanned.original_offset(error.offset);
                ("invalid_expression", fault(offset, error.detail))
            })?),
        };
        if let Some(called) = called_path(text, &scanned) {
            return Err(("invalid_expression", called));
        }
        if let Some(unknown) = unknown_name(text, &scanned) {
            return Err(("invalid_expression", unknown));
        }
        Ok(Expression { text: text.to_owned(), pointer: pointer.to_owned(), scanned, compiled })
    }

    fn plain_path(&self) -> Option<&Path> {
        self.scanned.whole_path(&self.text)
    }

    /// Returns the name of the secret, if the expression is nothing but one.
    fn secret(&self) -> Option<&str> {
        let path = self.plain_path().filter(|path| path.root() == Some("secrets"))?;
        let mut segments = path.segments().skip(1);
        segments.next().filter(|_| segments.next().is_none())
    }

    fn references(&self) -> impl Iterator<Item = Reference> {
        self.scanned.occurrences.iter().map(|occurrence| Reference {
            path: occurrence.path.clone(),
            pointer: self.pointer.clone(),
            optional: self.scanned.is_optional(occurrence),
            expression: self.text.clone(),
        })
    }

    fn evaluate<'a>(
        &self,
        scope: &'a Scope,
        bytes_max: usize,
    ) -> Result<Cow<'a, Value>, ExpressionError> {
        let occurrences = &self.scanned.occurrences;
        if let Some(name) = self.secret() {
            // Its value is put in when the call is made, and is never part of what is rendered.
            return Ok(Cow::Owned(Value::String(secret::marker(name))));
        }
        let value = match &self.compiled {
            None => occurrences[0].path.lookup(scope).value.ok_or(Failure::Absent(0)),
            Some(compiled) => {
                engine::evaluate(compiled, occurrences, scope, bytes_max).map(Cow::Owned)
            }
        };
        value.map_err(|failure| self.error(failure, scope))
    }

    fn error(&self, failure: Failure, scope: &Scope) -> ExpressionError {
        let (code, detail, hint) = match failure {
            Failure::Absent(slot) => {
                let path = &self.scanned.occurrences[slot].path;
                let hint = match path.nearest_existing(scope) {
                    Some(near) => format!("the nearest existing path is `{near}`; {ALLOW_ABSENCE}"),
                    None => ALLOW_ABSENCE.to_owned(),
                };
                ("path_missing", format!("`{path}` does not exist"), Some(hint))
            }
            Failure::NoValue => {
                let detail = "the expression has no value".to_owned();
                ("path_missing", detail, Some(ALLOW_ABSENCE.to_owned()))
            }
            Failure::Failed(detail) => ("expression_failed", detail, None),
            Failure::TooLarge => {
                let detail = format!("the result exceeds {OUTPUT_BYTES_MAX} bytes");
                ("too_large", detail, None)
            }
            Failure::TooMuchRead => {
                let detail = format!("what is read exceeds {} bytes", engine::INPUT_BYTES_MAX);
                ("too_large", detail, None)
            }
            Failure::OutOfFuel => {
                let detail = "the expression needs too much work".to_owned();
                ("out_of_fuel", detail, None)
            }
        };
        let expression = self.text.clone();
        ExpressionError { pointer: self.pointer.clone(), expression, code, detail, hint }
    }
}

const ALLOW_ABSENCE: &str = "append `| default(…)` to allow absence";

/// Values have no methods: what other languages call is a filter here.
fn called_path(text: &str, scanned: &Scanned) -> Option<Fault> {
    let is_called = |end: usize| {
        let rest = text[end..].strip_prefix('.').unwrap_or(&text[end..]);
        rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').starts_with('(')
    };
    let called = scanned.occurrences.iter().find(|occurrence| is_called(occurrence.span.end))?;
    Some(Fault {
        offset: called.span.start,
        detail: format!("`{}` cannot be called", called.path),
        hint: Some("values have no methods; write {{ path | filter }}, such as | upper".to_owned()),
    })
}

fn unknown_name(text: &str, scanned: &Scanned) -> Option<Fault> {
    scanned.names.iter().find_map(|name| {
        let known = engine::names_of(name.kind);
        let written = &text[name.span.clone()];
        if known.contains(&written) {
            return None;
        }
        let kind = match name.kind {
            NameKind::Filter => "filter",
            NameKind::Test => "test",
            NameKind::Function => "function",
        };
        let hint = nearest(written, known.iter().copied());
        Some(Fault {
            offset: name.span.start,
            detail: format!("there is no {kind} `{written}`"),
            hint: hint.map(|near| format!("did you mean `{near}`?")),
        })
    })
}

/// What a rendering may still write.
struct Meter {
    bytes_left: usize,
}

impl Meter {
    /// Evaluates an expression and pays for its value.
    fn evaluate<'a>(
        &mut self,
        expression: &Expression,
        scope: &'a Scope,
    ) -> Result<Cow<'a, Value>, ExpressionError> {
        let value = expression.evaluate(scope, self.bytes_left)?;
        match spend(&value, &mut self.bytes_left) {
            true => Ok(value),
            false => Err(expression.error(Failure::TooLarge, scope)),
        }
    }
}

/// Subtracts about the size of the value as JSON; false when it does not fit.
pub(super) fn spend(value: &Value, bytes_left: &mut usize) -> bool {
    let own = match value {
        Value::String(text) => text.len() + 2,
        Value::Object(fields) => fields.keys().map(|name| name.len() + 3).sum::<usize>() + 2,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => 2,
    };
    let Some(left) = bytes_left.checked_sub(own) else { return false };
    *bytes_left = left;
    match value {
        Value::Array(items) => items.iter().all(|item| spend(item, bytes_left)),
        Value::Object(fields) => fields.values().all(|field| spend(field, bytes_left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

impl Node {
    fn is_constant(&self) -> bool {
        matches!(self, Node::Constant(_))
    }

    fn render(&self, scope: &Scope, meter: &mut Meter) -> Result<Value, ExpressionError> {
        Ok(match self {
            Node::Constant(value) => value.clone(),
            Node::Whole(expression) => meter.evaluate(expression, scope)?.into_owned(),
            Node::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Expression(expression) => {
                            append(&mut text, &*meter.evaluate(expression, scope)?);
                        }
                    }
                }
                Value::String(text)
            }
            Node::Array(items) => {
                let items = items.iter().map(|item| item.render(scope, meter));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Node::Object(fields) => {
                let mut rendered = Map::with_capacity(fields.len());
                for (name, field) in fields {
                    rendered.insert(name.clone(), field.render(scope, meter)?);
                }
                Value::Object(rendered)
            }
        })
    }

    fn visit(&self, visitor: &mut impl FnMut(&Expression)) {
        match self {
            Node::Constant(_) => {}
            Node::Whole(expression) => visitor(expression),
            Node::Text(parts) => parts.iter().for_each(|part| match part {
                Part::Literal(_) => {}
                Part::Expression(expression) => visitor(expression),
            }),
            Node::Array(items) => items.iter().for_each(|item| item.visit(visitor)),
            Node::Object(fields) => fields.iter().for_each(|(_, field)| field.visit(visitor)),
        }
    }
}

fn append(text: &mut String, value: &Value) {
    match value {
        Value::Null => {}
        Value::String(inner) => text.push_str(inner),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            text.push_str(&value.to_string());
        }
    }
}
