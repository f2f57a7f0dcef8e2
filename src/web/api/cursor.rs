//! Cursors: where the next page begins, opaque to callers and bound to the filter of the list.

use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::xxh3_64;

use super::super::error::ApiError;
use crate::app::page::PageRequest;
use crate::app::views::Page;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;
const HASH_BYTES: usize = 8;

/// Reads `limit` and `cursor`; `filter` is everything else that decides what the list holds.
///
/// # Errors
/// Refuses with 400 a limit out of bounds, a broken cursor and one of another filter.
pub fn page(
    limit: Option<&str>,
    cursor: Option<&str>,
    filter: &str,
) -> Result<PageRequest, ApiError> {
    let limit = match limit {
        None => LIMIT_DEFAULT,
        Some(text) => {
            text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| {
                ApiError::bad_parameter("limit", "must be a whole number from 1 to 200")
            })?
        }
    };
    let after = cursor.filter(|text| !text.is_empty()).map(|text| decode(text, filter));
    Ok(PageRequest { limit, after: after.transpose()? })
}

/// Makes the page's sort key opaque.
#[must_use]
pub fn seal<T>(page: Page<T>, filter: &str) -> Page<T> {
    Page { next_cursor: page.next_cursor.map(|key| encode(&key, filter)), data: page.data }
}

fn encode(key: &str, filter: &str) -> String {
    let mut bytes = xxh3_64(filter.as_bytes()).to_be_bytes().to_vec();
    bytes.extend_from_slice(key.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str, filter: &str) -> Result<String, ApiError> {
    let broken = || ApiError::bad_parameter("cursor", "is not a cursor that a list answered");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| broken())?;
    let (hash, key) = bytes.split_at_checked(HASH_BYTES).ok_or_else(broken)?;
    if hash != xxh3_64(filter.as_bytes()).to_be_bytes() {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "cursor_mismatch",
            "the cursor belongs to a list with other filters; begin again without it",
        ));
    }
    String::from_utf8(key.to_vec()).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_where_its_page_ended_and_only_there() {
        let sealed = seal(Page { data: vec![1], next_cursor: Some("k/7".to_owned()) }, "status=x");
        let cursor = sealed.next_cursor.as_deref();
        let next = page(Some("2"), cursor, "status=x").expect("the same filter");
        assert_eq!(next, PageRequest { limit: 2, after: Some("k/7".to_owned()) });
        assert_eq!(page(None, cursor, "").expect_err("another filter").code(), "cursor_mismatch");
        for text in ["!", "AAAA", "w"] {
            assert_eq!(page(None, Some(text), "").expect_err(text).status().as_u16(), 400);
        }
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(page(None, None, "").expect("the default").limit, 50);
        for text in ["0", "201", "-1", "ten", ""] {
            assert!(page(Some(text), None, "").is_err(), "{text}");
        }
    }
}
