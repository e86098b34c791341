//! The servers that `.ci/test-servers` brought: started by a test, gone with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use ah5_testkit::client::{Call, Http};
use ah5_testkit::servers::{Server, installed};
use serde_json::{Value, json};

/// A real OpenID provider.
pub struct OpenId {
    pub issuer: String,
    _server: Server,
}

/// The link in a mail: what stands after the origin.
pub fn link(mail: &str, origin: &str) -> String {
    let start = mail.find(&format!("{origin}/api/auth/")).unwrap() + origin.len();
    mail[start..].split_whitespace().next().unwrap().to_owned()
}

// === impl OpenId ===

impl OpenId {
    /// `people` is `{NAME: {email, email_verified, name}}`.
    pub fn start(people: &Value, redirect_uris: &[String]) -> Self {
        Self::with(people, redirect_uris, json!({}))
    }

    /// With more settings: see `servers/oidc/provider.mjs`.
    pub fn with(people: &Value, redirect_uris: &[String], mut settings: Value) -> Self {
        settings["people"] = people.clone();
        settings["clientId"] = CLIENT_ID.into();
        settings["clientSecret"] = CLIENT_SECRET.into();
        settings["redirectUris"] = json!(redirect_uris);
        // A module finds its packages beside itself only. Tests run at the same time, each with a
        // copy of its own.
        let place = installed().join("oidc");
        let program = place.join(format!("provider-{}.mjs", uuid::Uuid::new_v4()));
        std::fs::copy(sources().join("oidc/provider.mjs"), &program)
            .unwrap_or_else(|error| panic!("run .ci/test-servers first: {error}"));
        let mut command = Command::new("node");
        command.arg(&program).arg(settings.to_string());
        let server = Server::start(command);
        let _ = std::fs::remove_file(program);
        Self {
            issuer: server.line.clone(),
            _server: server,
        }
    }

    /// A token that vouches for its client `workload` to this audience.
    pub async fn vouch(&self, audience: &str) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", "workload")
            .append_pair("client_secret", CLIENT_SECRET)
            .append_pair("resource", audience);
        let call = Call::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish());
        let answer = Http::new(&*self.issuer).send(call).await.unwrap();
        let answer = answer.expect(200).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// `host:port`, as the operator exempts it.
    pub fn host(&self) -> &str {
        self.issuer.trim_start_matches("http://")
    }
}

pub const CLIENT_ID: &str = "ah5";
pub const CLIENT_SECRET: &str = "planted-client-secret-0123456789";

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers")
}
