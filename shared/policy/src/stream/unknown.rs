//! Event streams of a shape we do not know, whole. Each event is filtered on its own; where strings
//! on one path say something only when joined, they are filtered as one text.

use std::collections::BTreeMap;

use super::event::Event;
use super::events::{plain_data, render};
use super::leaves::{Step, leaves};
use super::stage::Stages;
use crate::response::{Given, ResponseFilter, Unfilterable, quote};

/// A string of an event: which event, where its token starts, what it says.
struct Piece {
    at: usize,
    event: usize,
    text: String,
}

pub(super) fn filter(
    rules: &ResponseFilter,
    events: &[Event],
    out: &mut Vec<u8>,
) -> Result<(), Unfilterable> {
    let data: Vec<Option<Vec<u8>>> = events.iter().map(|event| kept(rules, event)).collect();
    let mut given: Vec<Vec<Given>> = events.iter().map(|_| Vec::new()).collect();
    for pieces in by_path(&data)?.into_values() {
        if says_more_joined(rules, &pieces) {
            join(rules, &pieces, &mut given)?;
        }
    }
    for ((event, data), given) in events.iter().zip(&data).zip(&mut given) {
        given.sort_by_key(|given| given.at);
        match (data, event.data()) {
            (Some(data), _) => {
                let filtered = rules
                    .json(data, Some(given))
                    .map_err(|_| Unfilterable::Malformed)?;
                render(rules, event, filtered.as_deref().unwrap_or(data), out);
            }
            (None, Some(data)) => render(rules, event, &plain_data(rules, &data)?, out),
            (None, None) => render(rules, event, b"", out),
        }
    }
    Ok(())
}

/// A stream of Gemini's that comes as one list: the client joins the texts of its items.
pub(crate) fn join_items(rules: &ResponseFilter, body: &[u8]) -> Result<Vec<Given>, Unfilterable> {
    let mut texts: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
    for leaf in leaves(body).map_err(|_| Unfilterable::Malformed)? {
        let is_text = leaf.path.last() == Some(&Step::Member("text".into()));
        if let Some((Step::Item(_), path)) = leaf.path.split_first().filter(|_| is_text) {
            texts.entry(spelled(path)).or_default().push(Piece {
                at: leaf.at,
                event: 0,
                text: leaf.text.into_owned(),
            });
        }
    }
    let mut given = vec![Vec::new()];
    for pieces in texts
        .into_values()
        .filter(|pieces| says_more_joined(rules, pieces))
    {
        join(rules, &pieces, &mut given)?;
    }
    let mut given = given.swap_remove(0);
    given.sort_by_key(|given| given.at);
    Ok(given)
}

/// An event's JSON, less dropped members; `None` if it has none.
fn kept(rules: &ResponseFilter, event: &Event) -> Option<Vec<u8>> {
    let data = event.data()?;
    let kept = rules.fields(&data).ok()?;
    Some(kept.unwrap_or(data))
}

fn by_path(data: &[Option<Vec<u8>>]) -> Result<BTreeMap<String, Vec<Piece>>, Unfilterable> {
    let mut paths: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
    let mut count = 0;
    for (event, data) in data.iter().enumerate() {
        let Some(data) = data else { continue };
        if count > MOST_PIECES {
            return Err(Unfilterable::TooLarge);
        }
        for leaf in leaves(data).map_err(|_| Unfilterable::Malformed)? {
            count += 1;
            paths.entry(spelled(&leaf.path)).or_default().push(Piece {
                at: leaf.at,
                event,
                text: leaf.text.into_owned(),
            });
        }
    }
    Ok(paths)
}

fn spelled(path: &[Step<'_>]) -> String {
    path.iter()
        .map(|step| match step {
            Step::Item(i) => format!("[{i}]"),
            Step::Member(name) => format!(".{name}"),
        })
        .collect()
}

/// Whether something is found in the joined text that no piece shows.
fn says_more_joined(rules: &ResponseFilter, pieces: &[Piece]) -> bool {
    let joined: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
    rules.redactors().any(|redactor| {
        let mut seen = vec![false; joined.len()];
        let mut start = 0;
        for piece in pieces {
            for found in redactor.recognisers().find(&piece.text, None) {
                seen[start + found.start..start + found.end].fill(true);
            }
            start += piece.text.len();
        }
        let found = redactor.recognisers().find(&joined, None);
        found
            .iter()
            .any(|found| seen[found.start..found.end].contains(&false))
    })
}

fn join(
    rules: &ResponseFilter,
    pieces: &[Piece],
    given: &mut [Vec<Given>],
) -> Result<(), Unfilterable> {
    let mut stages = Stages::default();
    for (i, piece) in pieces.iter().enumerate() {
        let is_end = i + 1 == pieces.len();
        let text = stages.push(rules, &piece.text, is_end, usize::MAX)?;
        given[piece.event].push(Given {
            at: piece.at,
            token: quote(&text),
        });
    }
    Ok(())
}

const MOST_PIECES: usize = 200_000;
