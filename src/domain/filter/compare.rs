//! How two JSON values compare in a filter: exactly as numbers, as instants, or not at all.

use std::cmp::Ordering;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime};
use serde_json::{Number, Value};

/// Tells whether two values are equal; a number equals the text that writes it, and a time equals
/// the same instant in another zone.
pub(super) fn equals(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(a), Value::String(b)) => {
            a == b || instant(a).is_some_and(|at| instant(b) == Some(at))
        }
        (Value::Number(_), Value::String(_)) | (Value::String(_), Value::Number(_)) => {
            order(left, right) == Some(Ordering::Equal)
        }
        _ => is_same(left, right), // Across other types nothing is equal.
    }
}

/// Returns a text that is the same for equal values; `None` where no text can be.
pub(super) fn index_key(value: &Value) -> Option<String> {
    if let Some(number) = numeric(value) {
        let float = match number {
            Numeric::Integer(integer) => integer as f64,
            Numeric::Float(float) => float + 0.0, // Makes the negative zero a positive one.
        };
        return Some(format!("n{:016x}", float.to_bits()));
    }
    match value {
        Value::String(text) => Some(match instant(text) {
            Some(at) => format!("t{}", at.timestamp_micros()),
            None => format!("s{text}"),
        }),
        Value::Bool(truth) => Some(format!("b{truth}")),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Orders two numbers, numeric texts or times; `None` for anything else.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (numeric(left), numeric(right)) {
        return a.order(b);
    }
    Some(moment(left)?.cmp(&moment(right)?))
}

/// Compares inside arrays and objects, where a text is never a number.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => {
            Numeric::of(a).order(Numeric::of(b)) == Some(Ordering::Equal)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has_same =
                |(name, a): (&String, &Value)| b.get(name).is_some_and(|b| is_same(a, b));
            a.len() == b.len() && a.iter().all(has_same)
        }
        _ => left == right, // Null, booleans and texts; other types differ.
    }
}

#[derive(Clone, Copy)]
enum Numeric {
    Integer(i128),
    Float(f64),
}

impl Numeric {
    fn of(number: &Number) -> Numeric {
        let unsigned = || number.as_u64().map(i128::from);
        match number.as_i64().map(i128::from).or_else(unsigned) {
            Some(integer) => Numeric::Integer(integer),
            None => Numeric::Float(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    fn order(self, other: Numeric) -> Option<Ordering> {
        match (self, other) {
            (Numeric::Integer(a), Numeric::Integer(b)) => Some(a.cmp(&b)),
            (Numeric::Float(a), Numeric::Float(b)) => a.partial_cmp(&b),
            (Numeric::Integer(a), Numeric::Float(b)) => order_exactly(a, b),
            (Numeric::Float(a), Numeric::Integer(b)) => order_exactly(b, a).map(Ordering::reverse),
        }
    }
}

/// Orders without rounding the integer, which may need more digits than a float has.
fn order_exactly(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // The cast saturates, far outside of what an integer of JSON can be.
    let whole = float.trunc() as i128;
    let fraction = 0.0_f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal);
    Some(integer.cmp(&whole).then(fraction))
}

fn numeric(value: &Value) -> Option<Numeric> {
    match value {
        Value::Number(number) => Some(Numeric::of(number)),
        Value::String(text) => {
            let text = text.trim();
            let begins = text.bytes().next().filter(|byte| !byte.is_ascii_alphabetic())?;
            if !begins.is_ascii_digit() && !b"+-.".contains(&begins) {
                return None;
            }
            if let Ok(integer) = text.parse() {
                return Some(Numeric::Integer(integer));
            }
            text.parse().ok().filter(|float: &f64| float.is_finite()).map(Numeric::Float)
        }
        _ => None, // Neither a number nor a text that could be one.
    }
}

fn instant(text: &str) -> Option<DateTime<FixedOffset>> {
    let looks_like_time = text.len() >= 20 && text.as_bytes()[4] == b'-';
    looks_like_time.then(|| DateTime::parse_from_rfc3339(text).ok()).flatten()
}

/// Reads a time, or a bare date as its midnight in UTC.
fn moment(value: &Value) -> Option<DateTime<FixedOffset>> {
    let text = value.as_str()?;
    let midnight = || {
        let date: NaiveDate = text.parse().ok().filter(|_| text.len() == 10)?;
        Some(date.and_time(NaiveTime::MIN).and_utc().fixed_offset())
    };
    instant(text).or_else(midnight)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_compare_exactly() {
        for (left, right, expected) in [
            (json!(9007199254740993_i64), json!(9007199254740992_i64), Ordering::Greater),
            (json!(9007199254740993_i64), json!(9007199254740992.0), Ordering::Greater),
            (json!(u64::MAX), json!(i64::MIN), Ordering::Greater),
            (json!(u64::MAX), json!(18446744073709551616.0), Ordering::Less),
            (json!("18446744073709551615"), json!(u64::MAX), Ordering::Equal),
            (json!(1), json!(1.0), Ordering::Equal),
            (json!(-1), json!(-1.5), Ordering::Greater),
            (json!(1), json!(1.5), Ordering::Less),
            (json!("10"), json!("9"), Ordering::Greater),
            (json!("1e2"), json!(100), Ordering::Equal),
        ] {
            assert_eq!(order(&left, &right), Some(expected), "{left} and {right}");
        }
    }

    #[test]
    fn times_compare_as_instants() {
        let (berlin, utc) = (json!("2026-11-23T11:00:00+01:00"), json!("2026-11-23T10:00:00.000Z"));
        assert_eq!(order(&berlin, &utc), Some(Ordering::Equal));
        assert!(equals(&berlin, &utc));
        assert_eq!(order(&json!("2026-11-24"), &utc), Some(Ordering::Greater));
    }

    #[test]
    fn other_types_do_not_compare() {
        for (left, right) in [
            (json!("abc"), json!("abd")),
            (json!(true), json!(1)),
            (json!(null), json!(0)),
            (json!([2]), json!([1])),
            (json!("inf"), json!(1)),
            (json!("NaN"), json!("NaN")),
            (json!(""), json!(0)),
            (json!("2026-11-23T10:00:00Z"), json!(5)),
        ] {
            assert_eq!(order(&left, &right), None, "{left} and {right}");
        }
        assert!(!equals(&json!(true), &json!("true")));
        assert!(!equals(&json!(0), &json!(null)));
        assert!(!equals(&json!(["1"]), &json!([1])));
        assert!(equals(&json!({"a": [1], "b": 2.0}), &json!({"b": 2, "a": [1.0]})));
    }
}
