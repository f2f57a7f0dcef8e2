//! Reads where each part of a YAML text stands: keys, values, items and the comments around them.

use serde_json::Value;

use super::super::document::{Format, TextLimits, parse_text};

/// A value with its place in the text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Its first byte; that of the line where its block begins on a line of its own.
    pub(super) start: usize,
    /// The byte behind it; of a block, behind the comments and the line end that belong to it.
    pub(super) end: usize,
    pub(super) kind: Kind,
}

/// How a value is written.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Nothing stands there, which means null.
    Absent,
    /// A text or a number on one or several lines.
    Scalar(Quoting),
    /// A literal or folded text, whose header stands behind its key.
    Block,
    /// Keys on lines of their own, at a column.
    Map(usize, Vec<Part>),
    /// Items with dashes on lines of their own, at a column.
    Seq(usize, Vec<Part>),
    /// `{…}`.
    FlowMap(Vec<(String, Node)>),
    /// `[…]`.
    FlowSeq(Vec<Node>),
}

/// How a scalar is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    Plain,
    Single,
    Double,
}

/// One key with its value, or one item, with the comments above and behind it. The parts of a block
/// follow each other without a gap.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) start: usize,
    /// Where its key or its dash stands.
    pub(super) head: usize,
    pub(super) end: usize,
    /// Empty for an item.
    pub(super) key: String,
    pub(super) value: Node,
}

/// Reads the tree of a text; none where it uses what is not followed here, such as `?` and tags.
pub(super) fn read(text: &str) -> Option<Node> {
    let reader = Reader { text, bytes: text.as_bytes() };
    let start = if text.starts_with("---\n") { 4 } else { 0 };
    let (at, column) = reader.content(start)?;
    let node = match reader.bytes[at] {
        b'{' | b'[' => reader.flow(at)?,
        _ => reader.block(start, at, column)?,
    };
    let is_over = reader.content(node.end).is_none();
    is_over.then_some(node)
}

const DEPTH_MAX: usize = 64;

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
}

/// Where a value stands with respect to what it belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Colon,
    Dash,
}

