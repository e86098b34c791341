//! Cases that are answered otherwise on purpose. They count as failed; what is listed here is only
//! shown apart. `docs/policies.md` has the same list.

/// Why the case's right answer is not ours.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    let mut listed = ON_PURPOSE.iter();
    listed
        .find(|(listed, _)| *listed == name)
        .map(|(_, why)| *why)
}

pub(crate) const ON_PURPOSE: [(&str, &str); 7] = [
    (
        "rules: unknown operator never matches",
        "an unknown operator does not compile",
    ),
    (
        "response: allowFields wins when both are present in stored data",
        "both together do not compile",
    ),
    (
        "response: invalid stored response pattern applies to every path",
        "it does not compile, so the call is denied",
    ),
    (
        "response: unknown redact type does nothing",
        "an unknown kind does not compile",
    ),
    (
        "allowlist: doubled slash is a different path",
        "repeated slashes are one, in what is judged and sent",
    ),
    (
        "decision: one-mebibyte request cap in front of everything",
        "a call may carry 10 MiB, or what its policy says",
    ),
    (
        "redeem: header name case is significant",
        "names of headers have no case, and what is not forwarded is not approved either",
    ),
];
