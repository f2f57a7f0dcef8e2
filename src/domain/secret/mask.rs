//! Takes known secrets out of what others said, in every spelling in which they come back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use url::form_urlencoded::byte_serialize;

use super::Secret;

/// What stands where a secret stood.
pub const MASKED: &str = "***";

/// Shorter texts stand in too many places by chance to be masked there.
const MASKED_CHARS_MIN: usize = 4;

/// Knows secrets, and takes them out of texts: as they are, and in base64, percent-encoded,
/// hexadecimal and inside JSON.
#[derive(Clone, Default)]
pub struct Mask {
    /// Longest first, so that no part of a longer spelling is left over.
    spellings: Vec<String>,
}

impl Mask {
    /// Learns the spellings of `secrets`.
    #[must_use]
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Mask {
        let mut spellings: Vec<String> = secrets.into_iter().flat_map(spellings_of).collect();
        spellings.retain(|spelling| spelling.chars().count() >= MASKED_CHARS_MIN);
        spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        spellings.dedup();
        Mask { spellings }
    }

    /// Returns a text without the secrets; mask before anything is cut off.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for spelling in &self.spellings {
            if masked.contains(spelling.as_str()) {
                masked = masked.replace(spelling.as_str(), MASKED);
            }
        }
        masked
    }

    /// Takes the secrets out of every text in a tree, names of fields included.
    #[must_use]
    pub fn value(&self, value: Value) -> Value {
        if self.spellings.is_empty() {
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
            Value::Number(number) => match self.spellings.contains(&number.to_string()) {
                true => Value::String(MASKED.to_owned()),
                false => Value::Number(number),
            },
            plain @ (Value::Null | Value::Bool(_)) => plain,
        }
    }
}

fn spellings_of(secret: &Secret) -> Vec<String> {
    let text = secret.expose();
    let in_json = Value::String(text.to_owned()).to_string();
    let form: String = byte_serialize(text.as_bytes()).collect();
    let hexadecimal = hex::encode(text);
    let mut spellings = vec![
        text.to_owned(),
        in_json[1..in_json.len() - 1].to_owned(),
        form.replace('+', "%20"),
        form,
        hexadecimal.to_uppercase(),
        hexadecimal,
    ];
    spellings.extend((0..3).flat_map(|offset| in_base64(text.as_bytes(), offset)));
    spellings
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
        ] {
            let masked = mask().text(&said);
            assert!(masked.contains(MASKED), "{said} became {masked}");
            assert!(!masked.contains("s3cr3t"), "{masked}");
        }
    }

    #[test]
    fn trees_are_masked_in_names_and_values() {
        let said = json!({ (SECRET): [SECRET, 5, null], "plain": "as it is" });
        assert_eq!(mask().value(said), json!({ "***": ["***", 5, null], "plain": "as it is" }));
        let number = Mask::new([&Secret::new("1234567")]);
        assert_eq!(number.value(json!([1_234_567, 7])), json!(["***", 7]));
    }

    #[test]
    fn what_is_too_short_to_tell_is_left_alone() {
        assert_eq!(Mask::new([&Secret::new("a")]).text("a banana"), "a banana");
    }
}
