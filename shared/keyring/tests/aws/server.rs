//! moto, started by a test and gone with it, with a key and a user who may use it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ah5_testkit::client::{Call, Http};
use serde_json::{Value, json};

pub type Vars = BTreeMap<String, String>;

pub struct Moto {
    process: Child,
    http: Http,
    /// The ARN of the key.
    pub key: String,
    id: String,
    secret: String,
}

// === impl Moto ===

impl Moto {
    pub async fn start() -> Self {
        let mut process = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/server.py"))
            .env("PYTHONPATH", installed())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = said.by_ref().map(Result::unwrap).find_map(|line| {
            let (_, address) = line.split_once("Running on ")?;
            Some(address.to_owned())
        });
        // A pipe that nobody empties would stop it.
        std::thread::spawn(move || said.for_each(drop));
        let mut moto = Self {
            process,
            http: Http::new(address.expect("it ended: run .ci/test-servers")),
            key: String::new(),
            id: String::new(),
            secret: String::new(),
        };
        moto.key = moto.new_key().await;
        moto.iam("CreateUser&UserName=ring").await;
        let access = moto.iam("CreateAccessKey&UserName=ring").await;
        moto.id = member(&access, "AccessKeyId");
        moto.secret = member(&access, "SecretAccessKey");
        let policy = policy("Allow", "kms:*");
        moto.iam(&format!(
            "PutUserPolicy&UserName=ring&PolicyName=may&PolicyDocument={policy}"
        ))
        .await;
        moto
    }

    /// The settings of that user.
    pub fn settings(&self) -> Vars {
        let mut vars = settings(&self.key);
        vars.insert("AWS_ACCESS_KEY_ID".into(), self.id.clone());
        vars.insert("AWS_SECRET_ACCESS_KEY".into(), self.secret.clone());
        vars.insert("AWS_KMS_ENDPOINT".into(), self.http.base().to_owned());
        vars
    }

    pub async fn new_key(&self) -> String {
        let made = self.kms("CreateKey", &json!({})).await;
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    /// The user may not do this any more.
    pub async fn deny(&self, action: &str) {
        let policy = policy("Deny", action);
        self.iam(&format!(
            "PutUserPolicy&UserName=ring&PolicyName=not&PolicyDocument={policy}"
        ))
        .await;
    }

    /// The settings that change for somebody in a role which may use the key.
    pub async fn assume_role(&self) -> Vars {
        self.iam("CreateRole&RoleName=ring&AssumeRolePolicyDocument={}")
            .await;
        let policy = policy("Allow", "kms:*");
        self.iam(&format!(
            "PutRolePolicy&RoleName=ring&PolicyName=may&PolicyDocument={policy}"
        ))
        .await;
        let role = "arn:aws:iam::123456789012:role/ring";
        let query = format!("AssumeRole&RoleArn={role}&RoleSessionName=s&Version=2011-06-15");
        let assumed = self.query("sts", &query).await;
        let var = |name: &str, of: &str| (name.to_owned(), member(&assumed, of));
        Vars::from([
            var("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            var("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            var("AWS_SESSION_TOKEN", "SessionToken"),
        ])
    }

    /// As somebody who may do everything.
    pub async fn kms(&self, action: &str, body: &Value) -> Value {
        let call = Call::post("/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{action}"))
            .body(body.to_string());
        let text = self.unchecked("kms", call).await;
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn iam(&self, query: &str) -> String {
        self.query("iam", &format!("{query}&Version=2010-05-08"))
            .await
    }

    async fn query(&self, service: &str, query: &str) -> String {
        let call = Call::post("/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("Action={query}"));
        self.unchecked(service, call).await
    }

    /// Signatures and policies count again afterwards.
    async fn unchecked(&self, service: &str, call: Call) -> String {
        self.check_after("inf").await;
        let scope = format!("Credential=AKIAANYBODY/20260101/eu-central-1/{service}/aws4_request");
        let signed = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0");
        let call = call.header("authorization", signed);
        let answer = self.http.send(call).await.unwrap();
        assert!(answer.status.is_success(), "{}", answer.text());
        self.check_after("0").await;
        answer.text()
    }

    async fn check_after(&self, requests: &'static str) {
        let call = Call::post("/moto-api/reset-auth")
            .header("content-type", "application/octet-stream")
            .body(requests);
        self.http.send(call).await.unwrap().expect(200).unwrap();
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Settings with nobody behind them.
pub fn settings(key: &str) -> Vars {
    let vars = [
        ("KEY_RING_KMS", "aws-kms"),
        ("AWS_KMS_KEY_ID", key),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIANOBODY"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    vars.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn policy(effect: &str, action: &str) -> String {
    let statement = json!({"Effect": effect, "Action": action, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// What stands in this element of an XML answer.
fn member(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

/// Where `.ci/test-servers` has put it, found from where the test itself is.
fn installed() -> std::path::PathBuf {
    let ourselves = std::env::current_exe().unwrap();
    let target = ourselves.ancestors().nth(3).unwrap();
    let place = target.join("test-servers/aws");
    assert!(place.exists(), "run .ci/test-servers first");
    place
}

pub const SECRET: &str = "planted-aws-secret-0123456789";
