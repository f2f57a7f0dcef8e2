//! A document in JSON or YAML with its keys, values and expressions told apart.

use askama::Template;
use askama::filters::HtmlSafe;

/// Numbered, coloured lines.
#[derive(Clone, Debug, Template)]
#[template(path = "components/source.html")]
pub struct Source {
    label: &'static str,
    lines: Vec<Line>,
}

impl HtmlSafe for Source {}

#[derive(Clone, Debug, Default, PartialEq)]
struct Line {
    lead: String,
    key: String,
    gap: &'static str,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
struct Piece {
    class: &'static str,
    text: String,
}

impl Source {
    /// Colours a document of either spelling, line by line.
    pub fn new(label: &'static str, text: &str) -> Source {
        Source { label, lines: text.lines().map(line).collect() }
    }
}

fn line(text: &str) -> Line {
    let body = text.trim_start_matches([' ', '-']);
    let lead = text[..text.len() - body.len()].to_owned();
    match key_end(body) {
        Some(end) => {
            let rest = body[end + 1..].trim_start();
            let gap = if rest.is_empty() { ":" } else { ": " };
            Line { lead, key: body[..end].to_owned(), gap, pieces: pieces(rest) }
        }
        None => Line { lead, pieces: pieces(body), ..Line::default() },
    }
}

/// Finds the colon that ends a key: after a closing quote, or at a plain word's end.
fn key_end(body: &str) -> Option<usize> {
    let end = match body.as_bytes().first()? {
        b'"' => closing(body, '"')? + 1,
        b'\'' => closing(body, '\'')? + 1,
        _ => body.find(|c: char| c == ':' || c.is_whitespace())?,
    };
    let after = body[end..].strip_prefix(':')?;
    (after.is_empty() || after.starts_with(' ')).then_some(end)
}

fn closing(body: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().skip(1).find_map(|(index, letter)| {
        let found = letter == quote && !escaped;
        escaped = letter == '\\' && !escaped;
        found.then_some(index)
    })
}

fn pieces(rest: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut left = rest;
    while let Some(start) = left.find("{{") {
        let end = left[start..].find("}}").map_or(left.len(), |length| start + length + 2);
        push(&mut pieces, "v", &left[..start]);
        push(&mut pieces, "e", &left[start..end]);
        left = &left[end..];
    }
    let class = if left.chars().all(|c| "{}[],".contains(c)) { "p" } else { "v" };
    push(&mut pieces, class, left);
    pieces
}

fn push(pieces: &mut Vec<Piece>, class: &'static str, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece { class, text: text.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_line_is_lost() {
        for text in [
            "  - id: raise",
            "  \"a \\\" b\": \"{{ x }} and {{ y\",",
            "title: 'it: is'",
            "- \"lonely: text\"",
            "}",
            "",
            "https://example.com/a",
            "~in:",
        ] {
            let line = line(text);
            let shown: String = line.pieces.iter().map(|piece| piece.text.as_str()).collect();
            assert_eq!(format!("{}{}{}{shown}", line.lead, line.key, line.gap), text);
        }
    }

    #[test]
    fn keys_and_expressions_stand_out() {
        let line = line("  id: \"{{trigger.payload.ticket.id}}\"");
        assert_eq!((line.key.as_str(), line.pieces[1].class), ("id", "e"));
    }
}
