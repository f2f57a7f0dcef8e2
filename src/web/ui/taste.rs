//! How somebody likes the pages; kept in cookies, so that the server draws them so at once.

use actix_web::HttpRequest;

/// What was chosen; an empty word is what everybody gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taste {
    /// `compact` for less room between lines.
    pub density: &'static str,
    /// `off` for no shortcuts of single letters.
    pub keys: &'static str,
    /// `utc` for times as the server has them.
    pub times: &'static str,
}

/// A choice between what everybody gets and one other thing.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The field of the form.
    pub field: &'static str,
    /// The cookie.
    pub cookie: &'static str,
    /// The other thing.
    pub other: &'static str,
}

const fn choice(field: &'static str, cookie: &'static str, other: &'static str) -> Choice {
    Choice { field, cookie, other }
}

/// How close the lines stand.
pub const DENSITY: Choice = choice("density", "ergane_density", "compact");
/// Whether single letters do something.
pub const KEYS: Choice = choice("keys", "ergane_keys", "off");
/// By whose clock times are shown.
pub const TIMES: Choice = choice("times", "ergane_times", "utc");

impl Choice {
    /// Returns the other thing when `value` asks for it, else an empty word.
    pub fn word(&self, value: &str) -> &'static str {
        if value == self.other { self.other } else { "" }
    }

    fn of(&self, request: &HttpRequest) -> &'static str {
        request.cookie(self.cookie).map_or("", |cookie| self.word(cookie.value()))
    }
}

impl Taste {
    /// Reads what the browser keeps.
    pub fn of(request: &HttpRequest) -> Taste {
        Taste { density: DENSITY.of(request), keys: KEYS.of(request), times: TIMES.of(request) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_word_that_is_not_offered_is_not_taken() {
        let request = TestRequest::default()
            .insert_header(("cookie", "ergane_density=compact; ergane_keys=\"><script>"))
            .to_http_request();
        let taste = Taste::of(&request);
        assert_eq!(taste, Taste { density: "compact", ..Taste::default() });
    }
}
