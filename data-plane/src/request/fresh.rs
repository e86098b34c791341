//! A connection's credential for whoever hands it out.

use ah5_contracts::id::ConnectionId;
use ah5_security::secret::SecretText;
use jiff::Timestamp;

use super::{Caller, Kind, Refusal, renewal, unseal};
use crate::plane::Plane;

/// A token, and when its life ends.
///
/// # Errors
/// 403 for one that has no end; as [`secret`].
pub async fn token(
    plane: &Plane,
    caller: &mut Caller,
    id: ConnectionId,
) -> Result<(SecretText, Timestamp), Refusal> {
    let (secret, expires) = secret(plane, caller, id).await?;
    let endless = || {
        let error = "The connection's token does not expire: it is not handed out";
        Refusal::forbidden(
            error,
            Some("Use Model B: the call is made for you.".to_owned()),
        )
    };
    Ok((secret, expires.ok_or_else(endless)?))
}

/// # Errors
/// 409 for connections that are not healthy, 503 while a token can't be renewed.
pub async fn secret(
    plane: &Plane,
    caller: &mut Caller,
    id: ConnectionId,
) -> Result<(SecretText, Option<Timestamp>), Refusal> {
    if let Some(fresh) = renewal::ahead(plane, caller, id).await? {
        let secret = SecretText::new(fresh.access.expose().to_owned());
        return Ok((secret, fresh.expires_at));
    }
    let connection = unseal::connection(caller, id)?;
    let expires = connection.credential.as_ref().and_then(|it| it.expires);
    let secret = unseal::secret(caller, id, connection)?;
    let expires = expires.map(Timestamp::from_second).transpose();
    let expires = expires.map_err(Refusal::internal)?;
    if expires.is_some_and(|end| end <= Timestamp::now()) {
        let error = "The connection's token has expired and could not be renewed yet";
        return Err(Refusal::unavailable(Kind::Upstream, error));
    }
    Ok((secret, expires))
}
