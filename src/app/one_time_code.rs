//! One-time codes of an authenticator: RFC 6238 with SHA-1, six digits and steps of 30 seconds,
//! which is what every authenticator understands.

use ring::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use subtle::ConstantTimeEq as _;

use crate::domain::time::Timestamp;

const STEP_MS: i64 = 30_000;
const DIGITS: usize = 6;
/// How many steps a clock may be off, either way.
const STEPS_OFF: u64 = 1;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Returns the time step of an instant.
#[must_use]
pub fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.millis() / STEP_MS).unwrap_or(0)
}

/// Returns the step that `code` belongs to, if it is a right one at `now` and later than
/// `last_step`, the step of the last code that was taken.
#[must_use]
pub fn matching_step(secret: &[u8], code: &str, now: Timestamp, last_step: u64) -> Option<u64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let present = step_at(now);
    let mut found = None;
    for step in present.saturating_sub(STEPS_OFF)..=present + STEPS_OFF {
        let same = code_at(secret, step).as_bytes().ct_eq(code.as_bytes());
        if bool::from(same) && step > last_step {
            found = Some(step);
        }
    }
    found
}

/// Returns the code of a step: RFC 4226, section 5.3.
#[must_use]
pub fn code_at(secret: &[u8], step: u64) -> String {
    let key = hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let digest = hmac::sign(&key, &step.to_be_bytes());
    let digest = digest.as_ref();
    let offset = usize::from(digest[19] & 0x0f);
    let four = [digest[offset] & 0x7f, digest[offset + 1], digest[offset + 2], digest[offset + 3]];
    let number = u32::from_be_bytes(four) % 10_u32.pow(DIGITS as u32);
    format!("{number:0DIGITS$}")
}

/// Returns bytes as authenticators take them: RFC 4648, section 6, without padding.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let mut five = [0; 5];
        five[..chunk.len()].copy_from_slice(chunk);
        let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let letters = (chunk.len() * 8).div_ceil(5);
        text.extend((0..letters).map(|place| {
            let index = bits >> (35 - 5 * place) & 31;
            char::from(BASE32[index as usize])
        }));
    }
    text
}

/// Returns the address that an authenticator reads from a QR code.
#[must_use]
pub fn otpauth(secret: &[u8], email: &str) -> String {
    let account: String = url::form_urlencoded::byte_serialize(email.as_bytes()).collect();
    let account = account.replace('+', "%20");
    let secret = base32(secret);
    format!("otpauth://totp/Ergane:{account}?secret={secret}&issuer=Ergane&digits=6&period=30")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, for SHA-1, the last six of its eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = step_at(Timestamp::from_millis(seconds * 1_000));
            assert_eq!(code_at(SECRET, step), code, "{seconds}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_code_is_taken_once_and_within_one_step() {
        let now = Timestamp::from_millis(1_234_567_890_000);
        let step = step_at(now);
        for (offset, taken) in [(-2_i64, false), (-1, true), (0, true), (1, true), (2, false)] {
            let code = code_at(SECRET, step.saturating_add_signed(offset));
            assert_eq!(matching_step(SECRET, &code, now, 0).is_some(), taken, "{offset}");
        }
        let code = code_at(SECRET, step);
        assert_eq!(matching_step(SECRET, &code, now, step), None);
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        assert_eq!(matching_step(SECRET, &spaced, now, step - 1), Some(step));
        assert_eq!(matching_step(SECRET, "", now, 0), None);
    }
}