impl Reader<'_> {
    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |length| at + length)
    }

    fn next_line(&self, at: usize) -> usize {
        (self.line_end(at) + 1).min(self.text.len())
    }

    fn column(&self, at: usize) -> usize {
        at - self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    fn spaces(&self, mut at: usize) -> usize {
        while matches!(self.bytes.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        at
    }

    /// Returns whether nothing but a comment follows on the line.
    fn is_line_over(&self, at: usize) -> bool {
        let next = self.spaces(at);
        match self.bytes.get(next) {
            None | Some(b'\n' | b'\r') => true,
            Some(b'#') => next > at || self.column(next) == 0 || self.is_after_space(next),
            Some(_) => false,
        }
    }

    fn is_after_space(&self, at: usize) -> bool {
        at == 0 || matches!(self.bytes[at - 1], b' ' | b'\t' | b'\n')
    }

    /// Finds the next thing that is no comment, with its column.
    fn content(&self, mut at: usize) -> Option<(usize, usize)> {
        loop {
            if at >= self.text.len() {
                return None;
            }
            if !self.is_line_over(at) {
                let place = self.spaces(at);
                return Some((place, self.column(place)));
            }
            let next = self.next_line(at);
            if next <= at {
                return None;
            }
            at = next;
        }
    }

    /// Reads a map or a list whose first key or dash stands at `at`; `start` is where its comments
    /// begin.
    fn block(&self, start: usize, at: usize, column: usize) -> Option<Node> {
        if self.column(at) / 2 > DEPTH_MAX * 2 {
            return None;
        }
        let is_seq = self.is_dash(at);
        let (mut begin, mut head, mut parts) = (start, at, Vec::new());
        loop {
            let (key, value) = match is_seq {
                true => (String::new(), self.value(head + 1, column, Behind::Dash)?),
                false => {
                    let (key, behind) = self.key(head)?;
                    (key, self.value(behind, column, Behind::Colon)?)
                }
            };
            let following = self.following(&value)?;
            let next = self.content(following);
            let goes_on =
                next.filter(|(at, found)| *found == column && self.is_dash(*at) == is_seq);
            if next.is_some_and(|(_, found)| found > column) {
                return None;
            }
            let belongs = match next {
                Some((_, found)) if found == column => column + 1,
                _ => column, // A comment as deep as the block ends it.
            };
            let end = self.comments_from(following, belongs);
            parts.push(Part { start: begin, head, end, key, value });
            match goes_on {
                Some((at, _)) => (begin, head) = (end, at),
                None => break,
            }
        }
        let end = parts.last()?.end;
        let kind = if is_seq { Kind::Seq(column, parts) } else { Kind::Map(column, parts) };
        Some(Node { start, end, kind })
    }

    fn is_dash(&self, at: usize) -> bool {
        self.bytes[at] == b'-' && matches!(self.bytes.get(at + 1), None | Some(b' ' | b'\n'))
    }

    /// Returns where the lines behind a value begin.
    fn following(&self, value: &Node) -> Option<usize> {
        if let Kind::Map(..) | Kind::Seq(..) = value.kind {
            return Some(value.end);
        }
        self.is_line_over(value.end).then(|| self.next_line(value.end))
    }

    /// Passes over comments that stand at `column` or deeper, with the empty lines between them.
    fn comments_from(&self, from: usize, column: usize) -> usize {
        let (mut end, mut line) = (from, from);
        while line < self.text.len() {
            let place = self.spaces(line);
            match self.bytes.get(place) {
                Some(b'#') if place - line >= column => {
                    line = self.next_line(line);
                    end = line;
                }
                Some(b'\n') => line = self.next_line(line),
                _ => break, // What follows belongs to somebody else.
            }
        }
        end
    }

    /// Reads a key; returns it with the place behind its colon.
    fn key(&self, at: usize) -> Option<(String, usize)> {
        let line = &self.text[at..self.line_end(at)];
        let (raw, behind) = match line.as_bytes().first()? {
            b'"' | b'\'' => {
                let end = self.quoted(at)?;
                (&self.text[at..end], end)
            }
            b'?' | b'&' | b'*' | b'!' | b'<' | b'%' | b'@' | b'`' => return None,
            _ => {
                let colon = plain_colon(line)?;
                (&line[..colon], at + colon)
            }
        };
        let colon = self.spaces(behind);
        let ends = self.bytes.get(colon) == Some(&b':')
            && matches!(self.bytes.get(colon + 1), None | Some(b' ' | b'\n' | b'\r' | b'\t'));
        ends.then(|| Some((decoded(raw.trim_end())?, colon + 1)))?
    }

    /// Reads the value behind a colon or a dash of a block at `parent`.
    fn value(&self, behind: usize, parent: usize, place: Behind) -> Option<Node> {
        let mut behind = behind;
        let mut at = self.spaces(behind);
        if self.bytes.get(at) == Some(&b'&') {
            behind = self.text[at..].find([' ', '\n']).map_or(self.text.len(), |it| at + it);
            at = self.spaces(behind);
        }
        if self.is_line_over(at) {
            return self.value_below(behind, parent, place);
        }
        match self.bytes[at] {
            b'|' | b'>' => self.literal(at, parent),
            b'{' | b'[' => self.flow(at),
            b'!' | b'?' | b'%' | b'@' | b'`' => None,
            b'-' if self.is_dash(at) => match place {
                Behind::Dash => self.block(at, at, self.column(at)),
                Behind::Colon => None,
            },
            _ if place == Behind::Dash && self.key(at).is_some() => {
                self.block(at, at, self.column(at))
            }
            b'"' | b'\'' => {
                let quoting =
                    if self.bytes[at] == b'"' { Quoting::Double } else { Quoting::Single };
                Some(Node { start: at, end: self.quoted(at)?, kind: Kind::Scalar(quoting) })
            }
            _ => Some(self.plain(at, parent)),
        }
    }

    /// Reads a value that begins on a line below, if there is one.
    fn value_below(&self, behind: usize, parent: usize, place: Behind) -> Option<Node> {
        let absent = Node { start: behind, end: behind, kind: Kind::Absent };
        let lines = self.next_line(behind);
        let Some((at, column)) = self.content(lines) else { return Some(absent) };
        let same = place == Behind::Colon && column == parent && self.is_dash(at);
        if column <= parent && !same {
            return Some(absent);
        }
        match self.bytes[at] {
            _ if self.is_dash(at) || self.key(at).is_some() => self.block(lines, at, column),
            b'{' | b'[' => self.flow(at),
            _ => None, // A text that begins below its key; nobody writes it so.
        }
    }

    fn literal(&self, at: usize, parent: usize) -> Option<Node> {
        let mut end = self.line_end(at);
        let mut line = self.next_line(at);
        while line < self.text.len() && line > end {
            let place = self.spaces(line);
            let is_empty = matches!(self.bytes.get(place), None | Some(b'\n'));
            if !is_empty && place - line <= parent {
                break;
            }
            if !is_empty {
                end = self.line_end(line);
            }
            let next = self.next_line(line);
            if next == line || self.line_end(line) == self.text.len() {
                break;
            }
            line = next;
        }
        Some(Node { start: at, end, kind: Kind::Block })
    }

    fn plain(&self, at: usize, parent: usize) -> Node {
        let mut end = self.plain_end(at);
        let mut line = self.next_line(end);
        // A plain text goes on below as long as the lines stand deeper and are no comments.
        while line < self.text.len() && self.is_line_over(end) && !self.has_comment(end) {
            let place = self.spaces(line);
            let goes_on = !self.is_line_over(line) && place - line > parent;
            if !goes_on {
                break;
            }
            end = self.plain_end(place);
            let next = self.next_line(end);
            if next == line {
                break;
            }
            line = next;
        }
        Node { start: at, end, kind: Kind::Scalar(Quoting::Plain) }
    }

    fn has_comment(&self, at: usize) -> bool {
        self.bytes.get(self.spaces(at)) == Some(&b'#')
    }

    fn plain_end(&self, at: usize) -> usize {
        let line = &self.text[at..self.line_end(at)];
        let end = line.find(" #").unwrap_or(line.len());
        at + line[..end].trim_end().len()
    }

    /// Returns the byte behind a quoted text.
    fn quoted(&self, at: usize) -> Option<usize> {
        let quote = self.bytes[at];
        let mut place = at + 1;
        loop {
            match *self.bytes.get(place)? {
                b'\\' if quote == b'"' => place += 2,
                found if found == quote => match self.bytes.get(place + 1) {
                    Some(next) if quote == b'\'' && *next == quote => place += 2,
                    _ => return Some(place + 1),
                },
                _ => place += 1,
            }
        }
    }
}

/// Finds the colon that ends a plain key.
fn plain_colon(line: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let colon = from + line[from..].find(':')?;
        if line[..colon].contains(" #") {
            return None;
        }
        if matches!(line.as_bytes().get(colon + 1), None | Some(b' ' | b'\t' | b'\r')) {
            return Some(colon);
        }
        from = colon + 1;
    }
}

