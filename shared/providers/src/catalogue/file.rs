//! The form of a file in `services`, and the checks that make a [`Service`] of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ah5_contracts::policy::Method;
use ah5_policy::endpoints::{Class, Tunnel};
use ah5_policy::glob::Glob;
use ah5_policy::header::{is_never, is_token};
use ah5_policy::response::{FilterSource, RuleFilter};
use ah5_policy::{Endpoints, OriginPattern};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::headers::is_common;
use crate::models::Spec;
use crate::service::{
    Account, CapabilityUrls, Category, Credential, Llm, Probe, Scope, Service, Slot,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceFile {
    id: String,
    provider: String,
    display_name: String,
    icon: String,
    group: String,
    category: Category,
    credential: Credential,
    #[serde(default)]
    singleton: bool,
    base_url: Option<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    downloads: Vec<String>,
    slot: Slot,
    #[serde(default)]
    granted_scopes: Vec<String>,
    #[serde(default)]
    scopes: Vec<Scope>,
    #[serde(default)]
    fixed_headers: BTreeMap<String, String>,
    #[serde(default)]
    plain_headers: Vec<String>,
    #[serde(default)]
    acting_headers: Vec<String>,
    #[serde(default)]
    refused_parameters: Vec<String>,
    #[serde(default)]
    fold_paths: bool,
    #[serde(default)]
    case_insensitive_json: bool,
    #[serde(default)]
    tunnel: Vec<TunnelFile>,
    #[serde(default)]
    mints_authority: Vec<EndpointFile>,
    #[serde(default)]
    callback_target: Vec<EndpointFile>,
    #[serde(default)]
    capability_urls: Vec<CapabilityFile>,
    probe: Option<ProbeFile>,
    account: Option<Account>,
    llm: Option<Llm>,
    #[serde(default)]
    models: Vec<Spec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointFile {
    /// None is all of them.
    #[serde(default)]
    methods: Vec<String>,
    paths: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TunnelFile {
    form: TunnelForm,
    #[serde(default)]
    methods: Vec<String>,
    paths: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TunnelForm {
    Graphql,
    JsonBatch,
    Opaque,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapabilityFile {
    fields: Vec<String>,
    paths: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeFile {
    #[serde(default = "get")]
    method: String,
    origin: Option<String>,
    path: String,
    body: Option<String>,
    refused_by: Vec<u16>,
    must_be_true: Option<String>,
    refusal: String,
}

// === impl ServiceFile ===

impl ServiceFile {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(self) -> Result<Service, String> {
        let base = self.base_url.as_deref().map(origin).transpose()?;
        let hosts = self.hosts.iter().map(|host| origin(host));
        let downloads = self.downloads.iter().map(|host| origin(host));
        let endpoints = self.endpoints()?;
        check_lists(&self.plain_headers, &self.acting_headers)?;
        let capability_urls = self.capability_urls.iter().map(CapabilityFile::check);
        let service = Service {
            base,
            hosts: hosts.collect::<Result<_, _>>()?,
            downloads: downloads.collect::<Result<_, _>>()?,
            slot: checked_slot(self.slot)?,
            fixed_headers: fixed(&self.fixed_headers)?,
            endpoints,
            capability_urls: capability_urls.collect::<Result<_, _>>()?,
            account: checked_account(self.account, self.probe.is_some())?,
            probe: self.probe.map(ProbeFile::check).transpose()?,
            llm: self.llm.map(checked_llm).transpose()?,
            models: self.models,
            id: self.id,
            provider: self.provider,
            display_name: self.display_name,
            icon: self.icon,
            group: self.group,
            category: self.category,
            credential: self.credential,
            singleton: self.singleton,
            granted_scopes: self.granted_scopes,
            scopes: self.scopes,
            plain_headers: self.plain_headers,
            acting_headers: self.acting_headers,
            refused_parameters: self.refused_parameters,
            fold_paths: self.fold_paths,
            case_insensitive_json: self.case_insensitive_json,
        };
        match service.credential {
            Credential::Custom | Credential::Email | Credential::OauthCustom => Ok(service),
            _ if service.base.is_none() => Err("base_url is missing".to_owned()),
            Credential::Oauth if service.scopes.is_empty() => Err("scopes are missing".to_owned()),
            _ => Ok(service),
        }
    }

    fn endpoints(&self) -> Result<Endpoints, String> {
        let mut endpoints = Endpoints::default();
        let mut add = |class: Class, methods: &[String], paths: &[String]| {
            let methods = methods.iter();
            let methods = methods
                .map(|name| Method::from_name(name).ok_or_else(|| format!("{name} is no method")));
            let methods: Vec<Method> = methods.collect::<Result<_, _>>()?;
            let added = endpoints.add(class, &methods, paths);
            added.map_err(|why| format!("{class:?}: {why}"))
        };
        for tunnel in &self.tunnel {
            let class = Class::Tunnel(tunnel.form.into());
            add(class, &tunnel.methods, &tunnel.paths)?;
        }
        for EndpointFile { methods, paths } in &self.mints_authority {
            add(Class::MintsAuthority, methods, paths)?;
        }
        for EndpointFile { methods, paths } in &self.callback_target {
            add(Class::CallbackTarget, methods, paths)?;
        }
        Ok(endpoints)
    }
}

// === impl CapabilityFile ===

impl CapabilityFile {
    fn check(&self) -> Result<CapabilityUrls, String> {
        let paths = self.paths.iter();
        let paths = paths.map(|path| {
            Glob::compile(&path.to_ascii_lowercase()).map_err(|why| format!("{path}: {why}"))
        });
        let fields: Vec<&str> = self.fields.iter().map(String::as_str).collect();
        // Where an answer can't be read nobody knows what is in it: it is refused.
        let source = FilterSource {
            deny_fields: Some(&fields),
            ..FilterSource::default()
        };
        let filter = RuleFilter::compile(&source).map_err(|why| why.to_string())?;
        Ok(CapabilityUrls {
            paths: paths.collect::<Result<_, _>>()?,
            filter: Arc::new(filter),
        })
    }
}

// === impl ProbeFile ===

impl ProbeFile {
    fn check(self) -> Result<Probe, String> {
        if let Some(text) = &self.origin {
            origin(text)?;
        }
        if !self.path.starts_with('/') || self.refused_by.is_empty() {
            return Err("probe: a path and the statuses of a refusal are needed".to_owned());
        }
        Ok(Probe {
            method: self.method.parse().map_err(|_| "probe: method")?,
            origin: self.origin,
            path: self.path,
            body: self.body,
            refused_by: self.refused_by,
            must_be_true: self.must_be_true,
            refusal: self.refusal,
        })
    }
}

// === impl TunnelForm ===

impl From<TunnelForm> for Tunnel {
    fn from(form: TunnelForm) -> Self {
        match form {
            TunnelForm::Graphql => Self::Graphql,
            TunnelForm::JsonBatch => Self::JsonBatch,
            TunnelForm::Opaque => Self::Opaque,
        }
    }
}

/// An https origin, written as it is compared: nothing behind the host.
fn origin(text: &str) -> Result<OriginPattern, String> {
    let pattern = OriginPattern::parse(text).map_err(|why| format!("{text}: {why}"))?;
    if !pattern.base().is_https() || pattern.base().origin() != text {
        return Err(format!("{text} is not a canonical https origin"));
    }
    Ok(pattern)
}

fn checked_account(account: Option<Account>, is_probed: bool) -> Result<Option<Account>, String> {
    if let Some(account) = &account {
        let mut pointers = account.email.iter().chain(&account.display_name);
        let good = account.id.starts_with('/') && pointers.all(|it| it.starts_with('/'));
        if !good || !is_probed {
            return Err("account needs a probe, and pointers into its answer".to_owned());
        }
    }
    Ok(account)
}

fn checked_llm(llm: Llm) -> Result<Llm, String> {
    let base = llm.base_path.as_str();
    let is_base = base.is_empty() || (base.starts_with('/') && !base.ends_with('/'));
    let good = is_base && !llm.name.is_empty() && llm.name.bytes().all(is_letter);
    let fault = || "llm: name or base_path won't do".to_owned();
    good.then_some(llm).ok_or_else(fault)
}

fn checked_slot(slot: Slot) -> Result<Slot, String> {
    let good = match &slot {
        Slot::Header { name } => is_token(name) && !is_never(name),
        Slot::Path { prefix } => !prefix.is_empty() && prefix.bytes().all(is_letter),
        Slot::QueryPair { first, second } => {
            first != second && first.bytes().chain(second.bytes()).all(is_letter)
        }
        Slot::Basic | Slot::Bearer | Slot::PerConnection => true,
    };
    let fault = || "slot has a name that won't do".to_owned();
    good.then_some(slot).ok_or_else(fault)
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte == b'_'
}

fn fixed(headers: &BTreeMap<String, String>) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let header = |(name, value): (&String, &String)| {
        let bad = || format!("fixed_headers: {name}");
        let value = HeaderValue::from_str(value).map_err(|_| bad())?;
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        (known.as_str() == name && !is_never(name))
            .then_some((known, value))
            .ok_or_else(bad)
    };
    headers.iter().map(header).collect()
}

/// Names in lower case, each in one list only, none of which every service has anyway.
fn check_lists(plain: &[String], acting: &[String]) -> Result<(), String> {
    let lower = |name: &str| is_token(name) && name.to_ascii_lowercase() == name;
    let good = |name: &str| lower(name) && !is_never(name) && !is_common(name);
    let mut all = plain.iter().chain(acting);
    if let Some(name) = all.find(|name| !good(name)) {
        return Err(format!("header {name} can't be listed"));
    }
    match plain.iter().find(|name| acting.contains(name)) {
        Some(name) => Err(format!("header {name} is in both lists")),
        None => Ok(()),
    }
}

fn get() -> String {
    "GET".to_owned()
}
