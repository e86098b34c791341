//! Fields in a word each, and the schemas that they stand for: `string`, `uuid`, `time`, `email`,
//! `integer`, `boolean`, `object`, `any`; `[kind]` for a list, `kind|null`, `one|of|these` words,
//! and the name of a shape below. A field whose name ends in `?` may be missing.

use serde_json::{Map, Value, json};

pub type Fields = &'static [(&'static str, &'static str)];

/// The name as it is on the wire, and whether it must be there.
pub fn name(field: &'static str) -> (&'static str, bool) {
    field
        .strip_suffix('?')
        .map_or((field, true), |name| (name, false))
}

pub fn object(fields: Fields) -> Value {
    let required = fields
        .iter()
        .map(|(field, _)| name(field))
        .filter(|(_, required)| *required);
    let required: Vec<&str> = required.map(|(name, _)| name).collect();
    let properties = fields
        .iter()
        .map(|(field, kind)| (name(field).0.to_owned(), schema(kind)));
    let properties: Map<String, Value> = properties.collect();
    let mut json = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        json["required"] = required.into();
    }
    json
}

pub fn schema(kind: &str) -> Value {
    if let Some(kind) = kind.strip_suffix("|null") {
        return json!({"anyOf": [schema(kind), {"type": "null"}]});
    }
    if let Some(kind) = kind
        .strip_prefix('[')
        .and_then(|kind| kind.strip_suffix(']'))
    {
        return json!({"type": "array", "items": schema(kind)});
    }
    match kind {
        "any" => json!({}),
        "boolean" | "integer" | "object" | "string" => json!({"type": kind}),
        "email" | "uuid" => json!({"type": "string", "format": kind}),
        "time" => json!({"type": "string", "format": "date-time"}),
        words if words.contains('|') => {
            json!({"type": "string", "enum": words.split('|').collect::<Vec<_>>()})
        }
        shape => json!({"$ref": format!("#/components/schemas/{shape}")}),
    }
}

pub fn named() -> Value {
    let named = SHAPES
        .iter()
        .map(|(name, fields)| ((*name).to_owned(), object(fields)));
    named.collect::<Map<_, _>>().into()
}

const SHAPES: &[(&str, Fields)] = &[
    (
        "Agent",
        &[
            ("id", "uuid"),
            ("name", "string"),
            ("description", "string|null"),
            ("iconUrl", "string|null"),
            ("status", "string"),
            ("enrolledAt", "time|null"),
            ("createdAt", "time"),
            ("updatedAt?", "time"),
            ("requireDpop", "boolean"),
        ],
    ),
    (
        "Channel",
        &[
            ("id", "uuid"),
            ("channelType", "string"),
            ("enabled", "boolean"),
            ("connectionId", "uuid|null"),
            ("config", "object"),
            ("verificationStatus", "pending|verified"),
            ("error", "string|null"),
            ("createdAt?", "time"),
            ("secret?", "string"),
        ],
    ),
    (
        "Connection",
        &[
            ("id", "uuid"),
            ("provider", "string"),
            ("service?", "string"),
            ("label", "string"),
            ("status", "string"),
            ("baseUrl?", "string|null"),
            ("grantedScopes?", "[string]"),
            ("missingScopes?", "[string]"),
            ("reauthReason?", "string|null"),
            ("createdAt?", "time"),
            ("updatedAt?", "time"),
            ("singleton?", "boolean"),
            ("metadata?", "object"),
            ("credentialPreview?", "object|null"),
            ("policies?", "[object]"),
        ],
    ),
    (
        "Error",
        &[
            ("error?", "string"),
            ("hint?", "string"),
            ("reason?", "string"),
            ("auditId?", "string"),
            ("retryAfter?", "integer"),
            ("code?", "string"),
            ("message?", "string"),
            ("statusCode?", "integer"),
        ],
    ),
    (
        "Event",
        &[
            ("auditId", "string"),
            ("timestamp", "time"),
            ("action", "string"),
            ("decision", "string"),
        ],
    ),
    (
        "Invitation",
        &[
            ("id", "uuid"),
            ("role", "string"),
            ("expiresAt", "time"),
            ("email?", "string"),
            ("createdAt?", "time"),
            ("workspaceId?", "uuid"),
            ("workspaceName?", "string"),
        ],
    ),
    (
        "Member",
        &[
            ("userId", "uuid"),
            ("name", "string"),
            ("email", "string"),
            ("role", "string"),
            ("joinedAt", "time"),
        ],
    ),
    (
        "Notification",
        &[
            ("id", "uuid"),
            ("type", "string"),
            ("title", "string"),
            ("body", "string"),
            ("linkUrl", "string|null"),
            ("read", "boolean"),
            ("metadata", "object|null"),
            ("createdAt", "time"),
        ],
    ),
    (
        "OAuthApp",
        &[
            ("id", "uuid"),
            ("provider", "string"),
            ("clientId", "string"),
            ("tenantId", "string|null"),
            ("label", "string"),
            ("endpoints?", "object"),
            ("createdAt", "time"),
            ("updatedAt", "time"),
        ],
    ),
    (
        "Policy",
        &[
            ("id", "uuid"),
            ("agentId", "uuid"),
            ("connectionId", "uuid"),
            ("allowedModels", "[string]"),
            ("defaultMode", "string"),
            ("stepUpApproval", "string"),
            ("audit", "string"),
            ("allowlists", "any"),
            ("rateLimits", "any"),
            ("timeWindows", "any"),
            ("rules", "any"),
            ("providerConstraints", "any"),
            ("securityPreset", "string|null"),
            ("createdAt", "time"),
            ("updatedAt", "time"),
        ],
    ),
    (
        "Token",
        &[
            ("id", "uuid"),
            ("name", "string"),
            ("scopes", "[string]"),
            ("expiresAt", "time"),
            ("lastUsedAt", "time|null"),
            ("createdAt", "time"),
            ("isExpired", "boolean"),
        ],
    ),
];
