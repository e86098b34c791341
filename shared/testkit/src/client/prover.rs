//! Whoever proves possession of a key at each call (DPoP, RFC 9449), and takes the nonces it is given.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::signer::Signer;
use super::{Answer, Call, Http};

pub struct Prover {
    pub signer: Signer,
    /// The one that the next proof will have.
    pub nonce: Option<String>,
    /// The public one, wherever calls are really sent.
    origin: String,
}

// === impl Prover ===

impl Prover {
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn new(origin: &str) -> anyhow::Result<Self> {
        Ok(Self {
            signer: Signer::new()?,
            nonce: None,
            origin: origin.to_owned(),
        })
    }

    #[must_use]
    pub fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.signer.public_jwk()})
    }

    /// For this call and token.
    #[must_use]
    pub fn claims(&self, call: &Call, token: Option<&str>) -> Value {
        let path = call.target.split('?').next().unwrap_or_default();
        let mut claims = json!({
            "htm": call.method.as_str(), "htu": format!("{}{path}", self.origin),
            "iat": Timestamp::now().as_second(), "jti": uuid::Uuid::new_v4().to_string(),
        });
        if let Some(token) = token {
            claims["ath"] = URL_SAFE_NO_PAD
                .encode(Sha256::digest(token.as_bytes()))
                .into();
        }
        if let Some(nonce) = &self.nonce {
            claims["nonce"] = nonce.as_str().into();
        }
        claims
    }

    /// A good one.
    ///
    /// # Errors
    /// The key can't sign.
    pub fn proof(&self, call: &Call, token: Option<&str>) -> anyhow::Result<String> {
        self.signer.sign(&self.header(), &self.claims(call, token))
    }

    /// The call as it is to be sent: with the token, if there is one, and a proof.
    ///
    /// # Errors
    /// The key can't sign.
    pub fn prove(&self, call: Call, token: Option<&str>) -> anyhow::Result<Call> {
        let proof = self.proof(&call, token)?;
        let call = match token {
            Some(token) => call.header("authorization", format!("DPoP {token}")),
            None => call,
        };
        Ok(call.header("dpop", proof))
    }

    /// Sends it once, and remembers the nonce of the answer.
    ///
    /// # Errors
    /// No answer.
    pub async fn try_once(
        &mut self,
        http: &Http,
        call: Call,
        token: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let answer = http.send(self.prove(call, token)?).await?;
        if let Some(nonce) = answer.header("dpop-nonce") {
            self.nonce = Some(nonce.to_owned());
        }
        Ok(answer)
    }

    /// Sends it, and if the answer asks for another nonce, once more with that.
    ///
    /// # Errors
    /// No answer.
    pub async fn send(
        &mut self,
        http: &Http,
        call: Call,
        token: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let answer = self.try_once(http, call.clone(), token).await?;
        if answer.contains("use_dpop_nonce") {
            return self.try_once(http, call, token).await;
        }
        Ok(answer)
    }
}
