//! A mail as it came: read into the payload of its event, and told to which tenant it goes.

use mail_parser::{Address, HeaderValue, Message, MessageParser, MimeHeaders};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

const HEADERS_MAX: usize = 100;
const HEADER_CHARS_MAX: usize = 1_000;
const ATTACHMENTS_MAX: usize = 100;
const ADDRESSES_MAX: usize = 200;
const SUBJECT_CHARS_MAX: usize = 1_000;

/// A mail, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// Its `Message-ID` without angle brackets, or a digest of the whole where it has none.
    pub id: String,
    /// The address that it says to be from, empty when it says none.
    pub from: String,
    /// The payload of its event.
    pub payload: Value,
}

impl Mail {
    /// Reads a mail (RFC 5322, MIME); of text and HTML at most `text_bytes_max` bytes each are kept.
    /// What cannot be read is left out, never the whole.
    #[must_use]
    pub fn read(raw: &[u8], text_bytes_max: usize) -> Mail {
        let digest = || format!("sha256:{}", hex::encode(Sha256::digest(raw)));
        let Some(message) = MessageParser::default().parse(raw) else {
            let text = cut(&String::from_utf8_lossy(raw), text_bytes_max);
            let payload = json!({ "from": "", "to": [], "subject": "", "text": text });
            return Mail { id: digest(), from: String::new(), payload };
        };
        let from = message.from().and_then(Address::first);
        let address = from.and_then(|from| from.address()).unwrap_or_default().to_owned();
        let id = message.message_id().map(str::to_owned).filter(|id| !id.is_empty());
        let text = joined(&message, Message::body_text, message.text_body_count());
        let html = has_html(&message)
            .then(|| joined(&message, Message::body_html, message.html_body_count()));
        let is_cut = text.len() > text_bytes_max
            || html.as_ref().is_some_and(|html| html.len() > text_bytes_max);
        let subject: String =
            message.subject().unwrap_or_default().chars().take(SUBJECT_CHARS_MAX).collect();
        let payload = json!({
            "from": address,
            "fromName": from.and_then(|from| from.name()),
            "to": addresses(message.to()),
            "cc": addresses(message.cc()),
            "subject": subject,
            "text": cut(&text, text_bytes_max),
            "html": html.map(|html| cut(&html, text_bytes_max)),
            "truncated": is_cut,
            "headers": headers(&message),
            "attachments": attachments(&message),
            "messageId": id,
            "inReplyTo": ids(message.in_reply_to()).into_iter().next(),
            "references": ids(message.references()),
            "date": message.date().map(|date| date.to_rfc3339()),
        });
        Mail { id: id.unwrap_or_else(digest), from: address, payload }
    }
}

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressing<'a> {
    /// The domain that is ours.
    pub domain: &'a str,
    /// The tenant that takes everything, empty for none.
    pub tenant: &'a str,
}

impl Addressing<'_> {
    /// Returns the slug of the tenant that an address means: `<anything>@<slug>.<domain>`,
    /// `<slug>@<domain>` or `<slug>+<anything>@<domain>`; or else the one that takes everything of
    /// our domain, and of every domain where none is ours.
    #[must_use]
    pub fn tenant_of(&self, address: &str) -> Option<String> {
        let (local, host) = address.rsplit_once('@')?;
        if local.is_empty() {
            return None;
        }
        let (host, domain) = (host.to_lowercase(), self.domain.to_lowercase());
        let everything = || (!self.tenant.is_empty()).then(|| self.tenant.to_owned());
        if domain.is_empty() {
            return everything();
        }
        let below = host.strip_suffix(&domain)?;
        match below.strip_suffix('.') {
            Some(slug) if !slug.is_empty() && !slug.contains('.') => Some(slug.to_owned()),
            None if below.is_empty() => everything().or_else(|| {
                let slug = local.split('+').next().unwrap_or_default().to_lowercase();
                (!slug.is_empty()).then_some(slug)
            }),
            _ => None, // Another domain, or one too far below ours.
        }
    }
}

fn has_html(message: &Message<'_>) -> bool {
    message.html_bodies().any(|part| {
        part.content_type()
            .is_some_and(|kind| kind.subtype().is_some_and(|it| it.eq_ignore_ascii_case("html")))
    })
}

fn joined<'m>(
    message: &'m Message<'m>,
    body: impl Fn(&'m Message<'m>, usize) -> Option<std::borrow::Cow<'m, str>>,
    count: usize,
) -> String {
    let parts = (0..count).filter_map(|position| body(message, position));
    parts.map(std::borrow::Cow::into_owned).collect::<Vec<_>>().join("\n")
}

