//! Reads JSON from outside: bounded in depth, and every fault with its line, column and pointer.

use actix_web::http::StatusCode;
use serde_json::Value;

use super::error::ApiError;
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::workflow::document::{Format, TextLimits, parse_text};

/// Reads a document that nests at most `depth_max` levels.
///
/// # Errors
/// Refuses with 400 what is not JSON or nests deeper.
pub fn parse(bytes: &[u8], depth_max: usize) -> Result<Value, ApiError> {
    check_depth(bytes, depth_max)?;
    serde_json::from_slice(bytes).map_err(|fault| syntax(bytes, &fault))
}

/// Reads a document in which no key stands twice in one object, so that nobody reads it another way
/// (RFC 7493, section 2.3).
///
/// # Errors
/// Refuses with 400 what [`parse`] refuses, and a key that stands twice, with its place.
pub fn parse_unambiguous(bytes: &[u8], depth_max: usize) -> Result<Value, ApiError> {
    let Ok(text) = std::str::from_utf8(bytes) else { return parse(bytes, depth_max) };
    let limits = TextLimits { bytes_max: bytes.len(), depth_max };
    match parse_text(text, Format::Json, limits) {
        Ok(value) => Ok(value),
        Err(problem) if problem.code == "duplicate_key" => {
            let detail = problem.detail.clone();
            let refusal = ApiError::new(StatusCode::BAD_REQUEST, "duplicate_key", detail);
            Err(refusal.listing(vec![problem]))
        }
        Err(_) => parse(bytes, depth_max), // The same fault, in the words of every document.
    }
}

/// Refuses with 400 what nests deeper than `depth_max`, before anything is built from it.
///
/// # Errors
/// Names the limit and the pointer where it was passed.
pub fn check_depth(bytes: &[u8], depth_max: usize) -> Result<(), ApiError> {
    let mut depth = 0usize;
    let mut in_text = false;
    let mut position = 0;
    while position < bytes.len() {
        match (in_text, bytes[position]) {
            (true, b'\\') => position += 1,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {} // Scalars, white space and the inside of texts nest nothing.
        }
        if depth > depth_max {
            return Err(too_deep(bytes, position, depth_max));
        }
        position += 1;
    }
    Ok(())
}

fn too_deep(bytes: &[u8], position: usize, depth_max: usize) -> ApiError {
    let detail = format!("the JSON nests deeper than the limit of {depth_max} levels");
    let problem = Problem::new(pointer_at(&bytes[..position]), "too_deep", detail.clone());
    ApiError::new(StatusCode::BAD_REQUEST, "json_too_deep", detail)
        .listing(vec![problem])
        .with_member("limit", depth_max.into())
}

/// Describes malformed JSON.
#[must_use]
pub fn syntax(bytes: &[u8], fault: &serde_json::Error) -> ApiError {
    let (line, column) = (fault.line(), fault.column());
    let text = fault.to_string();
    let reason = text.split(" at line ").next().unwrap_or("it is malformed").to_owned();
    let detail = format!("not valid JSON: {reason} at line {line}, column {column}");
    let pointer = pointer_at(&bytes[..offset_of(bytes, line, column)]);
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", detail)
        .listing(vec![Problem::new(pointer, "invalid_json", reason)])
        .with_member("line", line.into())
        .with_member("column", column.into())
}

fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let before = bytes.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1));
    let start: usize = before.map(<[u8]>::len).sum();
    (start + column.saturating_sub(1)).min(bytes.len())
}

enum Level {
    Object { key: Option<String> },
    Array { index: usize },
}

/// Returns the pointer of the value that stands, or is about to stand, at the end of `prefix`.
fn pointer_at(prefix: &[u8]) -> String {
    let mut levels: Vec<Level> = Vec::new();
    let mut position = 0;
    while position < prefix.len() {
        match prefix[position] {
            b'{' => levels.push(Level::Object { key: None }),
            b'[' => levels.push(Level::Array { index: 0 }),
            b'}' | b']' => {
                levels.pop();
            }
            b',' => match levels.last_mut() {
                Some(Level::Array { index }) => *index += 1,
                Some(Level::Object { key }) => *key = None,
                None => {}
            },
            b'"' => position = text_end(prefix, position, &mut levels),
            _ => {} // Only structure moves the pointer.
        }
        position += 1;
    }
    levels.iter().fold(String::new(), |base, level| match level {
        Level::Object { key: Some(key) } => pointer_to(&base, key),
        Level::Object { key: None } => base,
        Level::Array { index } => pointer_to(&base, &index.to_string()),
    })
}

/// Passes over a text and, where it stands for a key, notes it; returns its last position.
fn text_end(prefix: &[u8], start: usize, levels: &mut [Level]) -> usize {
    let mut end = start + 1;
    while end < prefix.len() && prefix[end] != b'"' {
        end += if prefix[end] == b'\\' { 2 } else { 1 };
    }
    let end = end.min(prefix.len());
    if let Some(Level::Object { key: key @ None }) = levels.last_mut() {
        *key = Some(String::from_utf8_lossy(&prefix[start + 1..end]).into_owned());
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_json_is_refused_with_its_place() {
        for (text, line, pointer) in [
            ("{\"a\": [1, {\"b/c\": tru}]}", 1, "/a/1/b~1c"),
            ("{\"a\": 1,\n \"b\": [1, 2,, 3]}", 2, "/b/2"),
            ("", 1, ""),
            ("{\"a\": \"\\u12\"}", 1, "/a"),
            ("{\"a\": 1} x", 1, ""),
        ] {
            let error = parse(text.as_bytes(), 64).expect_err(text);
            assert_eq!(error.code(), "invalid_json", "{text}");
            assert_eq!(error.problems()[0].pointer, pointer, "{text}");
            assert!(error.detail().contains(&format!("line {line}")), "{text}: {error}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_with_its_place() {
        let text = br#"{"a": [{"b": 1, "c": {"b": 2}, "b": 3}]}"#;
        assert!(parse(text, 64).is_ok());
        let error = parse_unambiguous(text, 64).expect_err("two of them");
        assert_eq!((error.status().as_u16(), error.code()), (400, "duplicate_key"));
        assert_eq!(error.problems()[0].pointer, "/a/0/b");
        assert!(error.detail().contains("line 1, column 3"), "{error}");
        for text in [r#"{"a": {"b": 1}, "b": {"a": 1}}"#, "[1e300, -0.0, \"\u{1F600}\"]"] {
            let read = parse_unambiguous(text.as_bytes(), 64).expect("it is sound");
            assert_eq!(read, parse(text.as_bytes(), 64).expect("it is sound"));
        }
        for text in ["[1e400]", "{\"a\": 1} x", "[[[", "\u{feff}{}"] {
            let error = parse_unambiguous(text.as_bytes(), 64).expect_err(text);
            assert_eq!(error.code(), "invalid_json", "{text}");
        }
    }

    #[test]
    fn depth_is_counted_outside_of_texts() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(64).as_bytes(), 64).is_ok());
        let error = parse(nested(65).as_bytes(), 64).expect_err("one level too many");
        assert_eq!((error.status().as_u16(), error.code()), (400, "json_too_deep"));
        assert!(parse(br#"["[[[[[", "\"[[[["]"#, 2).is_ok());
        assert!(parse("[".repeat(1_000_000).as_bytes(), 64).is_err());
    }
}
