//! Thena's pages: numbered from 0.

use serde_json::{Value, json};

use super::super::error::ApiError;
use super::super::query::Query;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;
/// A page is found by counting through those before it.
const ITEMS_BEFORE_MAX: usize = 100_000;

/// Which page of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) page: usize,
    pub(super) limit: usize,
}

impl Paging {
    /// Reads `page` and `limit`.
    pub(super) fn of(query: &Query) -> Result<Paging, ApiError> {
        Paging::read(query.text("page"), query.text("limit"))
    }

    fn read(page: Option<&str>, limit: Option<&str>) -> Result<Paging, ApiError> {
        let number = |name, text: Option<&str>, standard| match text {
            None => Ok(standard),
            Some(text) => text
                .parse::<usize>()
                .map_err(|_| ApiError::bad_parameter(name, format!("`{text}` is no whole number"))),
        };
        let (page, limit) = (number("page", page, 0)?, number("limit", limit, LIMIT_DEFAULT)?);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let detail = format!("must be from 1 to {LIMIT_MAX}");
            return Err(ApiError::bad_parameter("limit", detail));
        }
        if page.saturating_mul(limit) > ITEMS_BEFORE_MAX {
            let detail = format!("a page begins at most {ITEMS_BEFORE_MAX} items behind the first");
            return Err(ApiError::bad_parameter("page", detail));
        }
        Ok(Paging { page, limit })
    }

    /// Returns how many items must be known to show the page and to say whether more follow.
    pub(super) fn needed(self) -> usize {
        (self.page + 1) * self.limit + 1
    }

    /// Cuts the page out of a list that begins with the first item.
    pub(super) fn cut<T>(self, all: Vec<T>) -> (Vec<T>, bool) {
        let more = all.len() >= self.needed();
        (all.into_iter().skip(self.page * self.limit).take(self.limit).collect(), more)
    }

    /// Puts a page into Thena's envelope of lists.
    pub(super) fn envelope(self, data: Vec<Value>, more: bool) -> Value {
        json!({"data": data, "page": self.page, "limit": self.limit, "hasMore": more})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_count_from_zero_and_join_into_the_whole_list() {
        for (page, data, more) in
            [(0, vec![0, 1], true), (1, vec![2, 3], true), (2, vec![4], false), (9, vec![], false)]
        {
            let paging = Paging { page, limit: 2 };
            assert_eq!(paging.cut((0..5).collect()), (data, more), "page {page}");
        }
    }

    #[test]
    fn bounds_are_kept() {
        let read = |page, limit| Paging::read(page, limit).ok();
        assert_eq!(read(None, None), Some(Paging { page: 0, limit: 50 }));
        assert_eq!(read(Some("3"), Some("200")), Some(Paging { page: 3, limit: 200 }));
        for (page, limit) in [("-1", "5"), ("x", "5"), ("0", "0"), ("0", "201"), ("100000", "200")]
        {
            assert_eq!(read(Some(page), Some(limit)), None, "{page} {limit}");
        }
    }
}
