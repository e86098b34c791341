//! A browser's side of passkeys: one authenticator in software that holds one key, and the cookies.

use ah5_testkit::client::{Answer, Call, Http};
use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::AvailableBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use serde_json::{Value, json};
use url::Url;

/// Somebody's key, and whether it asks who touches it.
#[derive(Clone)]
pub struct Device {
    pub key: Option<Passkey>,
    pub verifies: bool,
}

/// A browser at an installation.
#[derive(Clone)]
pub struct Browser {
    pub http: Http,
    pub origin: String,
    /// `NAME=VALUE` of each.
    pub cookies: Vec<String>,
}

struct Hand {
    verifies: bool,
}

// === impl Device ===

impl Device {
    pub const fn new() -> Self {
        Self {
            key: None,
            verifies: true,
        }
    }

    /// The answer of a page at `origin` to options for making a key.
    pub async fn make(&mut self, origin: &str, options: &Value) -> Value {
        let request = serde_json::from_value(json!({"publicKey": options})).unwrap();
        let mut client = self.client();
        let origin = Url::parse(origin).unwrap();
        let made = client.register(&origin, request, DefaultClientData).await;
        self.key = client.authenticator().store().clone();
        serde_json::to_value(made.unwrap()).unwrap()
    }

    /// The answer of a page at `origin` to options for using the key.
    pub async fn answer(&mut self, origin: &str, options: &Value) -> Value {
        let mut options = options.clone();
        // To a browser an empty list is none.
        if options["allowCredentials"] == json!([]) {
            options.as_object_mut().unwrap().remove("allowCredentials");
        }
        let request = serde_json::from_value(json!({"publicKey": options})).unwrap();
        let mut client = self.client();
        let origin = Url::parse(origin).unwrap();
        let used = client.authenticate(&origin, request, DefaultClientData);
        let used = used.await.unwrap();
        self.key = client.authenticator().store().clone();
        serde_json::to_value(used).unwrap()
    }

    fn client(
        &self,
    ) -> Client<Option<Passkey>, Hand, AvailableBackend, public_suffix::PublicSuffixList, ()> {
        let hand = Hand {
            verifies: self.verifies,
        };
        let key = self.key.clone();
        let crypto = AvailableBackend;
        let mut authenticator = Authenticator::new(Aaguid::new_empty(), key, hand, crypto);
        authenticator.set_make_credentials_with_signature_counter(true);
        Client::new(authenticator).allows_insecure_localhost(true)
    }
}

// === impl Hand ===

#[async_trait::async_trait]
impl UserValidationMethod for Hand {
    type PasskeyItem = Passkey;

    async fn check_user<'a>(
        &self,
        _: UiHint<'a, Passkey>,
        _: bool,
        _: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck {
            presence: true,
            verification: self.verifies,
        })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        self.verifies.then_some(true)
    }
}

// === impl Browser ===

impl Browser {
    pub fn new(http: &Http, origin: &str, session: &str) -> Self {
        let cookies = (!session.is_empty()).then(|| session.to_owned());
        Self {
            http: http.clone(),
            origin: origin.to_owned(),
            cookies: cookies.into_iter().collect(),
        }
    }

    /// The cookie of the ceremony that has begun here.
    pub fn ceremony(&self) -> String {
        let mut cookies = self.cookies.iter();
        let found = cookies.find(|cookie| cookie.starts_with("better-auth.better-auth-passkey="));
        found.unwrap().clone()
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Call::get(format!("/api/auth{path}"))).await
    }

    pub async fn post(&mut self, path: &str, body: &Value) -> Answer {
        let call = Call::post(format!("/api/auth{path}"));
        self.send(call.json(body)).await
    }

    async fn send(&mut self, call: Call) -> Answer {
        let call = call
            .header("origin", &self.origin)
            .header("cookie", self.cookies.join("; "));
        let answer = self.http.send(call).await.unwrap();
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies
                .retain(|held| held.split('=').next() != Some(name));
            if !value.is_empty() {
                self.cookies.push(pair.to_owned());
            }
        }
        answer
    }

    /// Begins and ends the making of a key.
    pub async fn register(&mut self, device: &mut Device, name: &str) -> Answer {
        let options = self.get("/passkey/generate-register-options").await;
        let options = options.expect(200).unwrap();
        let response = device.make(&self.origin.clone(), &options).await;
        let body = json!({"response": response, "name": name});
        self.post("/passkey/verify-registration", &body).await
    }

    /// Begins signing in without an address, and returns the body that ends it.
    pub async fn begin_sign_in(&mut self, device: &mut Device) -> Value {
        let options = self.get("/passkey/generate-authenticate-options").await;
        let options = options.expect(200).unwrap();
        json!({"response": device.answer(&self.origin.clone(), &options).await})
    }
}
