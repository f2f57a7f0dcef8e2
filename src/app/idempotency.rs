//! Answers that are kept, so that a repeated request gets the same one.

/// What was answered to a request that carried an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
    /// The HTTP status.
    pub status: u16,
    /// The headers that belong to the answer: its type, its tag, its place.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}
