//! The name of a request: the front door's if it gave a sane one, else ours. It is in every log
//! line of the request and in the answer, so that whoever reports a fault can say which.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

const NAME: HeaderName = HeaderName::from_static("x-request-id");
const MAX: usize = 64;

pub async fn name(request: Request, next: Next) -> Response {
    let given = request.headers().get(NAME).and_then(sane);
    let id = given.unwrap_or_else(made);
    let value = HeaderValue::from_str(&id);
    let span = tracing::info_span!("request", %id);
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = value {
        response.headers_mut().insert(NAME, value);
    }
    response
}

/// It goes into the log as it is: no line break, no quote, no length of the sender's choice.
fn sane(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let fits = (1..=MAX).contains(&text.len());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (fits && text.bytes().all(plain)).then(|| text.to_owned())
}

fn made() -> String {
    let bytes = ah5_security::random::bytes::<16>();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_short_name_is_taken_over() {
        let sane = |text: &str| sane(&HeaderValue::from_bytes(text.as_bytes()).unwrap());
        for good in ["a", "7f3c-9.b_C", &"x".repeat(64)] {
            assert_eq!(sane(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "a b",
            "a\tb",
            "a\"b",
            "a=b",
            "é",
            "a;b",
            &"x".repeat(65),
        ] {
            assert_eq!(sane(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_made_name_is_sane_and_new() {
        let (one, two) = (made(), made());
        assert_ne!(one, two);
        assert_eq!(sane(&HeaderValue::from_str(&one).unwrap()), Some(one));
    }
}
