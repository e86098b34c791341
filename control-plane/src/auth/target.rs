//! Where a browser may be sent on: a page of this installation and nowhere else. Whoever writes a
//! link chooses the text.

use ah5_edge::Origin;
use url::Url;

use crate::input::Input;
use crate::routes::session::refusal::{AuthResult, Refusal};

/// A path of ours, with query and fragment, as it stands in `Location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

// === impl Target ===

impl Target {
    /// For paths that are written in the code.
    pub fn fixed(path: &'static str) -> Self {
        Self(path.to_owned())
    }

    /// A relative path, or a URL of our own origin.
    pub fn parse(text: &str, ours: &Origin) -> Option<Self> {
        // What browsers read in another way than the parser: whitespace is dropped, `\` is `/`.
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if text.len() > MAX || text.contains(odd) {
            return None;
        }
        let base = Url::parse(&ours.text).ok()?;
        let url = if text.starts_with('/') {
            base.join(text).ok()?
        } else {
            Url::parse(text).ok()?
        };
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || !ours.is_ours(&url.origin().ascii_serialization()) {
            return None;
        }
        let path = &url[url::Position::BeforePath..];
        // `/..//host` comes out as `//host`, which a browser takes for another origin.
        (!path.starts_with("//")).then(|| Self(path.to_owned()))
    }

    /// The target that a field of the body names.
    pub fn field(input: &Input, name: &'static str, ours: &Origin) -> AuthResult<Option<Self>> {
        let text = input.optional_text(name).map_err(Refusal::field)?;
        text.map(|text| Self::parse(&text, ours).ok_or(Refusal::bad_target(name)))
            .transpose()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it only shows something. Whoever follows a redirect of ours comes as one of our own pages
    /// does, so nothing that acts may be at its end.
    pub fn is_page(&self) -> bool {
        let path = self.0.split(['?', '#']).next().unwrap_or_default();
        let mut steps = path.split('/').skip(1);
        let is_dashboard = steps.next() == Some("dashboard");
        is_dashboard || ["/", "/login", "/v1/connections/parked"].contains(&path)
    }

    /// The target with one more parameter.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let (rest, fragment) = match self.0.split_once('#') {
            Some((rest, fragment)) => (rest, format!("#{fragment}")),
            None => (&*self.0, String::new()),
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.append_pair(name, value).finish();
        let joint = if rest.contains('?') { '&' } else { '?' };
        Self(format!("{rest}{joint}{query}{fragment}"))
    }
}

const MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_no_page() {
        let ours = Origin::parse("http://localhost:8080").unwrap();
        let is_page = |text| Target::parse(text, &ours).unwrap().is_page();
        for page in [
            "/",
            "/?a",
            "/login#x",
            "/dashboard",
            "/dashboard/x?y",
            "/v1/connections/parked",
        ] {
            assert!(is_page(page), "{page}");
        }
        for other in [
            "/v1/oauth/google/start?service=google-gmail",
            "/dashboard/../v1/oauth/google/start",
            "/dashboards",
            "/api/auth/sign-out",
            "/v1/connections/parked/x",
        ] {
            assert!(!is_page(other), "{other}");
        }
    }

    #[test]
    fn only_pages_of_ours_are_targets() {
        let ours = Origin::parse("http://localhost:8080").unwrap();
        for (given, kept) in [
            ("/", "/"),
            ("/a?b=c#d", "/a?b=c#d"),
            ("http://localhost:8080/x", "/x"),
            ("http://127.0.0.1:8080/x?y", "/x?y"),
            ("/a/../b", "/b"),
        ] {
            assert_eq!(Target::parse(given, &ours).unwrap().as_str(), kept);
        }
        for given in [
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/..//evil.example",
            "/%2e%2e//evil.example",
            "https://evil.example",
            "http://localhost:8080@evil.example/",
            "http://evil@localhost:8080/",
            "http://localhost:8081/",
            "http:evil.example",
            "javascript:alert(1)",
            "agenthifive://x",
            "x",
            "",
        ] {
            assert_eq!(Target::parse(given, &ours), None, "{given}");
        }
    }

    #[test]
    fn a_parameter_goes_before_the_fragment() {
        let with = |text| Target::fixed(text).with("error", "a b").as_str().to_owned();
        assert_eq!(with("/login"), "/login?error=a+b");
        assert_eq!(with("/login?x=1#y"), "/login?x=1&error=a+b#y");
    }
}
