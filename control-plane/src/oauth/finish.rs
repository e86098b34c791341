//! Tokens become a connection, or take the place of an old connection's: in one transaction, after the
//! provider was asked whose they are. A revoked connection never comes back, and no account takes
//! another's place.

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::connection::Auth;
use ah5_contracts::id::{ConnectionId, PolicyId, WorkspaceId};
use ah5_oauth::client::Client;
use ah5_oauth::token::TokenSet;
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, SealContext};
use ah5_store::connections::{self, Connection, NewConnection, NewOAuth, Renewed};
use ah5_store::credentials;
use ah5_store::pending_connections::Pending;
use ah5_store::revocations::{self, Unwanted};
use ah5_store::tenant::Tenant;
use serde_json::{Value, json};

use crate::app::{App, Record};
use crate::error::AppError;
use crate::{room, vault};

use super::account::{self, Account};
use super::begin::token_url;
use super::complete::{Failed, pool_key};
use super::{clients, policy, scopes};

pub struct Done {
    pub connection: ConnectionId,
    /// That was made for an agent's request.
    pub policy: Option<PolicyId>,
}

/// Everything about it that is stored.
struct Grant<'a> {
    client: &'a Client,
    token_url: String,
    tokens: &'a TokenSet,
    account: Account,
    scopes: Vec<String>,
}

pub async fn finish(
    app: &App,
    workspace: WorkspaceId,
    pending: &Pending,
    client: &Client,
    tokens: &TokenSet,
) -> Result<Done, Failed> {
    let place = (&*pending.service, &*pending.base_url);
    check_place(place)?;
    let account = account::of(app, pool_key(workspace, pending), client, place, tokens).await;
    let (said, refreshes) = (tokens.scopes.as_deref(), tokens.refresh.is_some());
    let grant = Grant {
        token_url: token_url(client)?,
        scopes: scopes::granted(client, &pending.scopes, said, refreshes),
        client,
        tokens,
        account,
    };
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let key = vault::key(app, &tenant).await?;
    let done = match pending.reauth {
        Some(connection) => renew(app, &tenant, &key, pending, connection, &grant).await?,
        None => Ok(create(app, &tenant, &key, pending, &grant).await?),
    };
    tenant.commit().await?;
    done.map_err(Failed::told)
}

/// Before a token goes there: where a service's credential may go is in the catalogue.
fn check_place((service, base_url): (&str, &str)) -> Result<(), Failed> {
    let base = CanonicalUrl::parse(base_url).ok();
    let service = catalogue::find(service);
    match service
        .zip(base)
        .is_some_and(|(service, base)| service.pins(&base))
    {
        true => Ok(()),
        false => Err(AppError::internal("a consent for a place of no service").into()),
    }
}

async fn create(
    app: &App,
    tenant: &Tenant<'_>,
    key: &DataKey,
    pending: &Pending,
    grant: &Grant<'_>,
) -> Result<Done, Failed> {
    room::check(app, tenant).await?;
    let id = ConnectionId::random();
    let (sealed, sealed_refresh) =
        grant.seal(tenant, key, &pending.service, (id, 1), &pending.base_url);
    let auth = serde_json::to_value(Auth::Bearer).map_err(AppError::internal)?;
    let new = NewConnection {
        id,
        provider: &pending.provider,
        service: &pending.service,
        label: &pending.label,
        base_url: &pending.base_url,
        auth: &auth,
        granted_scopes: &grant.scopes,
        oauth: Some(NewOAuth {
            app: grant.client.app,
            token_url: &grant.token_url,
            account: grant.account.name.as_deref(),
            asked_scopes: &pending.scopes,
            sealed_refresh: sealed_refresh.as_deref(),
            expires_at: grant.tokens.expires_at,
        }),
        mail: None,
        sealed: &sealed,
    };
    connections::insert(tenant, &new).await?;
    let metadata = Value::Object(grant.account.metadata.clone());
    connections::set_metadata(tenant, id, &metadata).await?;
    let details = grant.details(pending, &pending.label);
    let record = Record::new(actor(pending), Action::ConnectionCreated, details);
    app.record(tenant, record.connection(id)).await?;
    let policy = policy::for_request(app, tenant, pending, id).await?;
    Ok(Done {
        connection: id,
        policy,
    })
}

