//! Which part of a list is asked for.

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
}
