//! Long texts of comments in events: cut with a mark that says how much is missing and where it is.

use serde_json::{Map, Value};

const TEXTS: [&str; 4] = ["content", "contentHtml", "contentMarkdown", "contentJson"];

/// Returns the comment with each text cut to at most `bytes_max` bytes and a mark; the comment
/// itself stays whole and is answered by its id.
#[must_use]
pub fn cut_comment(comment: &Map<String, Value>, bytes_max: usize) -> Map<String, Value> {
    let mut told = comment.clone();
    let id = comment.get("id").and_then(Value::as_str).unwrap_or_default();
    for name in TEXTS {
        let cut = match comment.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => cut_text(text, bytes_max, id),
            // Half of a document is none, so it is left out as a whole.
            Some(document) => match document.to_string().len() {
                length if length > bytes_max => Some(mark(length, id)),
                _ => None, // Short enough.
            },
        };
        if let Some(cut) = cut {
            told.insert(name.to_owned(), Value::String(cut));
        }
    }
    told
}

fn cut_text(text: &str, bytes_max: usize, id: &str) -> Option<String> {
    if text.len() <= bytes_max {
        return None;
    }
    let kept = &text[..text.floor_char_boundary(bytes_max)];
    Some(format!("{kept}{}", mark(text.len() - kept.len(), id)))
}

fn mark(bytes: usize, id: &str) -> String {
    format!("…[cut: {bytes} bytes, fetch /v1/comments/{id}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_too_long_is_cut_and_says_so() {
        let comment = json!({"id": "C1", "content": "añejo", "contentHtml": "<b>a</b>",
            "contentMarkdown": null, "contentJson": {"doc": ["long", "enough"]}});
        let comment = comment.as_object().expect("an object");
        let cut = cut_comment(comment, 8);
        assert_eq!(
            Value::Object(cut),
            json!({"id": "C1", "content": "añejo",
            "contentHtml": "<b>a</b>", "contentMarkdown": null,
            "contentJson": "…[cut: 25 bytes, fetch /v1/comments/C1]"})
        );
        let cut = cut_comment(comment, 2);
        assert_eq!(cut["content"], "a…[cut: 5 bytes, fetch /v1/comments/C1]");
        assert_eq!(cut["contentHtml"], "<b…[cut: 6 bytes, fetch /v1/comments/C1]");
    }
}
