//! From rows to the compiled form. What doesn't compile denies; it never stands for "no condition".

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use ah5_contracts::connection::{Auth, ConnectionStatus, Mail};
use ah5_contracts::scope::Scopes;
use ah5_mail::mailbox::Owner;
use ah5_policy::compile::PlainHttp;
use ah5_policy::{CanonicalUrl, CompiledPolicy, Patterns, PolicySource};
use ah5_providers::catalogue;
use ah5_security::hash::sha256;
use ah5_security::ring::{KeyRing, PublicKeyRow};
use ah5_security::token::{KeyKind, VerificationKey};
use ah5_store::snapshot::{
    ConnectionRow, GlobalRows, KeyRow, MailboxRow, PolicyRow, WorkspaceRows,
};
use jiff::Timestamp;
use serde::Deserialize as _;
use tokio::time::Instant;

use super::{
    Agent, Compiled, Connection, Credential, Globals, Mailbox, PersonalToken, Policy, Workspace,
    due,
};

/// `before` is what is published now: policies that have not changed are taken from it.
pub(super) fn workspace(
    rows: WorkspaceRows,
    before: Option<&Workspace>,
    ring: &KeyRing,
    plain_http: PlainHttp<'_>,
    patterns: &mut Patterns,
) -> Workspace {
    let id = rows.workspace;
    let key = rows.data_key.and_then(|stored| {
        let key = ring.unwrap_pair(id, &stored.current, stored.previous.as_ref());
        key.inspect_err(|_| tracing::error!(workspace = %id, "the data key does not open"))
            .ok()
    });
    let agents = rows.agents.into_iter().map(|row| {
        let active = row.status == "active";
        (
            row.id,
            Agent {
                active,
                epoch: row.epoch,
                require_dpop: row.require_dpop,
            },
        )
    });
    let connections = rows.connections.into_iter().filter_map(|row| {
        let id = row.id;
        let compiled = connection(row);
        if compiled.is_none() {
            tracing::error!(connection = %id, "the connection's row is malformed; calls are refused");
        }
        Some((id, compiled?))
    });
    let (agents, connections): (HashMap<_, _>, HashMap<_, _>) =
        (agents.collect(), connections.collect());
    let mut policies: HashMap<_, Vec<Policy>> = HashMap::new();
    for row in rows.policies {
        let known = agents.contains_key(&row.agent) && connections.contains_key(&row.connection);
        if !known || row.status != "active" {
            continue;
        }
        let place = (row.agent, row.connection);
        policies
            .entry(place)
            .or_default()
            .push(policy(&row, before, plain_http, patterns));
    }
    let members = rows
        .members
        .into_iter()
        .filter_map(|row| Some((row.user, row.role.parse().ok()?)));
    // A token with a scope that this build doesn't know is no token.
    let personal_tokens = rows.personal_tokens.into_iter().filter_map(|row| {
        let token = PersonalToken {
            id: row.id,
            user: row.user,
            scopes: Scopes::parse(&row.scopes).ok()?,
            expires: row.expires,
        };
        Some((row.hash.try_into().ok()?, token))
    });
    Workspace {
        allowed: rows.allowed,
        key,
        agents,
        connections,
        policies,
        members: members.collect(),
        personal_tokens: personal_tokens.collect(),
        version: rows.version,
    }
}

/// A key that the ring doesn't vouch for was put there by somebody else: it is left out. `None` where
/// all are such keys: it is the ring that is another one.
pub(super) fn globals(rows: GlobalRows, ring: &KeyRing) -> Option<Globals> {
    let is_empty = rows.keys.is_empty();
    let keys = rows.keys.into_iter().filter_map(|row| {
        let key = verification_key(&row, ring);
        if key.is_none() {
            tracing::error!(
                kid = row.kid,
                "a verification key is not vouched for by the key ring"
            );
        }
        Some((row.kid, key?))
    });
    let keys: HashMap<_, _> = keys.collect();
    (is_empty || !keys.is_empty()).then(|| Globals {
        key_set: key_set(&keys),
        keys,
        revoked_sessions: rows.revoked_sessions.into_iter().collect(),
        disabled_users: rows.disabled_users.into_iter().collect(),
        version: rows.version,
    })
}

// A key's id is its thumbprint, so the ids alone tell one set from another.
fn key_set(keys: &HashMap<String, VerificationKey>) -> u64 {
    let mut ids: Vec<&str> = keys.keys().map(String::as_str).collect();
    ids.sort_unstable();
    let mut hasher = DefaultHasher::new();
    ids.hash(&mut hasher);
    hasher.finish()
}

