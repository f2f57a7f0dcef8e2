//! Takes known secrets out of what others said, in every spelling in which they come back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use url::form_urlencoded::byte_serialize;

use super::Secret;

/// What stands where a secret stood.
pub const MASKED: &str = "***";

/// A shorter secret stands in too many places by chance: it is masked as a word of its own alone.
const INSIDE_WORDS_CHARS_MIN: usize = 6;
/// A shorter text is no secret at all.
const MASKED_CHARS_MIN: usize = 3;
/// A shorter secret is masked only in what comes back of a call that it was given to.
const LONG_CHARS_MIN: usize = 12;
/// More spellings are looked for all at once.
const ONE_BY_ONE_MAX: usize = 100;
const TOGETHER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// A shorter piece of base64 is found in texts that have nothing to do with the secret.
const BASE64_LETTERS_MIN: usize = 7;

/// Knows secrets, and takes them out of texts: as they are, and in base64, percent-encoded,
/// hexadecimal, and escaped as JSON and HTML do it.
#[derive(Clone, Default)]
pub struct Mask {
    /// Longest first, so that no part of a longer spelling is left over.
    spellings: Vec<Spelling>,
    /// All that are found anywhere, where there are too many to look for one by one.
    together: Option<Regex>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spelling {
    text: String,
    found: Found,
}

/// Where a spelling is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Anywhere,
    /// Not beside other letters and digits.
    AsWord,
}

impl Mask {
    /// Learns the spellings of `secrets`.
    #[must_use]
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Mask {
        let mut spellings: Vec<Spelling> = secrets.into_iter().flat_map(spellings_of).collect();
        spellings.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then_with(|| a.cmp(b)));
        spellings.dedup_by(|a, b| a.text == b.text);
        let mut mask = Mask { spellings, together: None };
        if mask.spellings.len() > ONE_BY_ONE_MAX {
            mask.together = mask.joined();
        }
        mask
    }

    /// Leaves out what may stand in a text by chance, for texts that have nothing to do with most of
    /// the secrets.
    #[must_use]
    pub fn of_long<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Mask {
        let is_long = |secret: &&Secret| secret.expose().chars().count() >= LONG_CHARS_MIN;
        Mask::new(secrets.into_iter().filter(is_long))
    }

    /// Returns whether it knows no secret.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spellings.is_empty()
    }

    fn joined(&self) -> Option<Regex> {
        let anywhere = self.spellings.iter().filter(|it| it.found == Found::Anywhere);
        let escaped: Vec<String> = anywhere.map(|it| regex::escape(&it.text)).collect();
        let mut builder = RegexBuilder::new(&escaped.join("|"));
        builder.size_limit(TOGETHER_BYTES_MAX).build().ok()
    }

    /// Returns a text without the secrets; mask before anything is cut off.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut masked = match &self.together {
            Some(together) => together.replace_all(text, MASKED).into_owned(),
            None => text.to_owned(),
        };
        for Spelling { text, found } in &self.spellings {
            let is_done = self.together.is_some() && *found == Found::Anywhere;
            if is_done || !masked.contains(text.as_str()) {
                continue;
            }
            masked = match found {
                Found::Anywhere => masked.replace(text.as_str(), MASKED),
                Found::AsWord => without_word(&masked, text),
            };
        }
        masked
    }

    /// Takes the secrets out of every text in a tree, names of fields included.
    #[must_use]
    pub fn value(&self, value: Value) -> Value {
        if self.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                let masked: Map<String, Value> = fields
                    .into_iter()
                    .map(|(name, value)| (self.text(&name), self.value(value)))
                    .collect();
                Value::Object(masked)
            }
            Value::Number(number) => {
                let written = number.to_string();
                match self.spellings.iter().any(|spelling| spelling.text == written) {
                    true => Value::String(MASKED.to_owned()),
                    false => Value::Number(number),
                }
            }
            plain @ (Value::Null | Value::Bool(_)) => plain,
        }
    }
}

/// Replaces a text where no letter or digit stands beside it.
fn without_word(text: &str, word: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices(word) {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let is_word = ![before, after].into_iter().flatten().any(char::is_alphanumeric);
        if is_word {
            masked.push_str(&text[done..at]);
            masked.push_str(MASKED);
            done = at + word.len();
        }
    }
    masked.push_str(&text[done..]);
    masked
}

