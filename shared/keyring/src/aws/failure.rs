//! What an answer other than 200 means: whether to wait, and what may be said of it.

use http::StatusCode;
use serde::Deserialize;

use crate::kms::KmsError;
use crate::way::one_line;

#[derive(Default, Deserialize)]
struct Failure {
    #[serde(default, rename = "__type")]
    code: String,
    #[serde(default, alias = "Message")]
    message: String,
}

pub fn of(status: StatusCode, body: &[u8]) -> KmsError {
    let failure: Failure = serde_json::from_slice(body).unwrap_or_default();
    // Some have a namespace and a `#` before them.
    let code = failure.code.rsplit('#').next().unwrap_or_default();
    // After the first line a signature's mismatch is told with all that was signed, the session's
    // token included.
    let message = failure.message.lines().next().unwrap_or_default();
    let why = match code {
        "" => status.to_string(),
        code => one_line(&format!("{status}: {code}: {message}")),
    };
    let passing = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || PASSING.contains(&code);
    match passing {
        true => KmsError::Unavailable(why),
        false => KmsError::Refused(why),
    }
}

/// With status 400, and over in a moment.
const PASSING: &[&str] = &[
    "DependencyTimeoutException",
    "KMSInternalException",
    "KeyUnavailableException",
    "RequestLimitExceeded",
    "RequestThrottledException",
    "ServiceUnavailableException",
    "Throttling",
    "ThrottlingException",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of_code(status: u16, code: &str) -> KmsError {
        let body = format!(r#"{{"__type":"{code}","message":"so it is"}}"#);
        of(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn what_passes_is_waited_for() {
        for (status, code) in [
            (400, "ThrottlingException"),
            (400, "com.amazonaws.kms#ThrottlingException"),
            (400, "KeyUnavailableException"),
            (429, ""),
            (500, "KMSInternalException"),
            (503, "DependencyTimeoutException"),
        ] {
            let error = of_code(status, code);
            assert!(matches!(error, KmsError::Unavailable(_)), "{error}");
        }
    }

    #[test]
    fn what_wont_do_is_said_at_once() {
        for code in [
            "AccessDeniedException",
            "NotFoundException",
            "DisabledException",
            "InvalidCiphertextException",
            "IncorrectKeyException",
            "KMSInvalidStateException",
            "com.amazon.coral.service#ExpiredTokenException",
        ] {
            let error = of_code(400, code);
            let short = code.rsplit('#').next().unwrap();
            let said = error.to_string();
            assert!(said.ends_with(&format!(": {short}: so it is")), "{said}");
            assert!(matches!(error, KmsError::Refused(_)));
        }
        let nothing = of(StatusCode::FOUND, b"<html>");
        assert!(matches!(nothing, KmsError::Refused(_)));
    }

    #[test]
    fn a_mismatch_is_told_without_what_was_signed() {
        let body = br#"{"__type":"InvalidSignatureException","message":"It does not match.\n\nThe
            Canonical String should have been\nx-amz-security-token:planted"}"#;
        let body = String::from_utf8_lossy(body).replace("\n            ", " ");
        let error = of(StatusCode::BAD_REQUEST, body.as_bytes()).to_string();
        assert!(error.ends_with("does not match."), "{error}");
    }
}
