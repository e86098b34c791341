use std::collections::HashMap;

use ah5_contracts::policy::Method;
use ah5_policy::compile::folds_paths;
use ah5_policy::endpoints::{Class, Tunnel};
use ah5_policy::{CanonicalUrl, OriginPattern};

use super::*;
use crate::service::{Credential, Slot};

fn service(changes: &str) -> Result<(), String> {
    let text = format!(
        "id = 'x'\nprovider = 'x'\ndisplay_name = 'X'\nicon = 'x'\ngroup = 'X'\n\
         category = 'data'\ncredential = 'api_key'\n{changes}"
    );
    let file: file::ServiceFile = toml::from_str(&text).map_err(|error| error.to_string())?;
    file.check().map(drop)
}

#[test]
fn every_file_is_well_formed_and_found_by_its_id() {
    let catalogue = Catalogue::read().unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(catalogue.services.len(), SERVICES.len());
    assert_eq!(catalogue.by_id.len(), SERVICES.len());
    assert!(SERVICES.len() >= 32);
    for service in services() {
        assert!(std::ptr::eq(find(&service.id).unwrap(), service));
    }
    assert!(find("nowhere").is_none());
}

#[test]
fn every_oauth_service_has_its_providers_dialect() {
    for service in services() {
        let oauth = oauth(&service.provider);
        if service.credential == Credential::Oauth {
            let oauth = oauth.unwrap_or_else(|| panic!("{} has no dialect", service.id));
            let token = oauth.url(&oauth.token_url, None).unwrap();
            assert!(token.is_https(), "{}", service.id);
            assert_eq!(service.slot, Slot::Bearer);
            assert!(
                service.scopes.iter().any(|scope| scope.default),
                "{}",
                service.id
            );
        }
    }
    for provider in CATALOGUE.oauth.keys() {
        let used = services().iter().any(|service| {
            service.credential == Credential::Oauth && service.provider == *provider
        });
        assert!(used, "nothing uses {provider}");
    }
}

#[test]
fn a_tenant_cannot_lead_oauth_elsewhere() {
    let oauth = oauth("microsoft").unwrap();
    let url = oauth
        .url(&oauth.token_url, Some("contoso.example"))
        .unwrap();
    assert_eq!(url.host(), "login.microsoftonline.com");
    assert!(url.path().starts_with("/contoso.example/"));
    for tenant in ["a/b", "../x", "a?b", "a@b", "a%2fb"] {
        assert!(
            oauth.url(&oauth.token_url, Some(tenant)).is_none(),
            "{tenant}"
        );
    }
}

/// Two services may share a host, but then it must be one provider that behaves in one way.
#[test]
fn what_is_said_of_a_host_is_said_once() {
    let mut seen: HashMap<String, (&str, bool, bool)> = HashMap::new();
    for service in services() {
        let said = (
            service.provider.as_str(),
            service.fold_paths,
            service.case_insensitive_json,
        );
        for host in service.base.iter().chain(&service.hosts) {
            let host = host.base().host().to_owned();
            assert_eq!(folds_paths(&host), service.fold_paths, "{host}");
            let before = seen.entry(host).or_insert(said);
            assert_eq!(*before, said, "{}", service.id);
        }
    }
}

#[test]
fn a_connection_is_pinned_to_its_services_hosts() {
    let url = |text: &str| CanonicalUrl::parse(text).unwrap();
    let pins = |id: &str, base: &str| find(id).unwrap().pins(&url(base));
    assert!(pins("google-gmail", "https://gmail.googleapis.com"));
    assert!(pins("google-gmail", "https://www.googleapis.com/gmail/v1"));
    assert!(!pins("google-gmail", "https://evil.example"));
    assert!(!pins("google-gmail", "https://gmail.googleapis.com:8443"));
    assert!(pins("jira", "https://acme.atlassian.net"));
    assert!(!pins("jira", "https://atlassian.net.evil.example"));
    assert!(pins("custom-http", "https://anything.example/v1"));
    assert!(!pins("email-imap", "https://anything.example"));
    assert!(
        find("dropbox")
            .unwrap()
            .reaches(&url("https://content.dropboxapi.com/2/files/upload"))
    );
    assert!(
        !find("dropbox")
            .unwrap()
            .reaches(&url("https://content.dropboxapi.com.evil.example/"))
    );
}

