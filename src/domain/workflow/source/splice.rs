//! Walks two values along the tree of a text and spells what differs.

use serde_json::{Map, Value};

use super::spell;
use super::tree::{Kind, Node, Part, Quoting};

/// Returns the text with `before` changed into `after`.
pub(super) fn splice(text: &str, root: &Node, before: &Value, after: &Value) -> String {
    let splicer = Splicer { text };
    if !splicer.can_stay(root, before, after) {
        return spell::document(after);
    }
    let changed = splicer.node(root, before, after);
    format!("{}{changed}{}", &text[..root.start], &text[root.end..])
}

struct Splicer<'t> {
    text: &'t str,
}

impl Splicer<'_> {
    /// Returns whether a value can be changed inside its place, without what stands around it.
    fn can_stay(&self, node: &Node, before: &Value, after: &Value) -> bool {
        let is_flat = !after.is_array() && !after.is_object();
        let is_line = after.as_str().is_none_or(|text| !text.contains('\n'));
        before == after
            || match &node.kind {
                Kind::Absent | Kind::Scalar(_) => is_flat && is_line,
                Kind::Block => false,
                Kind::Map(..) => after.as_object().is_some_and(|after| !after.is_empty()),
                Kind::Seq(..) => after.as_array().is_some_and(|after| !after.is_empty()),
                Kind::FlowMap(_) | Kind::FlowSeq(_) => is_line,
            }
    }

    fn node(&self, node: &Node, before: &Value, after: &Value) -> String {
        if before == after {
            return self.text[node.start..node.end].to_owned();
        }
        match (&node.kind, before, after) {
            (Kind::Map(column, parts), Value::Object(before), Value::Object(after)) => {
                self.map(*column, parts, before, after)
            }
            (Kind::Seq(column, parts), Value::Array(before), Value::Array(after)) => {
                self.seq(*column, parts, before, after)
            }
            (Kind::FlowMap(fields), Value::Object(before), Value::Object(after))
                if before.len() == after.len() && before.keys().eq(after.keys()) =>
            {
                let changed = fields.iter().map(|(key, value)| {
                    let null = Value::Null;
                    let of = |map: &Map<String, Value>| map.get(key).unwrap_or(&null).clone();
                    (value, of(before), of(after))
                });
                self.flow(node, changed.collect())
            }
            (Kind::FlowSeq(items), Value::Array(before), Value::Array(after))
                if before.len() == after.len() =>
            {
                let pairs = before.iter().cloned().zip(after.iter().cloned());
                let changed =
                    items.iter().zip(pairs).map(|(item, (one, other))| (item, one, other));
                self.flow(node, changed.collect())
            }
            (Kind::Absent, ..) => format!(" {}", spell::inline(after)),
            (Kind::Scalar(quoting), _, Value::String(text)) => self.scalar(node, *quoting, text),
            _ => spell::inline(after), // Another value on the same line.
        }
    }

    fn scalar(&self, node: &Node, quoting: Quoting, text: &str) -> String {
        let spelled = spell::scalar(text, quoting);
        // Inside brackets a comma ends a plain text; quotes never harm.
        let in_brackets = self.text[..node.start].rfind(['{', '[', '\n']);
        let in_brackets = in_brackets.is_some_and(|at| self.text.as_bytes()[at] != b'\n');
        let risky =
            !spelled.starts_with(['"', '\'']) && spelled.contains([',', ']', '}', '{', '[']);
        if in_brackets && risky { spell::scalar(text, Quoting::Double) } else { spelled }
    }

    /// Changes values inside brackets, where their number stays.
    fn flow(&self, node: &Node, changed: Vec<(&Node, Value, Value)>) -> String {
        let (mut out, mut at) = (String::new(), node.start);
        for (inner, before, after) in changed {
            out.push_str(&self.text[at..inner.start]);
            out.push_str(&self.node(inner, &before, &after));
            at = inner.end;
        }
        out.push_str(&self.text[at..node.end]);
        out
    }

    fn map(
        &self,
        column: usize,
        parts: &[Part],
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> String {
        let mut chunks: Vec<(&str, String)> = Vec::new();
        for part in parts {
            let (Some(old), Some(new)) = (before.get(&part.key), after.get(&part.key)) else {
                continue;
            };
            chunks.push((&part.key, self.part(column, part, old, new)));
        }
        let mut earlier: Option<&str> = None;
        for (key, value) in after {
            if !before.contains_key(key) {
                let place = chunks.iter().position(|(name, _)| earlier == Some(*name));
                let place = place.map_or(chunks.len().min(1), |place| place + 1);
                chunks.insert(place, (key, spell::entry(key, value, column)));
            }
            earlier = Some(key);
        }
        let chunks = chunks.into_iter().map(|(_, chunk)| chunk).collect();
        self.joined(column, parts, chunks)
    }

    /// Puts the parts of a block one below the other; the first of one that begins behind a dash
    /// has no white space before it.
    fn joined(&self, column: usize, parts: &[Part], mut chunks: Vec<String>) -> String {
        let begins_behind_dash = parts.first().is_some_and(|part| part.start == part.head)
            && column > 0
            && !self.text[..parts[0].start].ends_with('\n');
        let count = chunks.len();
        let ended = self.text[..parts.last().map_or(0, |part| part.end)].ends_with('\n');
        for (index, chunk) in chunks.iter_mut().enumerate() {
            if (index + 1 < count || ended) && !chunk.ends_with('\n') {
                chunk.push('\n');
            }
            if begins_behind_dash && index == 0 {
                *chunk = chunk.trim_start_matches([' ', '\n']).to_owned();
            }
        }
        chunks.concat()
    }

    /// Changes the value of one key or item, with what stands before and behind it.
    fn part(&self, column: usize, part: &Part, before: &Value, after: &Value) -> String {
        let value = &part.value;
        if self.can_stay(value, before, after) {
            let changed = self.node(value, before, after);
            let (lead, tail) =
                (&self.text[part.start..value.start], &self.text[value.end..part.end]);
            return format!("{lead}{changed}{tail}");
        }
        let pad = " ".repeat(column);
        let kept = super::tree::comments(&self.text[part.head..part.end]);
        let kept: String = kept.iter().map(|comment| format!("{pad}{comment}\n")).collect();
        let spelled = match part.key.is_empty() {
            true => spell::item(after, column),
            false => spell::entry(&part.key, after, column),
        };
        let lead = self.text[part.start..part.head].trim_end_matches(' ');
        format!("{lead}{kept}{spelled}")
    }

    fn seq(&self, column: usize, parts: &[Part], before: &[Value], after: &[Value]) -> String {
        let origins = matched(before, after);
        let gaps: Vec<&str> = parts.iter().map(|part| self.gap(part)).collect();
        let chunks = after.iter().zip(&origins).enumerate();
        let chunks = chunks.map(|(index, (value, origin))| {
            let gap = gaps.get(index.min(gaps.len() - 1)).copied().unwrap_or_default();
            let chunk = match origin {
                Some(from) => self.part(column, &parts[*from], &before[*from], value),
                None => spell::item(value, column),
            };
            format!("{gap}{}", chunk.trim_start_matches('\n'))
        });
        let chunks: Vec<String> = chunks.collect();
        self.joined(column, parts, chunks)
    }

    /// Returns the empty lines above an item, which stay where they are when items move.
    fn gap(&self, part: &Part) -> &str {
        let chunk = &self.text[part.start..part.end];
        &chunk[..chunk.len() - chunk.trim_start_matches('\n').len()]
    }
}

