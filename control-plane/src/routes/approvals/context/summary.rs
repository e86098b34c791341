//! What is made, changed or shared, in a few words.

use ah5_policy::body::Json;

use super::{Read, text};

pub fn of(method: &str, read: &Read<'_>) -> Option<String> {
    if method == "GET" {
        return None;
    }
    let shares = read.path.ends_with("/permissions") || read.path.ends_with("/invite");
    if shares && let Some(shared) = shared(read) {
        return Some(shared);
    }
    if let Some(model) = model(read) {
        return Some(format!("Model: {model}"));
    }
    let title = TITLES.iter().filter(|(host, _)| is_at(read.host, host));
    title
        .flat_map(|(_, places)| places.iter())
        .find_map(|place| read.text(place))
        .or_else(|| notion(read))
}

fn shared(read: &Read<'_>) -> Option<String> {
    let role = read.text(&["role"]).unwrap_or_default();
    let with = read
        .text(&["emailAddress"])
        .or_else(|| read.text(&["domain"]));
    let with = with
        .or_else(|| recipients(read))
        .or_else(|| read.text(&["type"]))?;
    Some(format!("Share with {with} ({role})"))
}

/// Microsoft's have many.
fn recipients(read: &Read<'_>) -> Option<String> {
    let Json::List(recipients) = read.at(&["recipients"])? else {
        return None;
    };
    let emails = recipients.iter().filter_map(|one| one.member("email"));
    let emails: Vec<String> = emails.filter_map(text).collect();
    (!emails.is_empty()).then(|| emails.join(", "))
}

/// Gemini's is in the path.
fn model(read: &Read<'_>) -> Option<String> {
    let below = read.path.split_once("/models/").map(|(_, rest)| rest);
    let named = below.and_then(|rest| rest.split_once(':'));
    if let Some((model, _)) = named {
        return Some(model.to_owned());
    }
    let talks = ["messages", "input", "contents", "prompt"];
    let talks = talks.iter().any(|name| read.at(&[name]).is_some());
    read.text(&["model"]).filter(|_| talks)
}

fn notion(read: &Read<'_>) -> Option<String> {
    let Json::Object(properties) = read.at(&["properties"])? else {
        return None;
    };
    let mut titles = properties.iter().filter_map(|(_, it)| it.member("title"));
    match titles.next()? {
        Json::List(parts) => parts
            .first()?
            .member("text")?
            .member("content")
            .and_then(text),
        _ => None,
    }
}

fn is_at(host: &str, wanted: &str) -> bool {
    host == wanted
        || host
            .strip_suffix(wanted)
            .is_some_and(|rest| rest.ends_with('.'))
}

/// Where a title stands in requests to these hosts and those below them.
const TITLES: [(&str, &[&[&str]]); 4] = [
    (
        "googleapis.com",
        &[&["summary"], &["name"], &["title"], &["names"]],
    ),
    (
        "graph.microsoft.com",
        &[&["subject"], &["displayName"], &["name"]],
    ),
    ("atlassian.net", &[&["fields", "summary"]]),
    ("api.trello.com", &[&["name"]]),
];
