//! Deadline of request bodies. A body is read before it is known whose it is: without a deadline a slow one keeps its connection for nothing.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::{PayloadError, UrlencodedError};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web};
use futures_util::{Stream, stream};

use super::failure::Failure;

/// How long a body may take to arrive: the longest has 64 KiB.
pub const BODY_LIMIT: Duration = Duration::from_secs(15);

/// Middleware of every surface. A request that becomes a WebSocket has no body.
///
/// # Errors
/// What the handler ends with.
pub async fn end_slow_bodies<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    if !request.head().upgrade() {
        match request.take_payload() {
            Payload::None => {}
            payload => request.set_payload(Payload::Stream { payload: Box::pin(with_deadline(payload)) }),
        }
    }
    next.call(request).await
}

fn with_deadline(mut payload: Payload) -> impl Stream<Item = Result<web::Bytes, PayloadError>> {
    let mut deadline = Box::pin(tokio::time::sleep(BODY_LIMIT));
    stream::poll_fn(move |context| match deadline.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(Some(Err(PayloadError::Incomplete(None)))),
        Poll::Pending => Pin::new(&mut payload).poll_next(context),
    })
}

/// Whether a body did not arrive as a whole: the connection broke off, or was too slow.
pub fn is_incomplete(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Incomplete(_))
}

/// A form that cannot be read.
pub fn unreadable_form(error: &UrlencodedError) -> Failure {
    match error {
        UrlencodedError::Payload(error) if is_incomplete(error) => Failure::new(
            StatusCode::REQUEST_TIMEOUT,
            "The form did not arrive",
            "Your connection was too slow or broke off. Nothing was done. Go back and send the form again.",
        ),
        _ => Failure::new(
            StatusCode::BAD_REQUEST,
            "The form cannot be read",
            "The form was not complete. Go back, reload the page and try again.",
        ),
    }
}
