//! A workflow as a drawing: what starts it, its steps downwards, and the way back upwards.

use askama::Template;
use askama::filters::HtmlSafe;
use serde_json::Value;

use crate::domain::workflow::outline::{Outlined, inner_lists, outline};

const WIDTH: usize = 272;
const ROW: usize = 38;
const BOX: usize = 28;
const INDENT: usize = 14;
const UNDO: usize = 56;
const LETTER: usize = 7;

/// The drawing.
#[derive(Clone, Debug, Template)]
#[template(path = "editor/diagram.html")]
pub struct Diagram {
    height: usize,
    start: String,
    nodes: Vec<Shape>,
    lines: Vec<String>,
    back: String,
    told: String,
}

impl HtmlSafe for Diagram {}

#[derive(Clone, Debug)]
struct Shape {
    x: usize,
    y: usize,
    width: usize,
    text: String,
    whole: String,
    href: String,
    tone: &'static str,
    undo: bool,
}

/// What is drawn of a step beside its place.
pub struct Drawn {
    /// Where it leads.
    pub href: String,
    /// Whether it can be undone.
    pub undo: bool,
    /// `off`, `bad` or nothing.
    pub tone: &'static str,
}

impl Diagram {
    /// Draws a document; `look` tells how each step looks.
    pub fn new(document: &Value, start: &str, look: &dyn Fn(&Outlined) -> Drawn) -> Diagram {
        let steps = outline(document);
        let nodes: Vec<Shape> = steps
            .iter()
            .enumerate()
            .map(|(row, step)| shape(document, row, step, look(step)))
            .collect();
        let lines = (0..steps.len()).map(|row| line(&steps, row)).collect();
        let undone: Vec<&Shape> = nodes.iter().filter(|node| node.undo).collect();
        let x = WIDTH - UNDO / 2;
        let back = match (undone.first(), undone.last()) {
            (Some(first), Some(last)) if first.y < last.y => {
                format!("M{x} {}V{}", last.y, first.y + BOX)
            }
            _ => String::new(), // One alone leads nowhere.
        };
        let ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
        Diagram {
            height: (steps.len() + 1) * ROW + 8,
            start: clipped(start, 34),
            told: format!("{start}, then {}", ids.join(", ")),
            nodes,
            lines,
            back,
        }
    }
}

fn left(depth: usize) -> usize {
    depth.min(6) * INDENT
}

fn shape(document: &Value, row: usize, step: &Outlined, drawn: Drawn) -> Shape {
    let x = left(step.depth);
    let width = WIDTH - x - if drawn.undo { UNDO + 12 } else { 0 };
    let whole = match when(document, step) {
        Some(when) => format!("{when}: {}", step.id),
        None => step.id.clone(),
    };
    Shape {
        x,
        y: (row + 1) * ROW + 4,
        width,
        text: clipped(&whole, width.saturating_sub(20) / LETTER),
        whole,
        href: drawn.href,
        tone: drawn.tone,
        undo: drawn.undo,
    }
}

/// Tells when the list runs that a step begins.
fn when(document: &Value, step: &Outlined) -> Option<String> {
    let list = step.at.strip_suffix("/0")?;
    let around = list.strip_suffix("/steps").unwrap_or(list);
    let (place, _) = around.rsplit_once('/')?;
    let parent = match place.strip_suffix("/branch").or_else(|| place.strip_suffix("/parallel")) {
        Some(parent) => parent,
        None => around.strip_suffix("/forEach")?,
    };
    let lists = inner_lists(document.pointer(parent)?, parent);
    lists.into_iter().find(|inner| inner.at == list).map(|inner| inner.when)
}

/// Leads from the step before in the same list, or from the step around.
fn line(steps: &[Outlined], row: usize) -> String {
    let depth = steps[row].depth;
    let top = (row + 1) * ROW + 4;
    let before = steps[..row].iter().rposition(|step| step.depth <= depth);
    match before {
        Some(before) if steps[before].depth < depth => {
            let (x, y) = (left(steps[before].depth) + INDENT / 2, (before + 1) * ROW + 4 + BOX);
            format!("M{x} {y}V{}H{}", top + BOX / 2, left(depth))
        }
        Some(before) => {
            format!("M{} {}V{top}", left(depth) + INDENT / 2, (before + 1) * ROW + 4 + BOX)
        }
        None => format!("M{} {}V{top}", INDENT / 2, 4 + BOX),
    }
}

fn clipped(text: &str, letters: usize) -> String {
    match text.chars().count() > letters {
        true => text.chars().take(letters.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_lead_down_and_what_is_undone_leads_up() {
        let document = json!({"steps": [
            {"id": "one", "activity": "x"},
            {"id": "two", "branch": [{"if": {}, "steps": [{"id": "<in>", "sleep": "1s"}]}]},
            {"id": "three", "activity": "x"},
        ]});
        let look = |step: &Outlined| Drawn {
            href: format!("#{}", step.id),
            undo: step.kind == "activity",
            tone: "",
        };
        let diagram = Diagram::new(&document, "ticket:created", &look);
        assert_eq!(diagram.nodes[2].whole, "if: <in>");
        assert_eq!(diagram.lines[2], "M7 108V132H14");
        assert_eq!(diagram.back, "M244 156V70");
        let html = diagram.to_string();
        assert!(html.contains("if: &#60;in&#62;") && !html.contains("<in>"), "{html}");
    }
}
