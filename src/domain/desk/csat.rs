//! Surveys of customers' satisfaction: one on each ticket, sent and answered.

use serde_json::{Map, Value, json};

use super::Facts;
use super::draft::{part, touched};
use crate::domain::problem::Problem;

const RATINGS: std::ops::RangeInclusive<u64> = 1..=5;
const COMMENT_CHARS_MAX: usize = 32_768;

/// Returns the ticket with a survey that was sent now; an answer that it had is of the past.
#[must_use]
pub fn send(ticket: &Map<String, Value>, facts: &Facts<'_>) -> Map<String, Value> {
    let survey = json!({
        "id": survey_id(ticket), "status": "SENT", "sentAt": facts.now,
        "rating": null, "comment": null, "receivedAt": null,
    });
    with_survey(ticket, survey, facts)
}

/// Returns the ticket with the customer's answer: `rating` is 1 (bad) to 5 (good). The same answer
/// again changes nothing.
///
/// # Errors
/// Returns what is wrong with the rating or the comment.
pub fn receive(
    ticket: &Map<String, Value>,
    rating: &Value,
    comment: &Value,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let problems: Vec<Problem> =
        [rating_problem(rating), comment_problem(comment)].into_iter().flatten().collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let before = part(Some(ticket), "csat");
    if before["rating"] == *rating && before["comment"] == *comment {
        return Ok(ticket.clone());
    }
    let survey = json!({
        "id": survey_id(ticket), "status": "RECEIVED", "sentAt": before["sentAt"],
        "rating": rating, "comment": comment, "receivedAt": facts.now,
    });
    Ok(with_survey(ticket, survey, facts))
}

fn rating_problem(rating: &Value) -> Option<Problem> {
    let fits = rating.as_u64().is_some_and(|rating| RATINGS.contains(&rating));
    let (code, detail) = match rating {
        Value::Null => ("required", "`rating` is required: a whole number from 1 to 5"),
        _ => ("out_of_range", "must be a whole number from 1 to 5"),
    };
    (!fits).then(|| Problem::new("/rating", code, detail))
}

fn comment_problem(comment: &Value) -> Option<Problem> {
    let fits = match comment {
        Value::Null => true,
        Value::String(text) => text.chars().count() <= COMMENT_CHARS_MAX,
        _ => false, // Anything but words.
    };
    let detail = format!("must be a text of at most {COMMENT_CHARS_MAX} characters");
    (!fits).then(|| Problem::new("/comment", "wrong_type", detail))
}

fn survey_id(ticket: &Map<String, Value>) -> String {
    format!("csat_{}", part(Some(ticket), "id").as_str().unwrap_or_default())
}

fn with_survey(
    ticket: &Map<String, Value>,
    survey: Value,
    facts: &Facts<'_>,
) -> Map<String, Value> {
    let mut ticket = touched(ticket.clone(), facts);
    ticket.insert("csat".to_owned(), survey);
    ticket
}
