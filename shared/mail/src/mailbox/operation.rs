//! From a method, a path, parameters and a body to what is to be done. Everything in them is the
//! agent's word; what comes out of here holds nothing that could be taken for a command.

use ah5_contracts::policy::Method;
use jiff::civil::Date;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::search::Term;
use super::{letter, search};
use crate::imap::command::Atom;
use crate::imap::folder::Folder;

pub struct Request<'a> {
    pub method: Method,
    /// Canonical: every byte encoded in one way.
    pub path: &'a str,
    /// Decoded, in order.
    pub query: Vec<(String, String)>,
    pub body: &'a [u8],
    /// A file as it is, not in JSON.
    pub download: bool,
}

#[derive(Debug)]
pub enum Operation {
    Attachment(Wanted),
    CreateFolder(Folder),
    DeleteFolder(Folder),
    DeleteMessage(Which),
    Flags(Which, Change),
    Folders,
    Forward(Which, letter::Forward),
    Message(Which),
    Messages(Page),
    Reply(Which, letter::Reply),
    Send(Box<letter::Draft>),
    Transfer(Which, Folder, Kind),
}

/// One letter.
#[derive(Debug)]
pub struct Which {
    pub uid: u32,
    pub folder: Folder,
}

#[derive(Debug)]
pub struct Wanted {
    pub letter: Which,
    /// From one.
    pub number: usize,
    pub download: bool,
}

#[derive(Debug)]
pub struct Page {
    pub folder: Folder,
    pub limit: usize,
    pub offset: usize,
    pub terms: Vec<Term>,
    pub since: Option<Date>,
    pub before: Option<Date>,
}

#[derive(Debug)]
pub struct Change {
    pub add: Vec<Atom>,
    pub remove: Vec<Atom>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Copy,
    Move,
}

// === impl Operation ===

impl Operation {
    /// # Errors
    /// The answer to what cannot be done: 400 or 404.
    pub fn parse(request: &Request<'_>) -> Result<Self, Answer> {
        let segments = segments(request)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (request.method, segments.as_slice()) {
            (Method::Get, ["folders"]) => Ok(Self::Folders),
            (Method::Post, ["folders"]) => create_folder(request),
            (Method::Delete, ["folders", name @ ..]) if !name.is_empty() => {
                Ok(Self::DeleteFolder(folder(&name.join("/"))?))
            }
            (Method::Get, ["messages"]) => page(request).map(Self::Messages),
            (Method::Post, ["messages", "send"]) => body(request.body)
                .and_then(letter::Draft::check)
                .map(|draft| Self::Send(Box::new(draft))),
            (method, ["messages", uid, rest @ ..]) if is_number(uid) => {
                let which = Which {
                    uid: uid.parse().map_err(|_| unknown(request))?,
                    folder: folder_of(request)?,
                };
                on_letter(method, which, rest, request)
            }
            _ => Err(unknown(request)),
        }
    }
}

fn on_letter(
    method: Method,
    which: Which,
    rest: &[&str],
    request: &Request<'_>,
) -> Result<Operation, Answer> {
    match (method, rest) {
        (Method::Get, []) => Ok(Operation::Message(which)),
        (Method::Delete, []) => Ok(Operation::DeleteMessage(which)),
        (Method::Get, ["attachments", number]) if is_number(number) => {
            Ok(Operation::Attachment(Wanted {
                letter: which,
                number: number.parse().map_err(|_| unknown(request))?,
                download: request.download,
            }))
        }
        (Method::Post, ["reply"]) => {
            let asked = body(request.body).and_then(letter::Reply::check)?;
            Ok(Operation::Reply(which, asked))
        }
        (Method::Post, ["forward"]) => {
            let asked = body(request.body).and_then(letter::Forward::check)?;
            Ok(Operation::Forward(which, asked))
        }
        (Method::Post, ["move"]) => transfer(which, request, Kind::Move),
        (Method::Post, ["copy"]) => transfer(which, request, Kind::Copy),
        (Method::Patch, ["flags"]) => change(which, request),
        _ => Err(unknown(request)),
    }
}

fn create_folder(request: &Request<'_>) -> Result<Operation, Answer> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        name: String,
    }
    let Body { name } = body(request.body)?;
    if name.trim().is_empty() {
        return Err(Answer::bad("Folder name is required"));
    }
    Ok(Operation::CreateFolder(folder(&name)?))
}

fn transfer(which: Which, request: &Request<'_>, kind: Kind) -> Result<Operation, Answer> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        destination: String,
    }
    let Body { destination } = body(request.body)?;
    if destination.trim().is_empty() {
        return Err(Answer::bad("Destination folder is required"));
    }
    Ok(Operation::Transfer(which, folder(&destination)?, kind))
}