fn spellings_of(secret: &Secret) -> Vec<Spelling> {
    let (text, chars) = (secret.expose(), secret.expose().chars().count());
    if chars < MASKED_CHARS_MIN {
        return Vec::new();
    }
    let found = if chars < INSIDE_WORDS_CHARS_MIN { Found::AsWord } else { Found::Anywhere };
    let mut spelled = vec![text.to_owned(), in_html(text, "&#39;", "&quot;")];
    spelled.push(in_html(text, "&#x27;", "&#34;"));
    spelled.extend(in_json(text));
    spelled.extend(percent_encoded(text));
    let hexadecimal = hex::encode(text);
    spelled.extend([hexadecimal.to_uppercase(), hexadecimal]);
    let whole = STANDARD_NO_PAD.encode(text);
    spelled.extend([format!("{whole}="), format!("{whole}=="), whole]);
    let mut spellings: Vec<Spelling> =
        spelled.into_iter().map(|text| Spelling { text, found }).collect();
    if found == Found::Anywhere {
        let encoded = (0..3).flat_map(|offset| in_base64(text.as_bytes(), offset));
        let long = encoded.filter(|text| text.len() >= BASE64_LETTERS_MIN);
        spellings.extend(long.map(|text| Spelling { text, found }));
    }
    spellings
}