/// A refusal leaves behind that the new tokens are taken back at the provider.
async fn renew(
    app: &App,
    tenant: &Tenant<'_>,
    key: &DataKey,
    pending: &Pending,
    id: ConnectionId,
    grant: &Grant<'_>,
) -> Result<Result<Done, &'static str>, Failed> {
    let connection = connections::lock(tenant, id).await?;
    let connection = connection.ok_or_else(|| Failed::told(REVOKED))?;
    if let Err(why) = check(&connection, &grant.account) {
        grant.give_back(tenant, key, &connection).await?;
        return Ok(Err(why));
    }
    // Whoever refreshes at the same time writes another version: then it is tried with that one.
    for _ in 0..ATTEMPTS {
        let old = credentials::get(tenant, id).await?;
        let version = old.ok_or_else(|| Failed::told(REVOKED))?.version;
        let (service, base_url) = (&connection.service, &connection.base_url);
        let (sealed, sealed_refresh) =
            grant.seal(tenant, key, service, (id, version + 1), base_url);
        let metadata = Value::Object(grant.account.metadata.clone());
        let new = Renewed {
            app: grant.client.app,
            token_url: &grant.token_url,
            account: grant.account.name.as_deref(),
            asked_scopes: &pending.scopes,
            granted_scopes: &grant.scopes,
            metadata: (!grant.account.metadata.is_empty()).then_some(&metadata),
            sealed: &sealed,
            sealed_refresh: sealed_refresh.as_deref(),
            expires_at: grant.tokens.expires_at,
        };
        if connections::reauthorize(tenant, id, version, &new).await? {
            let details = grant.details(pending, &connection.label);
            let record = Record::new(actor(pending), Action::ConnectionReauthorized, details);
            app.record(tenant, record.connection(id)).await?;
            return Ok(Ok(Done {
                connection: id,
                policy: None,
            }));
        }
    }
    Err(AppError::unavailable().into())
}

/// Policies were written for one account; another must not slip under them.
fn check(connection: &Connection, account: &Account) -> Result<(), &'static str> {
    if connection.status == "revoked" {
        return Err(REVOKED);
    }
    match (&connection.account, &account.name) {
        (Some(known), Some(now)) if known != now => Err(OTHER_ACCOUNT),
        (Some(_), None) => Err(UNKNOWN_ACCOUNT),
        _ => Ok(()),
    }
}

fn actor(pending: &Pending) -> (ActorKind, String) {
    (ActorKind::User, pending.user.to_string())
}

const REVOKED: &str = "Connection has been revoked";
const OTHER_ACCOUNT: &str = "This is another account than the one that was connected";
const UNKNOWN_ACCOUNT: &str = "The provider does not say whose account this is; try again later";
const ATTEMPTS: usize = 3;

// === impl Grant ===

impl Grant<'_> {
    /// Access token and refresh token, each for this connection, version and destination alone.
    fn seal(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        service: &str,
        (connection, version): (ConnectionId, i64),
        base_url: &str,
    ) -> (Vec<u8>, Option<Vec<u8>>) {
        let (token_url, app) = (Some(&*self.token_url), self.client.app);
        let destinations = connections::destinations(base_url, token_url, app, None);
        let seal = |field: &str, secret: &SecretText| {
            let context = SealContext {
                workspace: tenant.workspace(),
                connection,
                field,
                version,
                service,
                auth: &Auth::Bearer,
                destinations: &destinations,
            };
            key.seal(&context, secret)
        };
        let refresh = self.tokens.refresh.as_ref();
        (
            seal(vault::SECRET, &self.tokens.access),
            refresh.map(|token| seal(vault::REFRESH, token)),
        )
    }

    /// To the provider. Of an account that it does not name it is not known what else would go.
    async fn give_back(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        connection: &Connection,
    ) -> Result<(), Failed> {
        let Some(account) = &self.account.name else {
            return Ok(());
        };
        let (service, base_url) = (&connection.service, &connection.base_url);
        let place = (connection.id, revocations::UNWANTED);
        let (access, refresh) = self.seal(tenant, key, service, place, base_url);
        let unwanted = Unwanted {
            auth: &serde_json::to_value(Auth::Bearer).map_err(AppError::internal)?,
            token_url: &self.token_url,
            oauth_app: self.client.app,
            account,
            is_refresh: refresh.is_some(),
            sealed: refresh.as_ref().unwrap_or(&access),
        };
        revocations::queue_unwanted(tenant, connection.id, &unwanted).await?;
        Ok(())
    }

    fn details(&self, pending: &Pending, label: &str) -> Value {
        json!({
            "provider": pending.provider, "service": pending.service, "label": label,
            "client": clients::called(self.client), "grantedScopes": self.scopes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_takes_anothers_place() {
        let account = |name: Option<&str>| Account {
            name: name.map(str::to_owned),
            ..Account::default()
        };
        let fits = |known: Option<&str>, now: Option<&str>| {
            let connection = Connection {
                account: known.map(str::to_owned),
                ..connection()
            };
            check(&connection, &account(now)).is_ok()
        };
        assert!(fits(Some("1"), Some("1")) && fits(None, Some("1")) && fits(None, None));
        assert!(!fits(Some("1"), Some("2")) && !fits(Some("1"), None));
    }

    fn connection() -> Connection {
        Connection {
            preview: None,
            id: ConnectionId::random(),
            provider: "github".into(),
            service: "github".into(),
            label: "l".into(),
            status: "healthy".into(),
            base_url: "https://api.github.com/".into(),
            auth: Value::Null,
            oauth_app: None,
            token_url: None,
            mail: None,
            account: None,
            asked_scopes: Vec::new(),
            granted_scopes: Vec::new(),
            reauth_reason: None,
            metadata: Value::Null,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            updated_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }
}
