//! The services that a connection can be made to: one file each in `services`, one for each OAuth
//! dialect in `oauth`. Read once, strictly; what a file says stands over any policy.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;

use crate::oauth::OAuth;
use crate::service::Service;

mod file;
#[cfg(test)]
mod tests;

/// Every service, in the order of their ids.
///
/// # Panics
/// A file that is built in is malformed; the tests read each of them.
#[must_use]
pub fn services() -> &'static [Service] {
    &CATALOGUE.services
}

/// Finds in constant time and without allocating.
#[must_use]
pub fn find(id: &str) -> Option<&'static Service> {
    CATALOGUE.by_id.get(id).map(|&at| &CATALOGUE.services[at])
}

/// The service of language models of this name.
#[must_use]
pub fn llm(name: &str) -> Option<&'static Service> {
    services()
        .iter()
        .find(|service| service.llm.as_ref().is_some_and(|llm| llm.name == name))
}

/// How a provider does OAuth, if it does.
#[must_use]
pub fn oauth(provider: &str) -> Option<&'static OAuth> {
    CATALOGUE.oauth.get(provider)
}

/// Every way of doing OAuth.
pub fn dialects() -> impl Iterator<Item = &'static OAuth> {
    CATALOGUE.oauth.values()
}

/// A file that is no good.
#[derive(Debug, thiserror::Error)]
#[error("{file}.toml: {why}")]
pub struct Fault {
    file: &'static str,
    why: String,
}

struct Catalogue {
    services: Vec<Service>,
    by_id: HashMap<String, usize>,
    oauth: HashMap<String, OAuth>,
}

// === impl Catalogue ===

impl Catalogue {
    fn read() -> Result<Self, Fault> {
        let services = read::<file::ServiceFile>(SERVICES)?.map(|(file, raw)| {
            let service = raw.check().map_err(|why| Fault { file, why })?;
            named(file, &service.id).map(|()| service)
        });
        let services: Vec<Service> = services.collect::<Result<_, _>>()?;
        let oauth = read::<OAuth>(OAUTH)?.map(|(file, oauth)| {
            oauth.check().map_err(|why| Fault { file, why })?;
            named(file, &oauth.provider)?;
            Ok((oauth.provider.clone(), oauth))
        });
        let by_id = services.iter().enumerate();
        Ok(Self {
            by_id: by_id
                .map(|(at, service)| (service.id.clone(), at))
                .collect(),
            oauth: oauth.collect::<Result<_, _>>()?,
            services,
        })
    }
}

type Files = &'static [(&'static str, &'static str)];

fn read<T: DeserializeOwned>(
    files: Files,
) -> Result<impl Iterator<Item = (&'static str, T)>, Fault> {
    let parse = |(file, text): &(&'static str, &str)| {
        let parsed = toml::from_str(text);
        let fault = |error: toml::de::Error| Fault {
            file,
            why: error.to_string(),
        };
        parsed.map(|parsed| (*file, parsed)).map_err(fault)
    };
    let parsed: Result<Vec<_>, Fault> = files.iter().map(parse).collect();
    Ok(parsed?.into_iter())
}

/// A file has its service's name, so that no two can say something of the same one.
fn named(file: &'static str, id: &str) -> Result<(), Fault> {
    if file == id {
        return Ok(());
    }
    let why = format!("is the file of \"{id}\"");
    Err(Fault { file, why })
}

static CATALOGUE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::read().expect("the built-in catalogue is well-formed"));

include!(concat!(env!("OUT_DIR"), "/files.rs"));