/// Returns a text inside JSON: as it is usually escaped, with slashes escaped, in ASCII alone, and
/// inside a text of JSON that is itself inside JSON.
fn in_json(text: &str) -> [String; 5] {
    let inside = |text: &str| {
        let quoted = Value::String(text.to_owned()).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let usual = inside(text);
    let ascii = |spell: fn(u16) -> String| -> String {
        let mut units = [0; 2];
        let letters = usual.chars().map(|letter| match letter.is_ascii() {
            true => letter.to_string(),
            false => letter.encode_utf16(&mut units).iter().map(|unit| spell(*unit)).collect(),
        });
        letters.collect()
    };
    let (upper, lower) =
        (ascii(|unit| format!("\\u{unit:04X}")), ascii(|unit| format!("\\u{unit:04x}")));
    let twice = inside(&usual);
    [usual.replace('/', "\\/"), upper, lower, twice, usual]
}

/// Returns a text percent-encoded as forms, paths and scripts do it, with digits of either case, and
/// with everything encoded.
fn percent_encoded(text: &str) -> Vec<String> {
    let form: String = byte_serialize(text.as_bytes()).collect();
    // What each leaves as it is beside letters and digits (RFC 3986; ECMA-262 19.2.6.4; none).
    let kept: [(&str, bool); 3] = [("-._~", true), ("-_.!~*'()", true), ("", false)];
    let mut spelled: Vec<String> = kept
        .into_iter()
        .map(|(marks, letters)| {
            let mut encoded = String::new();
            for byte in text.bytes() {
                let is_kept = letters && byte.is_ascii_alphanumeric()
                    || byte.is_ascii() && marks.contains(char::from(byte));
                match is_kept {
                    true => encoded.push(char::from(byte)),
                    false => encoded.push_str(&format!("%{byte:02X}")),
                }
            }
            encoded
        })
        .collect();
    spelled.extend([form.replace('+', "%20"), form]);
    let again: Vec<String> = spelled.iter().map(|once| once.replace('%', "%25")).collect();
    spelled.extend(again);
    let lower: Vec<String> = spelled.iter().map(|it| lower_escapes(it)).collect();
    spelled.extend(lower);
    spelled
}

/// Returns a percent-encoded text with the digits `a` to `f` in lower case.
fn lower_escapes(encoded: &str) -> String {
    let mut lowered = String::with_capacity(encoded.len());
    let mut digits = 0;
    for letter in encoded.chars() {
        lowered.push(if digits > 0 { letter.to_ascii_lowercase() } else { letter });
        digits = if letter == '%' { 2 } else { i32::max(digits - 1, 0) };
    }
    lowered
}

fn in_html(text: &str, apostrophe: &str, quote: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('\'', apostrophe).replace('"', quote)
}

/// Returns what is certain of the base64 of `bytes` when `offset` other bytes stand before them,
/// as a name and a colon do in basic authentication.
fn in_base64(bytes: &[u8], offset: usize) -> [String; 2] {
    let padded = [vec![0; offset], bytes.to_vec()].concat();
    // A letter carries 6 bits; those that mix with what stands before or after are left out.
    let first = (offset * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    let cut = |letters: String| letters.get(first..last).unwrap_or_default().to_owned();
    [cut(STANDARD_NO_PAD.encode(&padded)), cut(URL_SAFE_NO_PAD.encode(&padded))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    const SECRET: &str = "s3cr3t/\"+ value?ö";

    fn mask() -> Mask {
        Mask::new([&Secret::new(SECRET)])
    }

    #[test]
    fn a_secret_is_masked_however_it_is_spelled() {
        let form: String = byte_serialize(SECRET.as_bytes()).collect();
        for said in [
            format!("token {SECRET} is wrong"),
            json!({ "echo": SECRET }).to_string(),
            format!("https://x.test/?t={form}"),
            format!("https://x.test/?t={}", form.replace('+', "%20")),
            format!("Basic {}", STANDARD.encode(SECRET)),
            format!("Basic {}", STANDARD.encode(format!("u:{SECRET}"))),
            format!("Basic {}", STANDARD.encode(format!("ab:{SECRET}:tail"))),
            hex::encode(SECRET),
            hex::encode_upper(SECRET),
            format!("https://x.test/?t={}", form.to_lowercase()),
            percent_encoded(SECRET)[2].clone(),
            percent_encoded(SECRET)[2].replace('%', "%25"),
            json!({ "inner": json!({ "echo": SECRET }).to_string() }).to_string(),
            r#"{"echo": "s3cr3t\/\"+ value?\u00f6"}"#.to_owned(),
            r#"{"echo": "s3cr3t\/\"+ value?\u00F6"}"#.to_owned(),
            "<p>s3cr3t/&quot;+ value?ö</p>".to_owned(),
            URL_SAFE_NO_PAD.encode(format!("abc{SECRET}")),
        ] {
            let masked = mask().text(&said);
            assert!(masked.contains(MASKED), "{said} became {masked}");
            assert!(!masked.contains("s3cr3t"), "{masked}");
            for part in ["czNjcjN0", "MzY3IzdC", "7332637233", "%73%33"] {
                assert!(!masked.to_lowercase().contains(&part.to_lowercase()), "{masked}");
            }
        }
    }

    #[test]
    fn a_secret_in_basic_authentication_is_masked_whoever_it_belongs_to() {
        for user in ["", "u", "ab", "abc", "somebody@example.com"] {
            for tail in ["", "\n", "x", "xy"] {
                let said = STANDARD.encode(format!("{user}:hunter2-{tail}"));
                let mask = Mask::new([&Secret::new("hunter2-")]);
                let masked = mask.text(&format!("Basic {said}"));
                assert!(masked.contains(MASKED), "{user} {tail}: {said} became {masked}");
                let left = masked.len() - MASKED.len();
                assert!(left <= "Basic ".len() + (user.len() + tail.len()) * 2 + 8, "{masked}");
            }
        }
    }

    #[test]
    fn a_thousand_secrets_are_looked_for_at_once() {
        let secret = |number: usize| Secret::new(format!("secret-value/{number:05}"));
        let mut secrets: Vec<Secret> = (0..1_000).map(secret).collect();
        secrets.push(Secret::new("admin"));
        let mask = Mask::new(&secrets);
        let said = format!(
            "{} {} secret-value/x admin admins",
            secret(7).expose(),
            STANDARD.encode(format!("u:{}", secret(999).expose()))
        );
        let masked = mask.text(&said);
        assert!(
            masked.starts_with("*** ") && masked.ends_with(" secret-value/x *** admins"),
            "{masked}"
        );
        assert!(!masked.contains("ZWNyZXQtdmFsdWU"), "{masked}");
        assert!(Mask::of_long(&[Secret::new("production")]).is_empty());
    }

    #[test]
    fn trees_are_masked_in_names_and_values() {
        let said = json!({ (SECRET): [SECRET, 5, null], "plain": "as it is" });
        assert_eq!(mask().value(said), json!({ "***": ["***", 5, null], "plain": "as it is" }));
        let number = Mask::new([&Secret::new("1234567")]);
        assert_eq!(number.value(json!([1_234_567, 7])), json!(["***", 7]));
    }

    #[test]
    fn a_short_secret_is_masked_as_a_word_of_its_own_and_a_tiny_one_not_at_all() {
        let masked = |secret: &str, text: &str| Mask::new([&Secret::new(secret)]).text(text);
        assert_eq!(masked("a", "a banana"), "a banana");
        assert_eq!(masked("ban", "ban the banana, ban"), "*** the banana, ***");
        assert_eq!(masked("admin", "\"admin\":admin/admins"), "\"***\":***/admins");
        assert_eq!(masked("admin", "Basic YWRtaW4="), "Basic ***");
        assert_eq!(masked("secret", "mysecrets"), "my***s");
    }
}
