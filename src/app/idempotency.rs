//! Answers that are kept for a day, so that a repeated request gets the same one.

use std::time::Duration;

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::domain::secret::Secret;
use crate::store::access::{AnswerRow, place_of_answer};

const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How many answers are looked at for their age whenever one is kept.
const SWEPT_AT_ONCE: usize = 8;

/// What was answered to a request that carried an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: String,
    /// The other headers that belong to the answer: its tag, its place.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl App {
    /// Returns the answer that was kept for `scope`, which names the caller, the path and the key.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub async fn idempotency_find(
        &self,
        who: &Principal,
        scope: &str,
    ) -> Result<Option<KeptAnswer>, Error> {
        let row = self.read(who, |view| Ok(view.answer(scope)?))?;
        let row = row.filter(|row| row.expires_at > self.now());
        Ok(row.and_then(|row| {
            let body_hash = hex::decode(&row.body_digest).ok()?.try_into().ok()?;
            let AnswerRow { status, content_type, headers, sealed, .. } = row;
            // One that was kept under a key that is gone is answered anew, like one that is older.
            let body = self.sealer().open(place_of_answer(who.tenant, scope), &sealed?).ok()?;
            let body = body.expose().to_owned();
            Some(KeptAnswer { body_hash, status, content_type, headers, body })
        }))
    }

    /// Keeps an answer for `scope`.
    ///
    /// # Errors
    /// Returns why it cannot be written now.
    pub async fn idempotency_keep(
        &self,
        who: &Principal,
        scope: &str,
        kept: KeptAnswer,
    ) -> Result<(), Error> {
        let (scope, now) = (scope.to_owned(), self.now());
        let place = place_of_answer(who.tenant, &scope);
        let sealed = self.sealer().seal(place, &Secret::new(kept.body));
        let row = AnswerRow {
            body_digest: hex::encode(kept.body_hash),
            status: kept.status,
            content_type: kept.content_type,
            headers: kept.headers,
            sealed: Some(sealed),
            expires_at: now + KEPT_FOR,
        };
        self.write_of(who.tenant, move |tx| {
            for expired in tx.view().expired_answers(now, SWEPT_AT_ONCE)? {
                tx.forget_answer(&expired);
            }
            tx.keep_answer(&scope, &row);
            Ok(())
        })
        .await
    }
}
