//! Takes a grant back at its provider (RFC 7009), as far as the provider has a way to.

use ah5_net::{PoolKey, Upstreams};
use ah5_security::secret::SecretText;

use crate::client::Client;
use crate::token::{TokenError, post};

/// What became of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The provider took it back, or knew of none any more.
    Done,
    /// The provider has no way: the person has to do it there.
    NoWay,
}

/// `token` is the refresh token if there is one: with it goes the whole grant.
///
/// # Errors
/// [`TokenError`]: it may be tried again.
pub async fn revoke(
    net: &Upstreams,
    key: PoolKey,
    client: &Client,
    token: &SecretText,
    is_refresh: bool,
) -> Result<Revoked, TokenError> {
    let Some(url) = client.revoke_url() else {
        return Ok(Revoked::NoWay);
    };
    let hint = match is_refresh {
        true => "refresh_token",
        false => "access_token",
    };
    let fields = vec![("token", token.expose()), ("token_type_hint", hint)];
    match post(net, key, client, &url.to_string(), fields).await {
        Ok(_) => Ok(Revoked::Done),
        // Already gone: Google says so with 400.
        Err(TokenError::Grant(_)) => Ok(Revoked::Done),
        Err(TokenError::Refused(said)) if said.error == "invalid_token" => Ok(Revoked::Done),
        Err(error) => Err(error),
    }
}