/// Finds for each item after the change the item that it was before.
fn matched(before: &[Value], after: &[Value]) -> Vec<Option<usize>> {
    if before.iter().chain(after).all(|item| item.get("id").is_some()) {
        return matched_by_id(before, after);
    }
    let same = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let rest = before.len().min(after.len()) - same;
    let same_end = before.iter().rev().zip(after.iter().rev());
    let same_end = same_end.take(rest).take_while(|(one, other)| one == other).count();
    let (grown, shrunk) = (after.len() > before.len(), after.len() < before.len());
    (0..after.len())
        .map(|index| {
            let from_end = after.len() - index;
            match index {
                _ if index < same => Some(index),
                _ if from_end <= same_end => Some(before.len() - from_end),
                _ if (grown || shrunk) && index >= before.len() - same_end => None,
                _ => Some(index),
            }
        })
        .collect()
}

/// Steps are the same if their ids are; one that was renamed is known by its place.
fn matched_by_id(before: &[Value], after: &[Value]) -> Vec<Option<usize>> {
    let of = |items: &[Value], id: &Value| items.iter().position(|item| item["id"] == *id);
    let renamed = |index: usize| {
        let old = before.get(index)?;
        let is_gone = of(after, &old["id"]).is_none();
        (is_gone && before.len() == after.len()).then_some(index)
    };
    let find = |(index, item): (usize, &Value)| of(before, &item["id"]).or_else(|| renamed(index));
    after.iter().enumerate().map(find).collect()
}
