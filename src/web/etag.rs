//! Entity tags: which version of a thing an answer shows, and which one a change is meant for.

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::app::desk::Precondition;
use crate::app::error::Error;

/// Returns the strong tag of a version number or of a hash.
#[must_use]
pub fn of(version: impl std::fmt::Display) -> String {
    format!("\"{version}\"")
}

/// Refuses a change when `If-Match` names another version than `present`.
///
/// # Errors
/// `Stale` with the present tag.
pub fn check(request: &HttpRequest, present: &str) -> Result<(), Error> {
    if matches(request, &header::IF_MATCH, present).unwrap_or(true) {
        return Ok(());
    }
    Err(Error::Stale { etag: present.to_owned() })
}

/// Returns what `If-Match` says, for a use case that compares where it changes.
#[must_use]
pub fn precondition(request: &HttpRequest) -> Precondition {
    match request.headers().get(header::IF_MATCH) {
        None => Precondition::none(),
        Some(value) => {
            let listed = value.to_str().unwrap_or("").split(',');
            let tags = listed.map(|tag| tag.trim().trim_start_matches("W/").to_owned());
            Precondition::any_of(tags.collect())
        }
    }
}

/// Returns whether the caller already has `present`, so that 304 says enough.
#[must_use]
pub fn is_known(request: &HttpRequest, present: &str) -> bool {
    matches(request, &header::IF_NONE_MATCH, present).unwrap_or(false)
}

fn matches(request: &HttpRequest, name: &header::HeaderName, present: &str) -> Option<bool> {
    let listed = request.headers().get(name)?.to_str().unwrap_or("");
    // A weak tag never matches strongly, but proxies that compress make strong ones weak.
    let mut tags = listed.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
    Some(tags.any(|tag| tag == "*" || tag == present || tag == present.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_change_must_name_the_present_version_or_none() {
        for (listed, fits) in [
            (Some("\"3\""), true),
            (Some("\"2\""), false),
            (Some("\"1\", W/\"3\""), true),
            (Some("*"), true),
            (Some("3"), true),
            (None, true),
            (Some(""), false),
        ] {
            let mut request = TestRequest::default();
            if let Some(listed) = listed {
                request = request.insert_header((header::IF_MATCH, listed));
            }
            assert_eq!(check(&request.to_http_request(), &of(3)).is_ok(), fits, "{listed:?}");
        }
    }
}
