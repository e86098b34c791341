//! Proofs of possession (DPoP, RFC 9449) at a control plane. Which ones were used is in the database,
//! so that every control plane knows: a nonce only makes a proof fresh here, whoever gave it out.

use axum::http::{HeaderMap, Method};

use ah5_edge::dpop::{self, Fault};
use ah5_security::dpop::nonce::Arbiter;
use ah5_security::dpop::{Asked, Proof};
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, dpop_proofs};

use crate::app::{App, now};

/// To an agent of which proofs are demanded, and which has none.
pub const REQUIRED: &str =
    "The agent's tokens must be bound to a key: ask for one with a DPoP proof";

/// The proof by which whoever asks for a token wants it bound; none where he doesn't.
pub fn shown(
    app: &App,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Option<Proof>, Fault> {
    let asked = Asked {
        method: method.as_str(),
        origins: &app.origins,
        path,
        token: None,
        now: now(),
    };
    let proof = dpop::shown(headers, &asked)?;
    if let Some(proof) = &proof {
        check_nonce(app, proof)?;
    }
    Ok(proof)
}

/// Refuses a proof without a nonce of ours, or with an old one.
pub fn check_nonce(app: &App, proof: &Proof) -> Result<(), Fault> {
    let nonce = proof.nonce.as_deref();
    if nonce.is_some_and(|nonce| app.ring().nonces.read(nonce, now()).is_some()) {
        return Ok(());
    }
    Err(Fault::Nonce(
        app.ring().nonces.issue(Arbiter::Control, now()),
    ))
}

/// Uses the proof up, in the transaction of what it is for.
pub async fn spend(tenant: &Tenant<'_>, proof: &Proof) -> Result<Result<(), Fault>, StoreError> {
    let fresh = dpop_proofs::spend(&**tenant, &proof.id, proof.expires).await?;
    Ok(if fresh { Ok(()) } else { Err(Fault::used()) })
}
