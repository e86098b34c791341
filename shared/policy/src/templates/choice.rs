//! Which template a connection gets when its owner names only the service, or nothing.

use std::cmp::Reverse;

use super::Template;

// === impl Template ===

impl Template {
    /// The one of this service that uses the most of what the connection was granted, and nothing
    /// else; where scopes say nothing, the one that only reads unless writing was granted.
    #[must_use]
    pub fn for_grants(service: &str, granted: &[String]) -> Option<&'static Self> {
        if Self::of_service(service).all(|template| template.scopes.is_empty()) {
            return Self::for_service(service, granted);
        }
        let usable = Self::of_service(service).filter(|template| template.is_granted(granted));
        // The first of equals.
        usable.min_by_key(|template| Reverse(template.scopes.len()))
    }

    /// The one that only reads, unless a scope plainly means writing.
    #[must_use]
    pub fn for_service(service: &str, granted: &[String]) -> Option<&'static Self> {
        let writes = granted.iter().any(|scope| WRITING.contains(&&**scope));
        let managing = Self::of_service(service).find(|template| template.id.ends_with("-manage"));
        managing
            .filter(|_| writes)
            .or_else(|| Self::of_service(service).next())
    }

    fn is_granted(&self, granted: &[String]) -> bool {
        let has = |scope: &String| granted.iter().any(|given| same(given, scope));
        self.scopes.iter().all(has)
    }
}

/// Microsoft writes its scopes with and without their resource, in any case.
fn same(given: &str, scope: &str) -> bool {
    let given = given.strip_prefix(GRAPH).unwrap_or(given);
    given.eq_ignore_ascii_case(scope)
}

const GRAPH: &str = "https://graph.microsoft.com/";
const WRITING: [&str; 2] = ["write", "smtp"];

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(service: &str, granted: &[&str]) -> Option<&'static str> {
        let granted: Vec<String> = granted.iter().map(|scope| (*scope).to_owned()).collect();
        Template::for_grants(service, &granted).map(|template| &*template.id)
    }

    #[test]
    fn the_grants_choose_no_more_than_they_allow() {
        let gmail = |key: &str| format!("https://www.googleapis.com/auth/gmail.{key}");
        let (read, modify, compose) = (&*gmail("readonly"), &*gmail("modify"), &*gmail("compose"));
        for (service, granted, expected) in [
            ("google-gmail", &[read][..], Some("gmail-read")),
            ("google-gmail", &[read, modify], Some("gmail-read")),
            (
                "google-gmail",
                &[read, modify, compose],
                Some("gmail-manage"),
            ),
            ("google-gmail", &[], None),
            (
                "microsoft-onedrive",
                &["files.read", "https://graph.microsoft.com/User.Read"],
                Some("onedrive-read"),
            ),
            ("notion", &["read"], Some("notion-read")),
            ("notion", &["read", "write"], Some("notion-manage")),
            ("email-imap", &["imap", "smtp"], Some("email-manage")),
            ("slack", &[], Some("slack")),
            ("nobody", &["write"], None),
        ] {
            assert_eq!(chosen(service, granted), expected, "{service} {granted:?}");
        }
    }

    #[test]
    fn without_a_word_on_scopes_a_connection_only_reads() {
        let chosen = |granted: &[String]| {
            Template::for_service("google-gmail", granted).map(|template| &*template.id)
        };
        assert_eq!(chosen(&[]), Some("gmail-read"));
        assert_eq!(chosen(&["write".to_owned()]), Some("gmail-manage"));
    }
}
