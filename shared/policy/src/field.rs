//! Paths into a body: `a.b.0.c` as conditions write them, or `a.b[*].c` as other parts of rules do.

use crate::body::Json;

/// A compiled path.
#[derive(Clone, Debug)]
pub(crate) struct FieldPath {
    steps: Box<[Box<str>]>,
}

// === impl FieldPath ===

impl FieldPath {
    /// `None` if the path is empty or too long.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_PATH {
            return None;
        }
        // Items are looked at anyway where the path names no position.
        let named = |step: &str| step.strip_suffix("[*]").unwrap_or(step).into();
        let steps = text.split('.').map(named).collect();
        Some(Self { steps })
    }

    /// Shows `visit` every value that a reader might find at the path, `None` for a missing one,
    /// until it returns true. Besides the exact one these are members whose names differ in case,
    /// and those of list items where the path names no position. True if `visit` was.
    pub(crate) fn any<'v>(
        &self,
        root: Option<&'v Json<'v>>,
        visit: &mut dyn FnMut(Option<&Json<'_>>) -> bool,
    ) -> bool {
        match root {
            Some(root) => walk(&self.steps, root, visit),
            None => visit(None),
        }
    }
}

fn walk(
    steps: &[Box<str>],
    value: &Json<'_>,
    visit: &mut dyn FnMut(Option<&Json<'_>>) -> bool,
) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return visit(Some(value));
    };
    match value {
        Json::Object(members) => {
            let exact = members.iter().find(|(name, _)| **name == **step);
            let here = match exact {
                Some((_, value)) => walk(rest, value, visit),
                None => visit(None),
            };
            here || members
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(step) && **name != **step)
                .any(|(_, value)| walk(rest, value, visit))
        }
        Json::List(items) => walk_list(steps, items, visit),
        _ => visit(None),
    }
}

fn walk_list(
    steps: &[Box<str>],
    items: &[Json<'_>],
    visit: &mut dyn FnMut(Option<&Json<'_>>) -> bool,
) -> bool {
    let (step, rest) = (&*steps[0], &steps[1..]);
    if step == "length" && rest.is_empty() {
        let length = items.len().to_string();
        return visit(Some(&Json::Number(&length)));
    }
    if let Ok(index) = step.parse::<usize>() {
        return match items.get(index) {
            Some(item) => walk(rest, item, visit),
            None => visit(None),
        };
    }
    visit(None) || items.iter().any(|item| walk(steps, item, visit))
}

const MAX_PATH: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, body: &str) -> Vec<String> {
        let body = Json::parse(body, false).unwrap();
        let mut found = Vec::new();
        FieldPath::parse(path)
            .unwrap()
            .any(Some(&body), &mut |value| {
                found.push(value.map_or("missing".to_owned(), |v| format!("{v:?}")));
                false
            });
        found
    }

    #[test]
    fn a_path_finds_what_a_reader_might() {
        for (path, body, expected) in [
            ("a.b", "{\"a\":{\"b\":1}}", vec!["Number(\"1\")"]),
            ("a.b", "{\"a\":1}", vec!["missing"]),
            ("a", "{\"A\":true}", vec!["missing", "Bool(true)"]),
            ("a", "{\"a\":null,\"A\":true}", vec!["Null", "Bool(true)"]),
            ("0.x", "[{\"x\":null}]", vec!["Null"]),
            ("to.length", "{\"to\":[1,2]}", vec!["Number(\"2\")"]),
            ("x", "[{\"x\":true}]", vec!["missing", "Bool(true)"]),
            ("a[0]", "{\"a\":[1]}", vec!["missing"]),
            (
                "a[*].b",
                "{\"a\":[{\"b\":1}]}",
                vec!["missing", "Number(\"1\")"],
            ),
            ("constructor", "{}", vec!["missing"]),
        ] {
            assert_eq!(found(path, body), expected, "{path} in {body}");
        }
    }
}