#[test]
fn the_endpoints_that_are_more_than_they_look_like_are_known() {
    let batch = Class::Tunnel(Tunnel::JsonBatch);
    let graphql = Class::Tunnel(Tunnel::Graphql);
    let opaque = Class::Tunnel(Tunnel::Opaque);
    for (id, method, url, class) in [
        (
            "microsoft-outlook-mail",
            Method::Post,
            "https://graph.microsoft.com/v1.0/$batch",
            batch,
        ),
        (
            "microsoft-teams",
            Method::Post,
            "https://graph.microsoft.com/beta/$Batch",
            batch,
        ),
        (
            "microsoft-onedrive",
            Method::Post,
            "https://graph.microsoft.com/v1.0/subscriptions",
            Class::CallbackTarget,
        ),
        (
            "google-gmail",
            Method::Post,
            "https://www.googleapis.com/batch/gmail/v1",
            opaque,
        ),
        (
            "google-gmail",
            Method::Post,
            "https://gmail.googleapis.com/gmail/v1/users/me/watch",
            Class::CallbackTarget,
        ),
        (
            "google-gmail",
            Method::Post,
            "https://gmail.googleapis.com/gmail/v1/users/me/settings/delegates",
            Class::MintsAuthority,
        ),
        (
            "google-drive",
            Method::Post,
            "https://www.googleapis.com/batch/drive/v3",
            opaque,
        ),
        (
            "telegram",
            Method::Post,
            "https://api.telegram.org/bot/setWebhook",
            Class::CallbackTarget,
        ),
        (
            "telegram",
            Method::Get,
            "https://api.telegram.org/bot1:x/SETWEBHOOK",
            Class::CallbackTarget,
        ),
        (
            "trello",
            Method::Get,
            "https://api.trello.com/1/batch",
            opaque,
        ),
        (
            "github",
            Method::Post,
            "https://api.github.com/graphql",
            graphql,
        ),
        (
            "github",
            Method::Post,
            "https://api.github.com/repos/a/b/keys",
            Class::MintsAuthority,
        ),
        (
            "gitlab",
            Method::Post,
            "https://gitlab.com/api/v4/projects/1/hooks",
            Class::CallbackTarget,
        ),
        (
            "linear",
            Method::Post,
            "https://api.linear.app/graphql",
            graphql,
        ),
        (
            "openai",
            Method::Post,
            "https://api.openai.com/v1/realtime/client_secrets",
            Class::MintsAuthority,
        ),
        (
            "openrouter",
            Method::Post,
            "https://openrouter.ai/api/v1/keys",
            Class::MintsAuthority,
        ),
        (
            "stripe",
            Method::Post,
            "https://api.stripe.com/v1/webhook_endpoints",
            Class::CallbackTarget,
        ),
        (
            "salesforce",
            Method::Post,
            "https://acme.my.salesforce.com/services/data/v61.0/composite/batch",
            opaque,
        ),
        (
            "discord",
            Method::Post,
            "https://discord.com/api/v10/channels/1/webhooks",
            Class::MintsAuthority,
        ),
    ] {
        let url = CanonicalUrl::parse(url).unwrap();
        let found = find(id).unwrap().endpoints.class(method, &url);
        assert_eq!(found, Some(class), "{id} {url}");
    }
    for (id, method, url) in [
        (
            "google-gmail",
            Method::Get,
            "https://gmail.googleapis.com/gmail/v1/users/me/messages",
        ),
        (
            "microsoft-outlook-mail",
            Method::Post,
            "https://graph.microsoft.com/v1.0/me/sendMail",
        ),
        (
            "github",
            Method::Get,
            "https://api.github.com/repos/a/b/hooks",
        ),
        (
            "openai",
            Method::Post,
            "https://api.openai.com/v1/chat/completions",
        ),
    ] {
        let url = CanonicalUrl::parse(url).unwrap();
        assert_eq!(
            find(id).unwrap().endpoints.class(method, &url),
            None,
            "{id} {url}"
        );
    }
}

#[test]
fn a_parameter_that_would_change_the_call_is_known() {
    let refused = |id: &str, url: &str| {
        let url = CanonicalUrl::parse(url).unwrap();
        find(id).unwrap().refused_parameter(&url)
    };
    let account = "https://acme.my.salesforce.com/services/data/v61.0/sobjects/Account/1";
    for query in [
        "_HttpMethod=DELETE",
        "a=b&_httpmethod=PATCH",
        "%5FHttpMethod",
    ] {
        let refused = refused("salesforce", &format!("{account}?{query}"));
        assert_eq!(refused, Some("_HttpMethod"), "{query}");
    }
    assert_eq!(
        refused("salesforce", &format!("{account}?fields=_HttpMethod")),
        None
    );
    assert_eq!(
        refused("gitlab", "https://gitlab.com/api/v4/user?sudo=1"),
        Some("sudo")
    );
    // The credential's place for callers that know no header: it is not theirs to fill.
    let gemini = "https://generativelanguage.googleapis.com/v1beta/models";
    for query in ["key=ah5t_mine", "alt=sse&%6Bey=x", "access_token=x"] {
        assert!(
            refused("gemini", &format!("{gemini}?{query}")).is_some(),
            "{query}"
        );
    }
}

