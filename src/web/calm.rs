//! A panic in a handler or a page ends its own request, with an answer that names the request.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::{Error as ActixError, HttpRequest, HttpResponse};
use futures_util::FutureExt as _;

use super::envelope;
use super::error::ApiError;
use crate::app::error::Error;

/// Answers what `serving` answers; a panic in it becomes a refusal of `request`.
///
/// # Errors
/// Passes on what `serving` fails with.
pub async fn serve(
    request: HttpRequest,
    serving: impl Future<Output = Result<ServiceResponse<BoxBody>, ActixError>>,
) -> Result<ServiceResponse<BoxBody>, ActixError> {
    // What a handler holds is dropped with it; what it shares is kept whole by its own locks.
    match AssertUnwindSafe(serving).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            let message = panic_message(&*panic);
            let id = envelope::id_of(&request);
            tracing::error!(request.id = id, "Answering {} panicked: {message}", request.path());
            // What it panicked with is for whoever reads the log.
            let refusal = ApiError::from(Error::Internal("the program met a fault".to_owned()));
            Ok(ServiceResponse::new(request, HttpResponse::from_error(refusal)))
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
