//! Long work beside the threads that take requests, which must not wait for it.

use std::time::Duration;

use actix_web::web;

use super::error::ApiError;
use crate::app::error::Error;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Does `work` on a thread of its own.
///
/// # Errors
/// Returns the refusal of `work`, or that it was given up at a stop.
pub async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, ApiError> {
    let given_up = |_| Error::Unavailable {
        detail: "the work was given up, as the appliance is stopping".to_owned(),
        retry_after: RETRY_AFTER,
    };
    Ok(web::block(work).await.map_err(given_up)??)
}
