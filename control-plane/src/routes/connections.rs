//! Connections: provider accounts whose credentials agents may use and never see.

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::connection::Auth;
use ah5_contracts::id::ConnectionId;
use ah5_providers::custom::{self, Custom};
use ah5_security::secret::SecretText;
use ah5_security::vault::{Destinations, SealContext};
use ah5_store::agents;
use ah5_store::connections::{self, Connection, NewConnection};
use ah5_store::policies::{self, Policy};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::{Input, not_blank};
use crate::routes::policies::policy_json;
use crate::vault;

pub mod bot_token;
pub mod oauth;
pub mod reauth;

const MAX_LABEL: usize = 100;

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let (found, policies) = (
        connections::list(&tenant).await?,
        policies::list(&tenant).await?,
    );
    let names = agents::list(&tenant).await?;
    tenant.commit().await?;
    let name = |policy: &Policy| {
        names
            .iter()
            .find(|a| a.id == policy.agent)
            .map(|a| a.name.clone())
    };
    let shown = found.iter().filter_map(|connection| {
        let mut of: Vec<&Policy> = policies
            .iter()
            .filter(|p| p.connection == connection.id)
            .collect();
        // An agent sees what it may use, and nobody else's policies.
        if let Caller::Agent { id, .. } = &caller {
            of.retain(|policy| policy.agent == *id);
            if of.is_empty() {
                return None;
            }
        }
        let policies = of.iter().map(|policy| {
            let mut json = policy_json(policy);
            json["agentName"] = name(policy).into();
            json["actionTemplateId"] = policy.action_template.clone().into();
            json
        });
        Some(connection_json(connection, policies.collect()))
    });
    Ok(Json(json!({"connections": shown.collect::<Vec<_>>()})).into_response())
}

pub async fn connect(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let provider = only(&input, "provider", custom::PROVIDER)?;
    let service = only(&input, "service", custom::SERVICE)?;
    let secret = not_blank(&input.text("apiKey")?, "apiKey is required")?;
    let secret = SecretText::new(secret);
    let label = input
        .optional_text("label")?
        .unwrap_or_else(|| format!("{provider} connection"));
    let label = check_label(&label)?;
    let auth = auth(&input)?;
    let plain_http = |host: &str, port| app.config.allows_plain_http(host, port);
    let checked = Custom::check(&input.text("baseUrl")?, auth, &secret, plain_http)
        .map_err(|fault| AppError::bad_request(format!("body/{fault}")))?;

    let (id, base_url) = (ConnectionId::random(), checked.base_url.to_string());
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let context = SealContext {
        workspace: tenant.workspace(),
        connection: id,
        field: vault::SECRET,
        version: 1,
        service,
        auth: &checked.auth,
        destinations: &Destinations::new(&base_url),
    };
    let sealed = vault::key(&app, &tenant).await?.seal(&context, &secret);
    let auth = serde_json::to_value(&checked.auth).map_err(AppError::internal)?;
    let new = NewConnection {
        id,
        provider,
        service,
        label: &label,
        base_url: &base_url,
        auth: &auth,
        granted_scopes: &[],
        oauth: None,
        mail: None,
        sealed: &sealed,
    };
    connections::insert(&tenant, &new).await?;
    let details = json!({"provider": provider, "service": service, "label": label});
    app.record(
        &tenant,
        Record::new(caller.actor(), Action::ConnectionCreated, details).connection(id),
    )
    .await?;
    tenant.commit().await?;
    let connection = json!({
        "id": id, "provider": provider, "service": service, "label": label, "status": "healthy",
    });
    let message = format!("{provider} connection created successfully");
    Ok(Json(json!({"connection": connection, "message": message})).into_response())
}

pub async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let unknown = || AppError::not_found("Connection not found");
    let id = id.parse()?;
    let found = connections::lock(&tenant, id).await?.ok_or_else(unknown)?;
    if !may_revoke(&tenant, &caller, id).await? {
        return Err(unknown());
    }
    if found.status == "revoked" {
        return Err(AppError::conflict("Connection is already revoked"));
    }
    connections::revoke(&tenant, found.id).await?;
    let details = json!({
        "provider": found.provider, "label": found.label, "previousStatus": found.status,
    });
    let mut record =
        Record::new(caller.actor(), Action::ConnectionRevoked, details).connection(found.id);
    if let Caller::Agent { id, .. } = &caller {
        record = record.agent(*id);
    }
    let audit_id = app.record(&tenant, record).await?;
    tenant.commit().await?;
    let connection = json!({
        "id": found.id, "provider": found.provider, "label": found.label, "status": "revoked",
    });
    let body = json!({"connection": connection, "revoked": true, "auditId": audit_id});
    Ok(Json(body).into_response())
}

/// An agent may give up what it was given, and learns of nothing else.
async fn may_revoke(
    tenant: &Tenant<'_>,
    caller: &Caller,
    connection: ConnectionId,
) -> Result<bool, AppError> {
    let Caller::Agent { id, .. } = caller else {
        return Ok(true);
    };
    let used = policies::in_use(tenant, *id).await?;
    Ok(used.iter().any(|used| used.policy.connection == connection))
}

fn check_label(text: &str) -> Result<String, AppError> {
    let label = not_blank(text, "body/label must NOT have fewer than 1 characters")?;
    if label.chars().count() > MAX_LABEL {
        return Err(AppError::bad_request(
            "body/label must NOT have more than 100 characters",
        ));
    }
    Ok(label)
}

/// A field with one legal value so far.
fn only(input: &Input, name: &str, value: &'static str) -> Result<&'static str, AppError> {
    if !input.has(name) {
        let why = format!("body must have required property '{name}'");
        return Err(AppError::bad_request(why));
    }
    let given = input.one_of(name, &[value]);
    let given = given.map_err(|error| error.hint(format!("Accepted: {value}")))?;
    given.ok_or_else(|| AppError::bad_request(format!("body/{name} must be string")))
}

fn auth(input: &Input) -> Result<Auth, AppError> {
    let auth = input.value("auth");
    let auth =
        auth.ok_or_else(|| AppError::bad_request("body must have required property 'auth'"))?;
    serde_json::from_value(auth.clone()).map_err(|_| {
        AppError::bad_request(
            "body/auth must be {\"kind\":\"bearer\"}, {\"kind\":\"header\",\"name\"}, \
             {\"kind\":\"query\",\"name\"} or {\"kind\":\"basic\",\"username\"}",
        )
    })
}

fn connection_json(connection: &Connection, policies: Vec<Value>) -> Value {
    json!({
        "id": connection.id, "provider": connection.provider, "service": connection.service,
        "label": connection.label, "status": connection.status, "singleton": false,
        "grantedScopes": connection.granted_scopes,
        "missingScopes": connection.missing_scopes(), "reauthReason": connection.reauth_reason,
        "metadata": connection.metadata,
        "baseUrl": connection.base_url, "createdAt": time(connection.created_at),
        "updatedAt": time(connection.updated_at), "credentialPreview": null, "policies": policies,
    })
}