/// Reads a key as it is written.
fn decoded(raw: &str) -> Option<String> {
    match raw.as_bytes().first()? {
        b'"' | b'\'' => match parse_text(raw, Format::Yaml, TextLimits::default()).ok()? {
            Value::String(text) => Some(text),
            _ => None, // Quotes make a string.
        },
        _ => Some(raw.to_owned()),
    }
}

/// Collections in brackets, which may span lines.
impl Reader<'_> {
    fn flow(&self, at: usize) -> Option<Node> {
        let close = if self.bytes[at] == b'{' { b'}' } else { b']' };
        let (mut fields, mut items) = (Vec::new(), Vec::new());
        let mut place = self.flow_gap(at + 1)?;
        while self.bytes[place] != close {
            let item = self.flow_value(place)?;
            let behind = self.flow_gap(item.end)?;
            if close == b'}' {
                let key = decoded(&self.text[item.start..item.end])?;
                if self.bytes[behind] != b':' {
                    return None;
                }
                let start = self.flow_gap(behind + 1)?;
                let value = match self.bytes[start] {
                    b',' | b'}' => Node { start: behind + 1, end: behind + 1, kind: Kind::Absent },
                    _ => self.flow_value(start)?,
                };
                place = self.flow_gap(value.end)?;
                fields.push((key, value));
            } else {
                place = behind;
                items.push(item);
            }
            match self.bytes[place] {
                b',' => place = self.flow_gap(place + 1)?,
                found if found == close => {}
                _ => return None,
            }
        }
        let kind = if close == b'}' { Kind::FlowMap(fields) } else { Kind::FlowSeq(items) };
        Some(Node { start: at, end: place + 1, kind })
    }

    /// Passes over white space and comments inside brackets.
    fn flow_gap(&self, mut at: usize) -> Option<usize> {
        loop {
            match self.bytes.get(at)? {
                b' ' | b'\t' | b'\n' | b'\r' => at += 1,
                b'#' if self.is_after_space(at) => at = self.line_end(at),
                _ => return Some(at),
            }
        }
    }

    fn flow_value(&self, at: usize) -> Option<Node> {
        let quoting = match self.bytes[at] {
            b'{' | b'[' => return self.flow(at),
            b'&' | b'*' | b'!' | b'?' | b'|' | b'>' | b'%' | b'@' | b'`' => return None,
            b'"' => Quoting::Double,
            b'\'' => Quoting::Single,
            _ => Quoting::Plain,
        };
        let end = match quoting {
            Quoting::Plain => self.flow_plain_end(at)?,
            Quoting::Single | Quoting::Double => self.quoted(at)?,
        };
        (end > at).then_some(Node { start: at, end, kind: Kind::Scalar(quoting) })
    }

    fn flow_plain_end(&self, at: usize) -> Option<usize> {
        let mut place = at;
        loop {
            let next = self.bytes.get(place + 1);
            match self.bytes.get(place)? {
                b',' | b'[' | b']' | b'{' | b'}' | b'\n' => break,
                b':' if matches!(next, None | Some(b' ' | b'\n' | b',' | b'}' | b']')) => break,
                b'#' if self.is_after_space(place) => break,
                _ => place += 1,
            }
        }
        Some(at + self.text[at..place].trim_end().len())
    }
}

