//! Reads a time as Thena's clients write it.

use crate::domain::time::Timestamp;

/// A whole number below this counts seconds: as milliseconds it would lie in the year 1973.
const MILLIS_MIN: i64 = 100_000_000_000;

/// Reads ISO 8601 with or without a time of day, or seconds or milliseconds since 1970.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<i64>() {
        let millis = if number.abs() < MILLIS_MIN { number.checked_mul(1_000)? } else { number };
        return Some(Timestamp::from_millis(millis));
    }
    // A `+` in a query that was not escaped reads as a space.
    let text = text.replace(' ', "+");
    let spellings = [text.clone(), format!("{text}Z"), format!("{text}T00:00:00Z")];
    spellings.iter().find_map(|spelling| spelling.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_documented_form() {
        let noon = Some(Timestamp::from_millis(1_767_268_800_000));
        for (text, moment) in [
            ("2026-01-01T12:00:00.000Z", noon),
            ("2026-01-01T12:00:00Z", noon),
            ("2026-01-01T12:00:00", noon),
            ("2026-01-01T14:00:00+02:00", noon),
            ("2026-01-01T14:00:00 02:00", noon),
            ("1767268800", noon),
            ("1767268800000", noon),
            ("2026-01-01", Some(Timestamp::from_millis(1_767_225_600_000))),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse(text), moment, "{text}");
        }
    }
}
