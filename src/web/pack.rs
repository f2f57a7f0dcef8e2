//! Makes pages and their files smaller on the way to a client that can unpack them.

use actix_http::encoding::Encoder;
use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, ContentEncoding, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};

/// Below this the headers that it takes weigh as much as what is saved, in bytes.
const WORTH_BYTES_MIN: u64 = 1 << 10;
/// What pages are made of. Data is left as it is: it is read by machines, some of it is streamed,
/// and its entity tags are compared strongly.
const PACKED: [&str; 4] = ["text/html", "text/css", "text/javascript", "image/svg+xml"];

/// Packs an answer in the best way that its client takes.
pub fn pack(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    if !is_worth_it(&response) {
        return response;
    }
    let encoding = best(response.request().headers());
    if encoding == ContentEncoding::Identity {
        let vary = HeaderValue::from_static("accept-encoding");
        response.headers_mut().append(header::VARY, vary);
        return response;
    }
    weaken(response.headers_mut());
    response.map_body(|head, body| Encoder::response(encoding, head, body)).map_into_boxed_body()
}

fn is_worth_it(response: &ServiceResponse<BoxBody>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    let is_long = match response.response().body().size() {
        BodySize::Sized(bytes) => bytes >= WORTH_BYTES_MIN,
        BodySize::Stream => true, // What is long is handed over in pieces.
        BodySize::None => false,
    };
    is_long
        && PACKED.contains(&kind)
        && response.request().method() != Method::HEAD
        && response.status() != StatusCode::PARTIAL_CONTENT
}

/// Returns the smallest form that a client takes (RFC 9110, section 12.5.3).
fn best(headers: &HeaderMap) -> ContentEncoding {
    let mut offers = headers
        .get_all(header::ACCEPT_ENCODING)
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter(|offer| !is_refused(offer))
        .map(|offer| offer.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let mut found = ContentEncoding::Identity;
    for offer in &mut offers {
        match offer.as_str() {
            "br" => return ContentEncoding::Brotli,
            "gzip" => found = ContentEncoding::Gzip,
            _ => {} // Others may be smaller still, and are not known here.
        }
    }
    found
}

/// Whether an offer says with its weight that it is none.
fn is_refused(offer: &str) -> bool {
    let weight = offer.split(';').skip(1).find_map(|part| part.trim().strip_prefix("q="));
    weight.is_some_and(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0))
}

/// An entity tag says the same of a file that is packed and of one that is not, so it is weak
/// (RFC 9110, section 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let strong = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let weak = strong.filter(|tag| tag.starts_with('"')).map(|tag| format!("W/{tag}"));
    if let Some(Ok(weak)) = weak.map(HeaderValue::try_from) {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;
    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;

    fn answer(offer: &str, kind: &str, length: usize) -> ServiceResponse<BoxBody> {
        let request = TestRequest::get().insert_header(("accept-encoding", offer));
        let mut response = HttpResponse::Ok();
        response.content_type(kind.to_owned()).insert_header(("etag", "\"a\""));
        let response = response.body("a page ".repeat(length / 7 + 1));
        pack(request.to_srv_response(response))
    }

    fn encoding(response: &ServiceResponse<BoxBody>) -> Option<&str> {
        response.headers().get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok())
    }

    #[test]
    fn the_best_that_a_client_takes_is_chosen() {
        for (offer, wanted) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip", Some("gzip")),
            ("br;q=0, gzip;q=0.5", Some("gzip")),
            ("BR", Some("br")),
            ("gzip;q=0", None),
            ("zstd", None),
            ("", None),
        ] {
            let packed = answer(offer, "text/html; charset=utf-8", 4_000);
            assert_eq!(encoding(&packed), wanted, "{offer}");
            let vary = packed.headers().get(header::VARY).expect("what it depends on");
            assert_eq!(vary, "accept-encoding", "{offer}");
            let tag = if wanted.is_some() { "W/\"a\"" } else { "\"a\"" };
            assert_eq!(packed.headers().get(header::ETAG).expect("the tag"), tag, "{offer}");
        }
    }

    #[test]
    fn data_and_short_answers_are_left_as_they_are() {
        for (kind, length) in
            [("application/json", 4_000), ("text/event-stream", 4_000), ("text/html", 100)]
        {
            assert_eq!(encoding(&answer("br, gzip", kind, length)), None, "{kind}");
        }
    }

    #[actix_web::test]
    async fn a_packed_page_is_a_tenth_of_what_it_was() {
        for offer in ["br", "gzip"] {
            let packed = answer(offer, "text/html", 40_000).into_body();
            let bytes = to_bytes(packed).await.expect("the body");
            assert!(!bytes.is_empty() && bytes.len() < 4_000, "{offer}: {}", bytes.len());
        }
    }
}
