//! `application/x-www-form-urlencoded` bodies, read as the object that servers make of them:
//! `a[b]=1` is a member of a member, a name given twice a list.

use std::borrow::Cow;

use super::{BodyError, Json};

/// # Errors
/// What servers read differently: a bare `;`, broken escapes, a name that is value and object.
pub(super) fn parse(text: &str) -> Result<Json<'static>, BodyError> {
    let mut root = Vec::new();
    let mut pairs = 0;
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        pairs += 1;
        if pairs > MAX_PAIRS {
            return Err(BodyError::TooComplex);
        }
        if pair.contains(';') {
            return Err(BodyError::Form);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        set(&mut root, &steps(&name), value)?;
    }
    Ok(Json::Object(root))
}

/// Whether a body without a content type reads like a form.
pub(super) fn looks_like(text: &str) -> bool {
    text.contains('=')
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '<' | '>' | '"'))
}

type Members = Vec<(Cow<'static, str>, Json<'static>)>;

/// `a[b][]` is `a`, `b`; an empty pair of brackets only says that more may follow.
fn steps(name: &str) -> Vec<&str> {
    let Some((head, rest)) = name.split_once('[') else {
        return vec![name];
    };
    let inner = rest.strip_suffix(']').map(|inner| inner.split("]["));
    match inner {
        Some(inner) if !head.is_empty() => std::iter::once(head)
            .chain(inner.filter(|step| !step.is_empty()))
            .collect(),
        _ => vec![name],
    }
}

fn set(members: &mut Members, steps: &[&str], value: String) -> Result<(), BodyError> {
    if steps.len() > MAX_STEPS {
        return Err(BodyError::TooComplex);
    }
    let (step, deeper) = steps.split_first().ok_or(BodyError::Form)?;
    let at = members.iter().position(|(name, _)| name == step);
    match (at, deeper.is_empty()) {
        (None, true) => {
            members.push(((*step).to_owned().into(), Json::Text(value.into())));
            Ok(())
        }
        (None, false) => {
            let mut inner = Vec::new();
            set(&mut inner, deeper, value)?;
            members.push(((*step).to_owned().into(), Json::Object(inner)));
            Ok(())
        }
        (Some(at), true) => append(&mut members[at].1, value),
        (Some(at), false) => match &mut members[at].1 {
            Json::Object(inner) => set(inner, deeper, value),
            _ => Err(BodyError::Form),
        },
    }
}

fn append(known: &mut Json<'static>, value: String) -> Result<(), BodyError> {
    match known {
        Json::List(items) => items.push(Json::Text(value.into())),
        Json::Text(first) => {
            let first = Json::Text(std::mem::take(first));
            *known = Json::List(vec![first, Json::Text(value.into())]);
        }
        _ => return Err(BodyError::Form),
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, BodyError> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'+' => out.push(b' '),
            b'%' => {
                out.push(crate::url::escape(&bytes[i..]).ok_or(BodyError::Form)?);
                i += 2;
            }
            byte => out.push(byte),
        }
        i += 1;
    }
    String::from_utf8(out).map_err(|_| BodyError::Form)
}

const MAX_PAIRS: usize = 2_000;
const MAX_STEPS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Json<'static> {
        Json::Text(value.to_owned().into())
    }

    #[test]
    fn reads_names_as_servers_do() {
        let form = parse("a=1&b=x+y%21&a=2&c[d]=3&c[e][]=4&c[e][]=5&f&[g=6").unwrap();
        assert_eq!(
            form.member("a"),
            Some(&Json::List(vec![text("1"), text("2")]))
        );
        assert_eq!(form.member("b"), Some(&text("x y!")));
        let c = form.member("c").unwrap();
        assert_eq!(c.member("d"), Some(&text("3")));
        assert_eq!(c.member("e"), Some(&Json::List(vec![text("4"), text("5")])));
        assert_eq!(form.member("f"), Some(&text("")));
        assert_eq!(form.member("[g"), Some(&text("6")));
    }

    #[test]
    fn refuses_what_servers_read_differently() {
        for bad in [
            "a=1;b=2",
            "a=%",
            "a=%zz",
            "a=%ff",
            "a=1&a[b]=2",
            "a[b]=1&a=2",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let many = "a=1&".repeat(MAX_PAIRS + 1);
        assert_eq!(parse(&many), Err(BodyError::TooComplex));
        let deep = format!("a{}=1", "[b]".repeat(MAX_STEPS));
        assert_eq!(parse(&deep), Err(BodyError::TooComplex));
    }
}
