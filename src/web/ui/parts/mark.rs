//! How a state looks: always a drawing, a word and a colour together.

use askama::Template;
use askama::filters::HtmlSafe;

use super::icon::Icon;

/// A state with its drawing, word and tone.
#[derive(Clone, Debug, Template)]
#[template(path = "components/mark.html")]
pub struct Mark {
    /// The class that carries the colour.
    pub tone: &'static str,
    /// The drawing.
    pub icon: Icon,
    /// The word.
    pub word: String,
}

impl HtmlSafe for Mark {}

/// Every status of a run, a step, an attempt and an undo: name, word, tone.
const STATUSES: [(&str, &str, &str); 19] = [
    ("queued", "Queued", "wait"),
    ("running", "Running", "run"),
    ("retrying", "Retrying", "retry"),
    ("waiting", "Waiting", "wait"),
    ("compensating", "Undoing", "undo"),
    ("succeeded", "Succeeded", "ok"),
    ("failed", "Failed", "bad"),
    ("cancelled", "Cancelled", "idle"),
    ("pending", "Not started", "idle"),
    ("skipped", "Skipped", "idle"),
    ("unknown", "Outcome unknown", "retry"),
    ("done", "Undone", "undo"),
    ("started", "Started", "ok"),
    ("filtered", "Filtered", "idle"),
    ("inactive", "Inactive", "idle"),
    ("closed", "Calls go", "ok"),
    ("open", "Left alone", "bad"),
    ("halfOpen", "Being tried", "retry"),
    ("paused", "Asked for a pause", "wait"),
];

impl Mark {
    /// Returns the mark of a status word as the API spells it.
    pub fn of(status: &str) -> Mark {
        match STATUSES.iter().find(|(name, _, _)| *name == status) {
            Some((name, word, tone)) => {
                let icon = Icon::new(drawing(name));
                Mark { tone, icon, word: (*word).to_owned() }
            }
            None => Mark { tone: "idle", icon: Icon::new("unknown"), word: capital(status) },
        }
    }

    /// Returns the same mark with another word.
    pub fn worded(self, word: &str) -> Mark {
        Mark { word: word.to_owned(), ..self }
    }

    /// Returns the mark of a step's or run's undo.
    pub fn of_undo(status: &str) -> Mark {
        let (tone, name, word) = match status {
            "running" | "retrying" | "pending" => ("undo", "compensating", "Undoing"),
            "failed" | "incomplete" => ("bad", "warning", "Undo failed"),
            _ => ("undo", "compensating", "Undone"),
        };
        Mark { tone, icon: Icon::new(name), word: word.to_owned() }
    }
}

fn drawing(name: &'static str) -> &'static str {
    match name {
        "done" => "compensating",
        "started" => "succeeded",
        "filtered" => "no",
        "inactive" => "pending",
        "closed" => "succeeded",
        "open" => "failed",
        "halfOpen" => "retrying",
        "paused" => "waiting",
        other => other,
    }
}

/// Returns the text with its first letter as a capital.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_by_drawing_word_and_colour() {
        let html = Mark::of("retrying").to_string();
        for part in ["class=\"mark retry\"", "<svg", "Retrying"] {
            assert!(html.contains(part), "{html}");
        }
        assert!(Mark::of("<b>").to_string().contains("&#60;b&#62;"));
    }
}