/// Returns the comments of a text, each without the white space around it, in their order.
pub(super) fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut spans = Vec::new();
    if let Some(root) = read(text) {
        scalars(&root, &mut spans);
    }
    let mut at = 0;
    for (start, end) in spans.into_iter().chain([(text.len(), text.len())]) {
        for line in text[at..start.max(at)].split('\n') {
            let comment = match line.starts_with('#') {
                true => Some(line),
                false => line.find(" #").map(|from| &line[from + 1..]),
            };
            found.extend(comment.map(|comment| comment.trim().to_owned()));
        }
        at = end.max(at);
    }
    found
}

/// Collects where values stand, in which `#` begins no comment.
fn scalars(node: &Node, spans: &mut Vec<(usize, usize)>) {
    match &node.kind {
        Kind::Absent => {}
        Kind::Scalar(_) => spans.push((node.start, node.end)),
        Kind::Block => spans.push((node.start, node.end)),
        Kind::Map(_, parts) | Kind::Seq(_, parts) => {
            parts.iter().for_each(|part| scalars(&part.value, spans));
        }
        Kind::FlowMap(fields) => fields.iter().for_each(|(_, value)| scalars(value, spans)),
        Kind::FlowSeq(items) => items.iter().for_each(|item| scalars(item, spans)),
    }
}
