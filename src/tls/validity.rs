//! When a certificate begins and ends: the one field of X.509 that no library below tells.

use crate::domain::time::Timestamp;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// The time in which a certificate is good (RFC 5280, section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first instant.
    pub begins: Timestamp,
    /// The last instant.
    pub ends: Timestamp,
}

impl Validity {
    /// Reads it from a certificate in DER; nothing where that is malformed.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Validity> {
        let (whole, _) = inside(certificate, SEQUENCE)?;
        let (mut fields, _) = inside(whole, SEQUENCE)?;
        if fields.first() == Some(&VERSION) {
            fields = element(fields)?.2;
        }
        // The serial number, the algorithm of the signature and the issuer.
        for _ in 0..3 {
            fields = element(fields)?.2;
        }
        let (validity, _) = inside(fields, SEQUENCE)?;
        let (kind, begins, rest) = element(validity)?;
        let begins = time(kind, begins)?;
        let (kind, ends, _) = element(rest)?;
        Some(Validity { begins, ends: time(kind, ends)? })
    }
}

/// Returns the content of the element at the start, which must be of `kind`, and what follows it.
fn inside(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == kind).then_some((content, rest))
}

/// Splits the element at the start into its kind, its content and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&kind, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        // The long form: how many bytes the length itself has.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None, // DER knows no endless form, and nothing here has four gigabytes.
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((kind, content, rest))
}

/// Reads `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, the two forms that RFC 5280 allows.
fn time(kind: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let text = match kind {
        // Two digits below 50 are of this century.
        UTC_TIME if text < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None, // Nothing else stands for a time.
    };
    let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
    let part = |from: usize, to: usize| &digits[from..to];
    let (day, clock) = (
        [part(0, 4), part(4, 6), part(6, 8)].join("-"),
        [part(8, 10), part(10, 12), part(12, 14)].join(":"),
    );
    format!("{day}T{clock}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_time_are_read() {
        for (kind, text, read) in [
            (UTC_TIME, "261123235959Z", Some("2026-11-23T23:59:59.000Z")),
            (UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00.000Z")),
            (GENERALIZED_TIME, "21261030000000Z", Some("2126-10-30T00:00:00.000Z")),
            (GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59.000Z")),
            (UTC_TIME, "2611232359Z", None),
            (UTC_TIME, "26112323595\u{fc}Z", None),
            (GENERALIZED_TIME, "20261323000000Z", None),
            (0x02, "261123235959Z", None),
        ] {
            let found = time(kind, text.as_bytes()).map(|at| at.to_string());
            assert_eq!(found.as_deref(), read, "{text}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        let endless = [0x30, 0x80, 0, 0];
        let cut = [0x30, 0x82, 0x01];
        let too_long = [0x30, 0x05, 0x30, 0x84, 0xff, 0xff, 0xff];
        for bytes in [&[][..], &endless, &cut, &too_long, b"hello"] {
            assert_eq!(Validity::of(bytes), None, "{bytes:?}");
        }
    }
}