fn connection(row: ConnectionRow) -> Option<Connection> {
    let auth: Auth = serde_json::from_value(row.auth).ok()?;
    let service = catalogue::find(&row.service)?;
    let base = CanonicalUrl::parse(&row.base_url).ok()?;
    // Where a service's credential may go is in the catalogue, whatever the row says.
    if !service.pins(&base) {
        return None;
    }
    let mailbox = match (row.mailbox, &auth) {
        // Without its servers it is nothing that could be called.
        (None, Auth::Mail) => return None,
        (Some(row), Auth::Mail) => Some(Arc::new(mailbox(row)?)),
        (_, _) => None,
    };
    Some(Connection {
        base,
        destinations: row.destinations,
        mailbox,
        service,
        status: ConnectionStatus::from_stored(&row.status),
        auth,
        created: row.created_at.as_microsecond(),
        tenant: row.tenant.map(Into::into),
        credential: row.credential.map(|row| Credential {
            version: row.version,
            sealed: row.sealed,
            expires: row.expires_at.map(Timestamp::as_second),
            due: row
                .expires_at
                .filter(|_| row.is_refreshable)
                .map(|ends| due(row.issued_at.as_second(), ends.as_second())),
            is_refreshable: row.is_refreshable,
        }),
    })
}

fn mailbox(row: MailboxRow) -> Option<Mailbox> {
    let servers = Mail::deserialize(row.servers).ok()?;
    // Imported ones may name it nowhere else.
    let address = row.address.unwrap_or_else(|| servers.smtp.username.clone());
    Some(Mailbox {
        owner: Owner {
            address,
            name: row.name,
        },
        servers,
    })
}

fn policy(
    row: &PolicyRow,
    before: Option<&Workspace>,
    plain_http: PlainHttp<'_>,
    patterns: &mut Patterns,
) -> Policy {
    let earlier = before.and_then(|workspace| {
        workspace
            .policies
            .values()
            .flatten()
            .find(|p| p.id == row.id)
    });
    if let Some(same) = earlier.filter(|earlier| earlier.version == row.version) {
        return Policy {
            id: row.id,
            version: row.version,
            digest: same.digest,
            must_be_recorded: same.must_be_recorded,
            compiled: same.compiled.clone(),
        };
    }
    let source = PolicySource {
        allowed_models: &row.allowed_models,
        allowlists: &row.allowlists,
        default_mode: &row.default_mode,
        plain_http,
        provider_constraints: row.provider_constraints.as_ref(),
        rate_limits: row.rate_limits.as_ref(),
        rules: &row.rules,
        step_up: &row.step_up_approval,
        time_windows: &row.time_windows,
    };
    let compiled = match CompiledPolicy::compile_with(&source, patterns) {
        Ok(policy) => Compiled::Good(Arc::new(policy)),
        Err(error) => {
            tracing::error!(policy = %row.id, %error, "a stored policy does not compile");
            broken(earlier)
        }
    };
    Policy {
        id: row.id,
        version: row.version,
        digest: digest(row),
        // A word that this build doesn't know asks for more, not for less.
        must_be_recorded: row.audit != "best_effort",
        compiled,
    }
}

fn digest(row: &PolicyRow) -> [u8; 32] {
    let content = serde_json::json!([
        row.allowed_models,
        row.allowlists,
        row.audit,
        row.default_mode,
        row.provider_constraints,
        row.rate_limits,
        row.rules,
        row.step_up_approval,
        row.time_windows,
    ]);
    sha256(content.to_string().as_bytes())
}

// One broken version after another doesn't start the clock anew.
fn broken(earlier: Option<&Policy>) -> Compiled {
    match earlier.map(|earlier| &earlier.compiled) {
        Some(Compiled::Good(policy)) => Compiled::Broken {
            last_good: Some(policy.clone()),
            since: Instant::now(),
        },
        Some(broken) => broken.clone(),
        None => Compiled::Broken {
            last_good: None,
            since: Instant::now(),
        },
    }
}

fn verification_key(row: &KeyRow, ring: &KeyRing) -> Option<VerificationKey> {
    let public = PublicKeyRow {
        kid: &row.kid,
        kind: &row.kind,
        alg: &row.alg,
        public_jwk: &row.public_jwk,
    };
    let kind = KeyKind::from_stored(&row.kind)?;
    let vouched = ring.check_public_key(&public, &row.mac);
    vouched
        .then(|| VerificationKey::from_jwk(kind, &row.kid, &row.public_jwk).ok())
        .flatten()
}
