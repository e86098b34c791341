//! The hosts that a file's calls go to: the provider plays all of them.

use std::collections::BTreeSet;

use serde_json::Value;
use url::{Host, Url};

/// With their ports. Names only: what is an address needs no name.
pub(super) fn of(text: &str) -> Vec<(String, u16)> {
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut hosts = BTreeSet::new();
    for line in lines {
        let line: Value = line;
        if line["level"] != "decision" && line["level"] != "redeem" {
            continue;
        }
        let urls = [&line["request"]["url"], &line["prior"]["request"]["url"]];
        let bases = line["policy"]["allowlists"].as_array();
        let bases = bases.into_iter().flatten().map(|entry| &entry["baseUrl"]);
        hosts.extend(urls.into_iter().chain(bases).filter_map(host));
    }
    hosts.into_iter().collect()
}

fn host(url: &Value) -> Option<(String, u16)> {
    let url = Url::parse(url.as_str()?).ok()?;
    match url.host()? {
        Host::Domain(name) if !name.contains('*') => {
            Some((name.to_owned(), url.port_or_known_default()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_name_that_is_called_or_allowed_once() {
        let text = r#"
{"level":"url","request":{"url":"https://not.example/"}}
{"level":"decision","request":{"url":"https://a.example/x"},"policy":{"allowlists":[{"baseUrl":"https://b.example"},{"baseUrl":"https://*.c.example"}]}}
{"level":"redeem","request":{"url":"https://a.example:8443/"},"prior":{"request":{"url":"https://127.0.0.1/"}}}
broken"#;
        let expected = [("a.example", 443), ("a.example", 8443), ("b.example", 443)];
        assert_eq!(
            of(text),
            expected.map(|(name, port)| (name.to_owned(), port))
        );
    }
}