#[test]
fn links_that_are_authority_are_taken_out_of_the_answers_that_hold_them() {
    let filters = |id: &str, url: &str, every: bool| {
        let url = CanonicalUrl::parse(url).unwrap();
        find(id).unwrap().answer_filters(&url, every).count()
    };
    let graph = "https://graph.microsoft.com/v1.0";
    assert_eq!(
        filters(
            "microsoft-onedrive",
            &format!("{graph}/me/drive/root/children"),
            false
        ),
        1
    );
    assert_eq!(
        filters(
            "microsoft-onedrive",
            &format!("{graph}/me/DRIVE/root"),
            false
        ),
        1
    );
    assert_eq!(
        filters("microsoft-onedrive", &format!("{graph}/me"), false),
        0
    );
    assert_eq!(
        filters("microsoft-onedrive", &format!("{graph}/$batch"), true),
        2
    );
    assert_eq!(
        filters("zoom", "https://api.zoom.us/v2/users/me/meetings", false),
        1
    );
    assert_eq!(
        filters("notion", "https://api.notion.com/v1/pages", true),
        0
    );
}

/// A probe sends the credential: it may only go where calls may.
#[test]
fn a_probe_stays_with_its_service() {
    for service in services() {
        let origin = service
            .probe
            .as_ref()
            .and_then(|probe| probe.origin.as_deref());
        let Some(origin) = origin.map(|origin| CanonicalUrl::parse(origin).unwrap()) else {
            continue;
        };
        assert!(service.pins(&origin), "{}", service.id);
    }
}

#[test]
fn a_file_with_a_mistake_says_so() {
    let base = "base_url = 'https://api.example.com'\n";
    let slot = "slot = { kind = 'bearer' }\n";
    assert_eq!(service(&format!("{base}{slot}")), Ok(()));
    for (changes, why) in [
        (format!("{base}{slot}colour = 'red'\n"), "unknown field"),
        (slot.to_owned(), "base_url is missing"),
        (base.to_owned(), "missing field `slot`"),
        (
            format!("base_url = 'http://api.example.com'\n{slot}"),
            "canonical https origin",
        ),
        (
            format!("base_url = 'https://API.example.com/v1/'\n{slot}"),
            "canonical https origin",
        ),
        (
            format!("base_url = 'https://*.com'\n{slot}"),
            "https://*.com",
        ),
        (
            format!("{base}slot = {{ kind = 'header', name = 'Host' }}\n"),
            "slot has a name",
        ),
        (
            format!("{base}slot = {{ kind = 'cookie' }}\n"),
            "unknown variant",
        ),
        (
            format!("{base}{slot}plain_headers = ['Accept']\n"),
            "can't be listed",
        ),
        (
            format!("{base}{slot}acting_headers = ['x-http-method']\n"),
            "can't be listed",
        ),
        (
            format!("{base}{slot}plain_headers = ['x-a']\nacting_headers = ['x-a']\n"),
            "both lists",
        ),
        (
            format!("{base}{slot}[fixed_headers]\nX-A = 'b'\n"),
            "fixed_headers: X-A",
        ),
        (
            format!("{base}{slot}[[tunnel]]\nform = 'opaque'\npaths = ['batch']\n"),
            "starts with",
        ),
        (
            format!("{base}{slot}[[tunnel]]\nform = 'soap'\npaths = ['/x']\n"),
            "unknown variant",
        ),
        (
            format!("{base}{slot}[[mints_authority]]\nmethods = ['post']\npaths = ['/x']\n"),
            "no method",
        ),
        (
            format!("{base}{slot}[probe]\npath = 'x'\nrefused_by = [401]\nrefusal = 'no'\n"),
            "probe: ",
        ),
    ] {
        let fault = service(&changes).unwrap_err();
        assert!(fault.contains(why), "{changes}: {fault}");
    }
    assert!(named("gmail", "google-gmail").is_err());
}

#[test]
fn an_account_with_a_host_of_its_own_has_no_base_url_in_the_catalogue() {
    for id in ["jira", "salesforce"] {
        assert!(find(id).unwrap().base_url().is_none());
    }
    let pattern = find("jira").unwrap().base.as_ref().map(OriginPattern::base);
    assert_eq!(pattern.unwrap().host(), "*.atlassian.net");
    assert_eq!(
        find("notion").unwrap().base_url().unwrap().host(),
        "api.notion.com"
    );
}
