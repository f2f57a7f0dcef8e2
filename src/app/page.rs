//! Which part of a list is asked for.

use super::views::Page;

/// Asks for at most `limit` items after a place that an earlier page named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items at most, 1 to 200.
    pub limit: usize,
    /// The sort key of the last item of the page before; `None` for the first page.
    pub after: Option<String>,
}

impl PageRequest {
    /// Returns the first page of the usual size.
    #[must_use]
    pub fn first() -> PageRequest {
        PageRequest { limit: 50, after: None }
    }

    /// Cuts the page out of a whole list that is sorted by `sort_key`.
    #[must_use]
    pub fn cut<T>(&self, all: Vec<T>, sort_key: impl Fn(&T) -> String) -> Page<T> {
        let after = self.after.as_ref();
        let mut rest = all.into_iter().filter(|item| after.is_none_or(|it| sort_key(item) > *it));
        let data: Vec<T> = rest.by_ref().take(self.limit).collect();
        let more = rest.next().is_some();
        Page { next_cursor: data.last().filter(|_| more).map(sort_key), data }
    }
}

impl<T> Page<T> {
    /// Shows every item in another form.
    #[must_use]
    pub fn map<U>(self, show: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(show).collect(), next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_into_the_whole_list() {
        let all = || vec!["a", "b", "c", "d", "e"];
        let mut request = PageRequest { limit: 2, after: None };
        let mut seen = Vec::new();
        loop {
            let page = request.cut(all(), |item| (*item).to_owned());
            seen.extend(page.data);
            request.after = page.next_cursor;
            if request.after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all());
    }
}
