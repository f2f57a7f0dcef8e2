//! Finds the line of a place in a definition.

use super::super::document::{Format, TextLimits, parse_text};
use super::tree::{self, Kind, Node};

/// Returns the line, counted from 1, on which the value at an RFC 6901 pointer stands, or that of
/// the nearest value around it; none in a text that cannot be read.
#[must_use]
pub fn line_of(text: &str, pointer: &str) -> Option<usize> {
    // Only a text that can be read within its bounds is followed.
    parse_text(text, Format::Yaml, TextLimits::default()).ok()?;
    let mut node = &tree::read(text)?;
    let mut at = node.start;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        match child(node, &segment) {
            Some((place, inner)) => (at, node) = (place, inner),
            None => break,
        }
    }
    Some(text[..at].matches('\n').count() + 1)
}

fn child<'n>(node: &'n Node, segment: &str) -> Option<(usize, &'n Node)> {
    match &node.kind {
        Kind::Map(_, parts) => {
            let part = parts.iter().find(|part| part.key == segment)?;
            Some((part.head, &part.value))
        }
        Kind::Seq(_, parts) => {
            let part = parts.get(segment.parse::<usize>().ok()?)?;
            Some((part.head, &part.value))
        }
        Kind::FlowMap(fields) => {
            let (_, value) = fields.iter().find(|(key, _)| key == segment)?;
            Some((value.start, value))
        }
        Kind::FlowSeq(items) => {
            let item = items.get(segment.parse::<usize>().ok()?)?;
            Some((item.start, item))
        }
        Kind::Absent | Kind::Scalar(_) | Kind::Block => None,
    }
}
