//! The canonical URL: a fixed point, and read alike by four independent parsers.

use ah5_policy::CanonicalUrl;
use fluent_uri::Uri;

/// A URL; or a base, a line break, and what is joined to it (`path?query`).
pub fn url(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (first, below) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(url) = CanonicalUrl::parse(first) else {
        return;
    };
    check(&url);
    let (path, query) = match below.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (below, None),
    };
    if let Ok(joined) = CanonicalUrl::join(&url, path, query) {
        assert!(joined.is_below(&url), "{joined} is not below {url}");
        check(&joined);
    }
    let mut merged = url;
    if merged.merge([(path, query.unwrap_or_default())]).is_ok() {
        let set = |(name, value): &(_, _)| name == path && value == query.unwrap_or_default();
        // A parameter without name and value leaves nothing behind but an equals sign.
        assert_eq!(merged.query_pairs().filter(set).count(), 1, "{merged}");
        check(&merged);
    }
}

fn check(url: &CanonicalUrl) {
    let text = url.to_string();
    let again = CanonicalUrl::parse(&text);
    assert_eq!(again.as_ref(), Ok(url), "not a fixed point");
    assert!(url.path_and_query().is_ascii() && url.path().starts_with('/'));
    let segments = url.path().split('/').skip(1);
    assert!(
        !segments
            .clone()
            .any(|segment| matches!(segment, "." | "..")),
        "{text}"
    );
    assert!(!url.path().contains("//"), "{text}");
    strictly(url, &text);
    as_hyper_does(url, &text);
    as_browsers_do(url, &text);
}

/// By the grammar of RFC 3986, and already in its normal form.
fn strictly(url: &CanonicalUrl, text: &str) {
    let read = Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let authority = read.authority().expect("an authority");
    assert_eq!(read.scheme().as_str(), url.scheme());
    assert!(!authority.has_userinfo() && !read.has_fragment());
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    assert_eq!(host, url.host());
    let default = if url.is_https() { 443 } else { 80 };
    let port = authority.port_to_u16().expect("a port of 16 bits");
    assert_eq!(port.unwrap_or(default), url.port());
    assert_ne!(port, Some(default), "{text}");
    assert_eq!(read.path().as_str(), url.path());
    assert_eq!(read.query().map(|query| query.as_str()), url.query());
    assert_eq!(read.normalize().as_str(), text);
}

/// What goes on the wire is what hyper takes it for.
fn as_hyper_does(url: &CanonicalUrl, text: &str) {
    let read: http::Uri = text
        .parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(read.scheme_str(), Some(url.scheme()));
    assert_eq!(read.authority().map(|a| a.as_str()), Some(url.authority()));
    let sent = read.path_and_query().expect("a path");
    assert_eq!(sent.as_str(), url.path_and_query());
    assert_eq!((sent.path(), sent.query()), (url.path(), url.query()));
}

/// The WHATWG's reading resolves and encodes by rules of its own, and finds nothing to change.
fn as_browsers_do(url: &CanonicalUrl, text: &str) {
    let read = ::url::Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let host = read
        .host_str()
        .map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    assert_eq!(host, Some(url.host()));
    assert_eq!(read.port_or_known_default(), Some(url.port()));
    assert_eq!(read.path(), url.path());
    // They write an apostrophe encoded; the pairs are what it means.
    let theirs = read
        .query_pairs()
        .filter(|(name, value)| !(name.is_empty() && value.is_empty()));
    let ours = url
        .query_pairs()
        .filter(|(name, value)| !(name.is_empty() && value.is_empty()));
    assert!(theirs.eq(ours), "{text}");
}