/// Cuts a text at a whole character.
fn cut(text: &str, bytes_max: usize) -> String {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn addresses(given: Option<&Address<'_>>) -> Vec<String> {
    let all = given.into_iter().flat_map(Address::iter);
    all.filter_map(|one| one.address().map(str::to_owned)).take(ADDRESSES_MAX).collect()
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(id) => vec![id.to_string()],
        HeaderValue::TextList(ids) => {
            ids.iter().take(ADDRESSES_MAX).map(ToString::to_string).collect()
        }
        _ => Vec::new(), // No reference at all.
    }
}

/// The first of each name; unfolded.
fn headers(message: &Message<'_>) -> Map<String, Value> {
    let mut headers = Map::new();
    for (name, value) in message.headers_raw().take(HEADERS_MAX) {
        let value: String = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let value: String = value.chars().take(HEADER_CHARS_MAX).collect();
        headers.entry(name.to_lowercase()).or_insert(Value::String(value));
    }
    headers
}

fn attachments(message: &Message<'_>) -> Vec<Value> {
    let told = message.attachments().take(ATTACHMENTS_MAX).map(|part| {
        let kind = part.content_type().map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_lowercase(),
            None => kind.ctype().to_lowercase(),
        });
        json!({
            "name": part.attachment_name(),
            "contentType": kind.unwrap_or_else(|| "application/octet-stream".to_owned()),
            "bytes": part.contents().len(),
            "sha256": hex::encode(Sha256::digest(part.contents())),
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: Kim <kim@wedding.example>\r\nTo: help@acme.example.com, b@x.test\r\n\
        Cc: c@x.test\r\nSubject: =?utf-8?q?N=C3=B6body_can?= log in\r\nMessage-ID: <1@wedding.example>\r\n\
        In-Reply-To: <0@example.com>\r\nReferences: <z@example.com> <0@example.com>\r\n\
        MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n\
        --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b--\r\n";

    #[test]
    fn a_mail_becomes_a_payload() {
        let mail = Mail::read(MAIL.as_bytes(), 1_000);
        assert_eq!(
            (mail.id.as_str(), mail.from.as_str()),
            ("1@wedding.example", "kim@wedding.example")
        );
        let payload = mail.payload;
        assert_eq!(payload["subject"], "Nöbody can log in");
        assert_eq!(payload["to"], json!(["help@acme.example.com", "b@x.test"]));
        assert_eq!(payload["text"].as_str().map(str::trim), Some("Grüße"));
        assert_eq!(payload["html"], Value::Null);
        assert_eq!(payload["inReplyTo"], "0@example.com");
        assert_eq!(payload["references"], json!(["z@example.com", "0@example.com"]));
        let attachment = &payload["attachments"][0];
        assert_eq!(attachment["name"], "a.pdf");
        assert_eq!(
            (&attachment["contentType"], &attachment["bytes"]),
            (&json!("application/pdf"), &json!(4))
        );
        assert_eq!(attachment["sha256"], hex::encode(Sha256::digest([0, 1, 2, 3])));
    }

    #[test]
    fn what_is_no_proper_mail_is_read_all_the_same() {
        for raw in [&b""[..], b"\r\n", b"no headers at all", b"\xff\xfe\x00", b"From: <\r\n\r\nx"] {
            let mail = Mail::read(raw, 10);
            assert!(mail.id.starts_with("sha256:"), "{}", mail.id);
        }
        let long = format!("Subject: s\r\n\r\n{}", "ö".repeat(100));
        let mail = Mail::read(long.as_bytes(), 11);
        assert_eq!(
            (&mail.payload["text"], &mail.payload["truncated"]),
            (&json!("ööööö"), &json!(true))
        );
    }

    #[test]
    fn an_address_means_one_tenant_or_none() {
        let ours = Addressing { domain: "mail.test", tenant: "" };
        let all = Addressing { domain: "mail.test", tenant: "desk" };
        let any = Addressing { domain: "", tenant: "desk" };
        for (addressing, address, tenant) in [
            (&ours, "help@acme.mail.test", Some("acme")),
            (&ours, "help@Acme.Mail.Test", Some("acme")),
            (&ours, "acme@mail.test", Some("acme")),
            (&ours, "acme+urgent@mail.test", Some("acme")),
            (&ours, "help@a.b.mail.test", None),
            (&ours, "help@evilmail.test", None),
            (&ours, "help@other.test", None),
            (&ours, "@acme.mail.test", None),
            (&ours, "nobody", None),
            (&all, "anything@mail.test", Some("desk")),
            (&all, "help@acme.mail.test", Some("acme")),
            (&all, "help@other.test", None),
            (&any, "help@other.test", Some("desk")),
        ] {
            assert_eq!(addressing.tenant_of(address).as_deref(), tenant, "{address}");
        }
    }
}