fn change(which: Which, request: &Request<'_>) -> Result<Operation, Answer> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        add: Vec<String>,
        #[serde(default)]
        remove: Vec<String>,
    }
    let Body { add, remove } = body(request.body)?;
    if add.len() + remove.len() > MAX_FLAGS {
        return Err(Answer::bad("too many flags"));
    }
    if add.is_empty() && remove.is_empty() {
        return Err(Answer::bad("add or remove must name a flag"));
    }
    let change = Change {
        add: atoms(&add)?,
        remove: atoms(&remove)?,
    };
    Ok(Operation::Flags(which, change))
}

fn atoms(flags: &[String]) -> Result<Vec<Atom>, Answer> {
    let atoms = flags.iter().map(|flag| Atom::flag(flag));
    let atoms: Option<Vec<Atom>> = atoms.collect();
    atoms.ok_or_else(|| Answer::bad(NO_FLAG))
}

fn page(request: &Request<'_>) -> Result<Page, Answer> {
    let limit = number(request, "limit")?.unwrap_or(20);
    if limit == 0 {
        return Err(Answer::bad("limit must be 1 or more"));
    }
    Ok(Page {
        folder: folder_of(request)?,
        // The answer says how many it is about.
        limit: limit.min(MAX_LIMIT),
        offset: number(request, "offset")?.unwrap_or(0),
        terms: search::parse(parameter(request, "q")?.unwrap_or_default())
            .map_err(|why| Answer::bad(&format!("q {why}")))?,
        since: date(request, "since")?,
        before: date(request, "before")?,
    })
}

fn folder_of(request: &Request<'_>) -> Result<Folder, Answer> {
    let named = parameter(request, "folder")?.filter(|name| !name.is_empty());
    named.map_or_else(|| Ok(Folder::inbox()), folder)
}

fn folder(name: &str) -> Result<Folder, Answer> {
    Folder::parse(name).ok_or_else(|| Answer::bad("not the name of a folder"))
}

/// At most one: rules and we must see the same.
fn parameter<'a>(request: &'a Request<'_>, name: &str) -> Result<Option<&'a str>, Answer> {
    let mut values = request.query.iter().filter(|(key, _)| key == name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|(_, value)| value.as_str())),
        _ => Err(Answer::bad(&format!("{name} is given twice"))),
    }
}

fn number(request: &Request<'_>, name: &str) -> Result<Option<usize>, Answer> {
    let text = parameter(request, name)?.filter(|text| !text.is_empty());
    let number = text.map(|text| text.parse::<u32>());
    let number = number.transpose();
    let number = number.map_err(|_| Answer::bad(&format!("{name} must be a whole number")))?;
    Ok(number.map(|number| number as usize))
}

/// `2026-11-30`, or a time of that day.
fn date(request: &Request<'_>, name: &str) -> Result<Option<Date>, Answer> {
    let text = parameter(request, name)?.filter(|text| !text.is_empty());
    let day = text.map(|text| text.split(['T', ' ']).next().unwrap_or_default().parse());
    let day = day.transpose();
    day.map_err(|_| Answer::bad(&format!("{name} must be a date, as 2026-11-30")))
}

/// None given is an object without members.
fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Answer> {
    let text = match bytes {
        [] => b"{}",
        bytes => bytes,
    };
    if !text.trim_ascii_start().starts_with(b"{") {
        return Err(Answer::bad("body must be a JSON object"));
    }
    serde_json::from_slice(text).map_err(|error| Answer::bad(&format!("body: {error}")))
}

/// As they were meant, of a path that is in canonical form.
fn segments(request: &Request<'_>) -> Result<Vec<String>, Answer> {
    let path = request.path.strip_prefix('/').unwrap_or(request.path);
    let decoded = path.split('/').map(|segment| decoded(segment.as_bytes()));
    let segments: Option<Vec<String>> = decoded.collect();
    segments.ok_or_else(|| unknown(request))
}

fn decoded(segment: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(segment.len());
    let mut rest = segment.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(*rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(out).ok()
}

/// In the one spelling that it has.
fn is_number(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    plain && !text.starts_with('0') && (1..=10).contains(&text.len())
}

fn unknown(request: &Request<'_>) -> Answer {
    let (method, path) = (request.method.as_str(), request.path);
    Answer::error(404, &format!("Unknown email endpoint: {method} {path}"))
}

const NO_FLAG: &str =
    "flags that can be set are \\Answered, \\Draft, \\Flagged, \\Seen, and keywords";
const MAX_LIMIT: usize = 100;
const MAX_FLAGS: usize = 50;

#[cfg(test)]
mod tests;
