//! Paths to scan: `messages[*].content`, `[*].t`, `a[*][*]`. Every text and number at or below the
//! end of a path is a leaf: providers take a text, a list of texts or a list of blocks.

use crate::body::{Json, json_text};

#[derive(Clone, Debug)]
pub(super) struct Field {
    steps: Box<[Step]>,
}

#[derive(Clone, Debug)]
enum Step {
    Each,
    Member(Box<str>),
}

type Visit<'v> = dyn FnMut(&str, &Json<'_>) + 'v;
type Change<'v> = dyn FnMut(&str, &mut Json<'_>) + 'v;

// === impl Field ===

impl Field {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_PATH {
            return None;
        }
        let mut steps = Vec::new();
        for part in text.split('.') {
            let name = part.trim_end_matches("[*]");
            if !name.is_empty() || name.len() == part.len() {
                steps.push(Step::Member(name.into()));
            }
            let each = (part.len() - name.len()) / "[*]".len();
            steps.extend(std::iter::repeat_n(Step::Each, each));
        }
        Some(Self {
            steps: steps.into(),
        })
    }

    pub(super) fn visit(&self, root: &Json<'_>, visit: &mut Visit<'_>) {
        walk(&self.steps, root, &mut String::new(), visit);
    }

    pub(super) fn change(&self, root: &mut Json<'_>, change: &mut Change<'_>) {
        walk_mut(&self.steps, root, &mut String::new(), change);
    }
}

/// Every text and number of a body with its member's name, and every name.
pub(super) fn every(value: &Json<'_>, visit: &mut dyn FnMut(Option<&str>, &Json<'_>)) {
    named(None, value, visit);
}

fn named(name: Option<&str>, value: &Json<'_>, visit: &mut dyn FnMut(Option<&str>, &Json<'_>)) {
    match value {
        Json::List(items) => items.iter().for_each(|item| named(name, item, visit)),
        Json::Object(members) => {
            for (name, value) in members {
                visit(None, &json_text(name));
                named(Some(name), value, visit);
            }
        }
        leaf => visit(name, leaf),
    }
}

pub(super) fn change_every(root: &mut Json<'_>, change: &mut Change<'_>) {
    leaves_mut(root, &mut String::new(), change);
}

pub(super) fn any_name(value: &Json<'_>, test: &mut dyn FnMut(&str) -> bool) -> bool {
    match value {
        Json::List(items) => items.iter().any(|item| any_name(item, test)),
        Json::Object(members) => members
            .iter()
            .any(|(name, value)| test(name) || any_name(value, test)),
        _ => false,
    }
}

fn walk(steps: &[Step], value: &Json<'_>, place: &mut String, visit: &mut Visit<'_>) {
    let Some((step, rest)) = steps.split_first() else {
        return leaves(value, place, visit);
    };
    let length = place.len();
    match (step, value) {
        (Step::Member(name), Json::Object(members)) => {
            for (found, value) in members.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)) {
                push_name(place, found);
                walk(rest, value, place, visit);
                place.truncate(length);
            }
        }
        // A list where the path sees one value, or one value where it sees a list.
        (Step::Member(_), Json::List(items)) => {
            for (i, item) in items.iter().enumerate() {
                push_index(place, i);
                walk(steps, item, place, visit);
                place.truncate(length);
            }
        }
        (Step::Each, Json::List(items)) => {
            for (i, item) in items.iter().enumerate() {
                push_index(place, i);
                walk(rest, item, place, visit);
                place.truncate(length);
            }
        }
        (Step::Each, value) => walk(rest, value, place, visit),
        (Step::Member(_), _) => {}
    }
}

fn leaves(value: &Json<'_>, place: &mut String, visit: &mut Visit<'_>) {
    let length = place.len();
    match value {
        Json::List(items) => {
            for (i, item) in items.iter().enumerate() {
                push_index(place, i);
                leaves(item, place, visit);
                place.truncate(length);
            }
        }
        Json::Object(members) => {
            for (name, value) in members {
                push_name(place, name);
                leaves(value, place, visit);
                place.truncate(length);
            }
        }
        leaf => visit(place, leaf),
    }
}

fn walk_mut(steps: &[Step], value: &mut Json<'_>, place: &mut String, change: &mut Change<'_>) {
    let Some((step, rest)) = steps.split_first() else {
        return leaves_mut(value, place, change);
    };
    let length = place.len();
    match (step, value) {
        (Step::Member(name), Json::Object(members)) => {
            for (found, value) in members
                .iter_mut()
                .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            {
                push_name(place, found);
                walk_mut(rest, value, place, change);
                place.truncate(length);
            }
        }
        (Step::Member(_), Json::List(items)) => {
            for (i, item) in items.iter_mut().enumerate() {
                push_index(place, i);
                walk_mut(steps, item, place, change);
                place.truncate(length);
            }
        }
        (Step::Each, Json::List(items)) => {
            for (i, item) in items.iter_mut().enumerate() {
                push_index(place, i);
                walk_mut(rest, item, place, change);
                place.truncate(length);
            }
        }
        (Step::Each, value) => walk_mut(rest, value, place, change),
        (Step::Member(_), _) => {}
    }
}

fn leaves_mut(value: &mut Json<'_>, place: &mut String, change: &mut Change<'_>) {
    let length = place.len();
    match value {
        Json::List(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                push_index(place, i);
                leaves_mut(item, place, change);
                place.truncate(length);
            }
        }
        Json::Object(members) => {
            for (name, value) in members {
                push_name(place, name);
                leaves_mut(value, place, change);
                place.truncate(length);
            }
        }
        leaf => change(place, leaf),
    }
}

fn push_name(place: &mut String, name: &str) {
    if !place.is_empty() {
        place.push('.');
    }
    place.push_str(name);
}

fn push_index(place: &mut String, index: usize) {
    place.push_str(&format!("[{index}]"));
}

const MAX_PATH: usize = 512;
