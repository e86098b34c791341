//! One entry a route, in the order of the table: what it is for, what it takes, what it gives.

use super::shapes::Fields;

pub struct Operation {
    /// Method and path, as in the table.
    pub route: &'static str,
    pub summary: &'static str,
    pub query: Fields,
    pub body: Option<Fields>,
    pub status: u16,
    pub answer: Answer,
}

pub enum Answer {
    Json(Fields),
    /// A shape, or a list of one.
    Named(&'static str),
    /// Only where to go.
    Nothing,
    /// Of these media types.
    Text(&'static [&'static str]),
}

// === impl Operation ===

impl Operation {
    const fn new(route: &'static str, summary: &'static str, answer: Answer) -> Self {
        Self {
            route,
            summary,
            query: &[],
            body: None,
            status: 200,
            answer,
        }
    }

    const fn takes(mut self, body: Fields) -> Self {
        self.body = Some(body);
        self
    }

    const fn asks(mut self, query: Fields) -> Self {
        self.query = query;
        self
    }

    const fn redirects(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    const fn created(mut self) -> Self {
        self.status = 201;
        self
    }
}

const fn gives(route: &'static str, summary: &'static str, fields: Fields) -> Operation {
    Operation::new(route, summary, Answer::Json(fields))
}

const SUCCESS: Fields = &[("success", "boolean")];
const STATUS: Fields = &[("status", "boolean")];
const TOKEN: Fields = &[("token", "string"), ("expiresAt", "time")];
const CHANNEL: Fields = &[("channel", "Channel")];
const AGENT: Fields = &[("agent", "Agent")];
const BEGUN: Fields = &[
    ("pendingConnectionId", "uuid"),
    ("authorizationUrl", "string"),
    ("client", "workspace|installation"),
];
const REAUTHORIZED: Fields = &[
    ("connection?", "Connection"),
    ("message?", "string"),
    ("pendingConnectionId?", "uuid"),
    ("authorizationUrl?", "string"),
    ("client?", "workspace|installation"),
];
const CONSENT: Fields = &[
    ("service", "string"),
    ("scopes?", "[string]"),
    ("label?", "string"),
    ("agentId?", "uuid"),
    ("oauthAppId?", "uuid"),
    ("baseUrl?", "string"),
];
const NAVIGATION: Fields = &[
    ("service", "string"),
    ("scopes?", "string"),
    ("label?", "string"),
    ("workspaceId?", "uuid"),
];
const BACK: Fields = &[
    ("code?", "string"),
    ("state?", "string"),
    ("iss?", "string"),
    ("error?", "string"),
    ("error_description?", "string"),
];
const ENDED: Fields = &[
    ("success?", "string"),
    ("connectionId?", "string"),
    ("policyId?", "string"),
    ("error?", "string"),
];
const POLICY: Fields = &[("policy", "Policy")];
const FILTER: Fields = &[
    ("agentId?", "uuid"),
    ("connectionId?", "uuid"),
    ("action?", "string"),
    ("dateFrom?", "time"),
    ("dateTo?", "time"),
    ("cursor?", "string"),
    ("limit?", "integer"),
];
const EXPORT: Fields = &[
    ("agentId?", "uuid"),
    ("connectionId?", "uuid"),
    ("action?", "string"),
    ("dateFrom?", "time"),
    ("dateTo?", "time"),
    ("format?", "csv|json|jsonl"),
];
const CHANGE: Fields = &[
    ("allowedModels?", "[string]"),
    ("defaultMode?", "read_only|read_write|custom"),
    ("stepUpApproval?", "always|risk_based|never"),
    ("audit?", "best_effort|required"),
    ("allowlists?", "[object]"),
    ("rateLimits?", "object|null"),
    ("timeWindows?", "[object]"),
    ("rules?", "object"),
    ("providerConstraints?", "object|null"),
    ("securityPreset?", "string"),
    ("actionTemplateId?", "string"),
    ("acknowledgeUnfiltered?", "boolean"),
];
const NEW_POLICY: Fields = &[
    ("agentId", "uuid"),
    ("connectionId", "uuid"),
    ("allowedModels?", "[string]"),
    ("defaultMode?", "read_only|read_write|custom"),
    ("stepUpApproval?", "always|risk_based|never"),
    ("audit?", "best_effort|required"),
    ("allowlists?", "[object]"),
    ("rateLimits?", "object|null"),
    ("timeWindows?", "[object]"),
    ("rules?", "object"),
    ("providerConstraints?", "object|null"),
    ("securityPreset?", "string"),
    ("actionTemplateId?", "string"),
    ("policyTier?", "string"),
    ("acknowledgeUnfiltered?", "boolean"),
];

const MADE: Fields = &[("connection", "Connection"), ("message", "string")];
const REVOKED: Fields = &[
    ("connection", "Connection"),
    ("revoked", "boolean"),
    ("auditId", "string"),
];
const NEW_KEY: Fields = &[
    ("service", "string"),
    ("provider?", "string"),
    ("apiKey", "string"),
    ("appKey?", "string"),
    ("email?", "string"),
    ("siteUrl?", "string"),
    ("baseUrl?", "string"),
    ("auth?", "object"),
    ("label?", "string"),
];
const NEW_MAILBOX: Fields = &[
    ("email", "string"),
    ("password", "string"),
    ("username?", "string"),
    ("displayName?", "string"),
    ("imapHost", "string"),
    ("imapPort?", "integer"),
    ("imapTls?", "boolean"),
    ("imapSecurity?", "tls|starttls|none"),
    ("smtpHost", "string"),
    ("smtpPort?", "integer"),
    ("smtpStarttls?", "boolean"),
    ("smtpSecurity?", "tls|starttls|none"),
    ("label?", "string"),
];
const OTHER_CREDENTIAL: Fields = &[
    ("apiKey?", "string"),
    ("appKey?", "string"),
    ("botToken?", "string"),
    ("email?", "string"),
    ("siteUrl?", "string"),
    ("baseUrl?", "string"),
    ("auth?", "object"),
    ("password?", "string"),
    ("username?", "string"),
    ("displayName?", "string"),
    ("imapHost?", "string"),
    ("imapPort?", "integer"),
    ("imapTls?", "boolean"),
    ("imapSecurity?", "tls|starttls|none"),
    ("smtpHost?", "string"),
    ("smtpPort?", "integer"),
    ("smtpStarttls?", "boolean"),
    ("smtpSecurity?", "tls|starttls|none"),
];

#[rustfmt::skip]
pub const EVERY: &[Operation] = &[
    gives("GET /health", "Whether the process runs", &[("status", "string")]),
    gives("GET /v1/health", "Whether the process runs", &[("status", "string")]),
    gives("GET /v1/version", "Which build this is", &[("buildNumber", "string"), ("buildDate", "string"), ("gitSha", "string")]),
    gives("GET /.well-known/jwks.json", "The keys that verify our tokens (RFC 7517)", &[("keys", "[object]")]),
    Operation::new("GET /docs", "This document as a page", Answer::Text(&["text/html"])),
    gives("GET /docs/json", "This document", &[("openapi", "string"), ("paths", "object")]),
    Operation::new("GET /docs/yaml", "This document as YAML", Answer::Text(&["application/yaml"])),
    Operation::new("GET /", "A page that says what this is", Answer::Text(&["text/html"])),
    Operation::new("GET /login", "A form to sign in with a password", Answer::Text(&["text/html"])).asks(&[("callbackURL?", "string"), ("error?", "string"), ("verified?", "string")]),
    Operation::new("GET /dashboard", "What came of a flow in the browser, until there is a dashboard", Answer::Text(&["text/html"])).asks(ENDED),
    Operation::new("GET /dashboard/{page}", "The same", Answer::Text(&["text/html"])).asks(ENDED),
    Operation::new("GET /dashboard/{page}/{entry}", "The same", Answer::Text(&["text/html"])).asks(ENDED),
    gives("POST /api/auth/sign-up/email", "Makes an account with a workspace of its own", &[("user", "object")]).takes(&[("email", "email"), ("password", "string"), ("name", "string")]),
    gives("POST /api/auth/sign-in/email", "Begins a session: its cookie", &[("user", "object")]).takes(&[("email", "email"), ("password", "string"), ("rememberMe?", "boolean")]),
    gives("POST /api/auth/sign-out", "Ends the cookie's session", SUCCESS),
    Operation::new("GET /api/auth/get-session", "The cookie's session; null without one", Answer::Named("object|null")),
    gives("GET /api/auth/sign-in/providers", "Where people may sign in besides here", &[("providers", "[object]"), ("signUp", "any")]),
    gives("POST /api/auth/sign-in/social", "Begins to sign in elsewhere", &[("url?", "string")]).takes(&[("provider", "string"), ("callbackURL?", "string"), ("disableRedirect?", "boolean")]),
    Operation::new("GET /api/auth/callback/{provider}", "Where a sign-in provider sends people back to", Answer::Nothing).redirects(302),
    Operation::new("POST /api/auth/callback/{provider}", "The same for providers that post", Answer::Nothing).redirects(303),
    gives("GET /api/auth/verify-email", "Proves an address, by the link of a mail; with callbackURL it leads on", STATUS).asks(&[("token", "string"), ("callbackURL?", "string")]),
    gives("POST /api/auth/send-verification-email", "Sends that mail again", STATUS).takes(&[("email", "email"), ("callbackURL?", "string")]),
    gives("POST /api/auth/request-password-reset", "Sends a mail to set a new password, if there is such an account", &[("status", "boolean"), ("message", "string")]).takes(&[("email", "email"), ("redirectTo?", "string")]),
    Operation::new("GET /api/auth/reset-password/{token}", "Where that mail leads to", Answer::Nothing).asks(&[("callbackURL?", "string")]).redirects(302),
    gives("POST /api/auth/reset-password", "Sets a new password, by the token of the mail", STATUS).takes(&[("token", "string"), ("newPassword", "string")]),
    gives("POST /api/auth/link-social", "Begins to link an account elsewhere", &[("url?", "string")]).takes(&[("provider", "string"), ("callbackURL?", "string"), ("disableRedirect?", "boolean")]),
    gives("POST /api/auth/change-password", "Sets a new password, by the old one", &[("user", "object")]).takes(&[("currentPassword", "string"), ("newPassword", "string"), ("revokeOtherSessions?", "boolean")]),
    gives("POST /api/auth/verify-password", "Whether this is the person's password", STATUS).takes(&[("password", "string")]),
    gives("POST /api/auth/update-user", "Changes the person's name or picture", STATUS).takes(&[("name?", "string"), ("image?", "string|null")]),
    Operation::new("GET /api/auth/list-accounts", "How the person may sign in", Answer::Named("[object]")),
    Operation::new("GET /api/auth/list-sessions", "The person's live sessions", Answer::Named("[object]")),
    gives("POST /api/auth/revoke-session", "Ends one of the person's sessions", STATUS).takes(&[("token", "string")]),
    gives("POST /api/auth/revoke-sessions", "Ends all of the person's sessions", STATUS),
    gives("POST /api/auth/revoke-other-sessions", "Ends all of the person's sessions but this", STATUS),
    gives("POST /api/auth/token", "Turns the cookie's session into a user token of five minutes", TOKEN).takes(&[("workspaceId?", "uuid")]),
    gives("POST /api/internal/token/exchange", "The same under its older name", TOKEN).takes(&[("workspaceId?", "uuid")]),
    gives("POST /api/auth/reauthenticate", "Proves once more who is signed in: by passkey, if the account has one", STATUS).takes(&[("password?", "string"), ("response?", "object")]),
    gives("GET /api/auth/reauthenticate/options", "By what to prove it", &[("method", "password|passkey"), ("options", "object|null")]),
    Operation::new("GET /api/auth/passkey/generate-register-options", "What the authenticator needs to make a passkey", Answer::Named("object")),
    Operation::new("POST /api/auth/passkey/verify-registration", "Keeps the passkey that was made", Answer::Named("object")).takes(&[("response", "object"), ("name?", "string")]),
    Operation::new("GET /api/auth/passkey/generate-authenticate-options", "What the authenticator needs to sign somebody in", Answer::Named("object")),
    Operation::new("POST /api/auth/passkey/generate-authenticate-options", "The same for an address", Answer::Named("object")).takes(&[("email?", "string")]),
    Operation::new("POST /api/auth/passkey/verify-authentication", "Signs in by passkey", Answer::Named("object")).takes(&[("response", "object"), ("rememberMe?", "boolean")]),
    Operation::new("GET /api/auth/passkey/list-user-passkeys", "The person's passkeys", Answer::Named("[object]")),
    gives("POST /api/auth/passkey/update-passkey", "Names a passkey", &[("passkey", "object")]).takes(&[("id", "string"), ("name", "string")]),
    gives("POST /api/auth/passkey/delete-passkey", "Removes a passkey", STATUS).takes(&[("id", "string")]),
    gives("POST /v1/agents/bootstrap", "Registers an agent's public key, by its bootstrap secret", &[("agentId", "uuid")]).takes(&[("bootstrapSecret", "string"), ("publicKey", "object")]),
    gives("POST /v1/agents/token", "An agent token, for an assertion signed with the agent's key (RFC 7523) or a token that vouches for its workload (RFC 8693)", &[("access_token", "string"), ("token_type", "Bearer|DPoP"), ("expires_in", "integer"), ("issued_token_type?", "string")]).takes(&[("grant_type", "string"), ("client_assertion_type?", "string"), ("client_assertion?", "string"), ("subject_token_type?", "string"), ("subject_token?", "string"), ("audience?", "string")]),
    gives("GET /v1/agents", "The workspace's agents", &[("agents", "[Agent]")]),
    gives("POST /v1/agents", "Makes an agent; its bootstrap secret is shown this once", &[("agent", "Agent"), ("bootstrapSecret", "string")]).takes(&[("name", "string"), ("description?", "string"), ("iconUrl?", "string|null"), ("requireDpop?", "boolean")]),
    gives("GET /v1/agents/{id}", "One agent", AGENT),
    gives("PUT /v1/agents/{id}", "Changes what is given of an agent", AGENT).takes(&[("name?", "string"), ("description?", "string"), ("iconUrl?", "string|null"), ("requireDpop?", "boolean")]),
    gives("DELETE /v1/agents/{id}", "Removes an agent; its tokens end at once", SUCCESS),
    gives("POST /v1/agents/{id}/bootstrap-secret", "A new bootstrap secret; older ones end", &[("bootstrapSecret", "string")]),
    gives("POST /v1/agents/{id}/disable", "Ends an agent's tokens and streams until it is enabled", &[("success", "boolean"), ("tokensRevoked", "integer"), ("streamsEnded", "integer"), ("vendedTokens", "[object]")]),
    gives("POST /v1/agents/{id}/enable", "Lets a disabled agent get tokens again", &[]),
    Operation::new("PUT /v1/agents/{id}/owner", "Gives the agent to another member", Answer::Named("object")).takes(&[("userId", "uuid")]),
    gives("GET /v1/agents/{id}/trusts", "Whose word on a workload stands for the agent's signature", &[("trusts", "[object]")]),
    gives("POST /v1/agents/{id}/trusts", "Trusts an issuer's tokens for one subject", &[("trust", "object")]).takes(&[("issuer", "string"), ("subject", "string"), ("jwksUri?", "string")]).created(),
    gives("DELETE /v1/agents/{id}/trusts/{trust}", "Trusts it no longer; the agent's tokens end", SUCCESS),
    gives("GET /v1/agent-permission-requests", "What agents have asked for", &[("requests", "[object]")]).asks(&[("status?", "pending|all")]),
    gives("POST /v1/agent-permission-requests", "Asks for what an action template gives", &[("id", "uuid"), ("actionTemplateId", "string"), ("reason", "string"), ("createdAt", "time")]).takes(&[("actionTemplateId", "string"), ("reason", "string"), ("policyTier?", "strict|standard|minimal")]).created(),
    gives("DELETE /v1/agent-permission-requests/{id}", "Turns a request down", SUCCESS),
    gives("POST /v1/agent-permission-requests/{id}/approve", "What must be connected to grant it", &[("credentialType", "string"), ("service?", "string"), ("redirectUrl?", "string"), ("pendingConnectionId?", "uuid"), ("authorizationUrl?", "string"), ("client?", "string")]).takes(&[("policyTier?", "strict|standard|minimal"), ("allowedModels?", "[string]")]),
    gives("PATCH /v1/agent-permission-requests/{id}/approve-complete", "Grants it by a connection", SUCCESS).takes(&[("connectionId", "uuid")]),
    gives("GET /v1/capabilities/me", "What the agent has, has asked for and may ask for", &[("activeConnections", "[object]"), ("pendingRequests", "[object]"), ("availableActions", "[object]")]),
    gives("GET /v1/capabilities/services", "Services and their action templates", &[("services", "[object]"), ("oauthStatus", "object")]),
    gives("GET /v1/connections", "Connections; an agent sees those that it may use", &[("connections", "[Connection]")]),
    gives("POST /v1/connections/api-key", "Connects an account by a key, once its provider takes it", MADE).takes(NEW_KEY),
    gives("POST /v1/connections/anthropic-oauth", "Refuses tokens of a subscription", MADE).takes(&[("accessToken?", "string"), ("refreshToken?", "string")]),
    gives("POST /v1/connections/bot-token", "Connects a bot, once its provider knows the token", &[("connection", "Connection"), ("botInfo", "object"), ("label", "string"), ("message", "string")]).takes(&[("service", "telegram|slack"), ("botToken", "string"), ("label?", "string")]),
    gives("POST /v1/connections/email", "Connects a mailbox, once both of its servers take the password", MADE).takes(NEW_MAILBOX),
    gives("DELETE /v1/connections/{id}", "Ends a connection for good", REVOKED),
    gives("PUT /v1/connections/{id}/credentials", "Replaces the credential, once its provider takes the new one", MADE).takes(OTHER_CREDENTIAL),
    gives("PUT /v1/connections/{id}/label", "Calls it something else", &[("connection", "object")]).takes(&[("label", "string")]),
    gives("POST /v1/connections/{id}/lookup", "Names of a Slack workspace's channels or people", &[("items", "[object]")]).takes(&[("type", "channels|users")]),
    gives("POST /v1/connections/{id}/reauth", "Connects the account anew: by another credential, or by a new consent that begins with this", REAUTHORIZED).takes(OTHER_CREDENTIAL),
    gives("POST /v1/connections/{id}/revoke", "Ends a connection for good", REVOKED),
    gives("POST /v1/connections/{id}/test", "Whether the provider still takes the credential", &[("ok", "boolean"), ("provider", "string"), ("detail", "string")]),
    gives("POST /v1/connections/start", "Begins to connect an account by OAuth: where the browser is to go", BEGUN).takes(CONSENT),
    Operation::new("GET /api/connections/callback", "Where providers send people back to", Answer::Nothing).redirects(302),
    Operation::new("GET /v1/connections/callback", "Ends it, in the session of who began", Answer::Nothing).asks(BACK).redirects(302),
    Operation::new("GET /v1/connections/parked", "Asks whether to go on with what came back before its person had signed in", Answer::Text(&["text/html"])),
    Operation::new("POST /v1/connections/parked", "The answer, from that page", Answer::Text(&["text/html"])).takes(&[("decision", "connect|cancel")]).redirects(303),
    gives("POST /v1/connections/device/start", "Begins to connect an account by a device code (RFC 8628)", &[("pendingConnectionId", "uuid"), ("userCode", "string"), ("verificationUri", "string"), ("verificationUriComplete", "string|null"), ("expiresIn", "integer"), ("interval", "integer"), ("client", "workspace|installation")]).takes(CONSENT),
    gives("POST /v1/connections/device/poll", "Whether the person has typed it in", &[("status", "pending|connected"), ("connectionId?", "uuid"), ("policyId?", "uuid|null")]).takes(&[("pendingConnectionId", "uuid")]),
    Operation::new("GET /v1/oauth/{provider}/start", "The same as starting, for a browser that goes there: it is asked first, or sent on", Answer::Text(&["text/html"])).asks(NAVIGATION),
    Operation::new("POST /v1/oauth/{provider}/start", "Goes on, from the page that asks", Answer::Text(&["text/html"])).asks(NAVIGATION),
    Operation::new("GET /v1/oauth/{provider}/callback", "Where a provider sends people back to that it began with", Answer::Nothing).asks(BACK).redirects(302),
    gives("GET /v1/workspace-oauth-apps", "The workspace's own OAuth clients, never their secrets", &[("apps", "[OAuthApp]"), ("callbackUrl", "string")]),
    Operation::new("POST /v1/workspace-oauth-apps", "Sets one up, or gives it another secret", Answer::Named("OAuthApp")).takes(&[("provider", "string"), ("clientId", "string"), ("clientSecret?", "string"), ("tenantId?", "string|null"), ("label", "string"), ("endpoints?", "object"), ("id?", "uuid")]).created(),
    gives("DELETE /v1/workspace-oauth-apps/{id}", "Deletes one; its connections need a new consent", &[("deleted", "boolean"), ("affectedConnections", "integer")]),
    gives("GET /v1/policies", "The workspace's policies", &[("policies", "[Policy]")]),
    gives("POST /v1/policies", "Lets an agent use a connection", POLICY).takes(NEW_POLICY).created(),
    Operation::new("POST /v1/policies/evaluate", "What a policy would do with a request; nothing is sent", Answer::Named("object")).takes(&[("policyId?", "uuid"), ("policy?", "object"), ("request", "object"), ("response?", "object")]),
    gives("PUT /v1/policies/{id}", "Changes what is given of a policy", POLICY).takes(CHANGE),
    gives("DELETE /v1/policies/{id}", "Removes a policy", &[("deleted", "boolean")]),
    gives("POST /v1/policies/{id}/changes", "Which of these requests a changed policy would treat otherwise", &[("parts", "[string]"), ("changes", "[object]")]).takes(&[("policy", "object"), ("requests", "[object]")]),
    gives("PUT /v1/policies/{id}/allowlists", "Replaces where the agent may call", POLICY).takes(&[("allowlists", "[object]")]),
    gives("PUT /v1/policies/{id}/rate-limits", "Replaces or clears the limits", POLICY).takes(&[("rateLimits?", "object|null")]),
    gives("PUT /v1/policies/{id}/time-windows", "Replaces when the agent may call", POLICY).takes(&[("timeWindows", "[object]")]),
    gives("GET /v1/policies/{id}/rules", "The policy's rules", &[("rules", "any")]),
    gives("PUT /v1/policies/{id}/rules", "Replaces the rules", POLICY).takes(&[("rules", "object")]),
    gives("PUT /v1/policies/{id}/provider-constraints", "Replaces or clears what binds at this provider", POLICY).takes(&[("providerConstraints?", "object|null")]),
    Operation::new("GET /api/quick-action/{token}/approve", "Decides nothing; leads to the page that says so", Answer::Nothing).redirects(302),
    Operation::new("GET /api/quick-action/{token}/deny", "The same", Answer::Nothing).redirects(302),
    gives("GET /v1/notification-channels", "Where people are told of things", &[("channels", "[Channel]")]),
    gives("POST /v1/notification-channels", "Sets up the channel of this type; a webhook's secret is shown this once", CHANNEL).takes(&[("channelType", "telegram|slack|webhook|email"), ("connectionId?", "uuid"), ("config", "object")]),
    gives("POST /v1/notification-channels/telegram/detect-chats", "The chats that have written to a bot", &[("chats", "[object]")]).takes(&[("connectionId", "uuid")]),
    gives("DELETE /v1/notification-channels/{id}", "Removes a channel", &[("deleted", "boolean")]),
    gives("PATCH /v1/notification-channels/{id}/enabled", "Switches a channel on or off", &[("id", "uuid"), ("enabled", "boolean")]).takes(&[("enabled", "boolean")]),
    gives("POST /v1/notification-channels/{id}/test", "Sends a message; a channel that it arrives at is verified", &[("ok", "boolean"), ("error", "string|null")]),
    gives("POST /v1/notification-channels/{id}/verify", "Proves an email channel's address by the mailed code", &[("id", "uuid"), ("verificationStatus", "string")]).takes(&[("code", "string")]),
    gives("GET /v1/templates/{name}", "Templates of a provider", &[("templates", "[object]")]),
    gives("GET /v1/templates/{name}/config", "A template as the parts of a policy", &[("allowlists", "any"), ("rateLimits", "any"), ("timeWindows", "any"), ("stepUpApproval", "string"), ("defaultMode", "string")]).asks(&[("tier?", "string")]),
    gives("GET /v1/templates/{name}/guards", "Guards that rules can be made of", &[("categories", "any"), ("guards", "any")]),
    gives("GET /v1/templates/{name}/rules", "Presets and single rules", &[("presets", "[object]"), ("templates", "any")]).asks(&[("connectionId?", "string"), ("actionTemplateId?", "string")]),
    gives("GET /v1/approvals", "Calls that wait for a person, or have; an agent sees its own", &[("approvals", "[object]")]),
    gives("GET /v1/approvals/{id}", "One of them, with what exactly would be sent; may wait for a change", &[("approval", "object")]).asks(&[("wait?", "integer")]),
    gives("POST /v1/approvals/{id}/approve", "Lets the call be made once", &[("approved", "boolean"), ("approvalRequestId", "uuid"), ("auditId", "uuid")]),
    gives("POST /v1/approvals/{id}/deny", "Turns the call down", &[("denied", "boolean"), ("approvalRequestId", "uuid"), ("auditId", "uuid")]),
    gives("GET /v1/approvals/{id}/rule", "The rule that would allow calls like it from now on", &[("policyId", "uuid"), ("rule", "object"), ("position", "integer"), ("open", "[string]")]),
    gives("POST /v1/approvals/{id}/rule", "Saves that rule, as it was shown", POLICY).takes(&[("rule", "object"), ("position", "integer")]),
    gives("GET /v1/audit", "The trail, newest first", &[("events", "[Event]"), ("nextCursor?", "string|null")]).asks(FILTER),
    Operation::new("GET /v1/audit/export", "The trail as a file", Answer::Text(&["text/csv", "application/json", "application/x-ndjson"])).asks(EXPORT),
    Operation::new("GET /v1/activity", "What agents did lately", Answer::Named("object")).asks(FILTER),
    Operation::new("GET /v1/dashboard/summary", "The workspace in figures", Answer::Named("object")),
    gives("GET /v1/workspaces", "Workspaces that the person belongs to", &[("workspaces", "[object]")]),
    Operation::new("POST /v1/workspaces", "Makes another workspace", Answer::Named("object")).takes(&[("name", "string")]).created(),
    Operation::new("GET /v1/workspaces/current", "The workspace of the token", Answer::Named("object")),
    Operation::new("PUT /v1/workspaces/current", "Renames it", Answer::Named("object")).takes(&[("name", "string")]),
    Operation::new("POST /v1/workspaces/current/transfer", "Hands it over to another member", Answer::Named("object")).takes(&[("userId", "uuid")]),
    gives("GET /v1/workspaces/current/members", "Its members", &[("members", "[Member]")]),
    gives("PUT /v1/workspaces/current/members/{id}", "Gives a member another role", &[("userId", "uuid"), ("role", "string")]).takes(&[("role", "viewer|approver|admin")]),
    gives("DELETE /v1/workspaces/current/members/{id}", "Removes a member, or leaves", SUCCESS),
    gives("GET /v1/workspaces/current/invitations", "Open invitations", &[("invitations", "[Invitation]")]),
    gives("POST /v1/workspaces/current/invitations", "Invites an address", &[("invitation", "Invitation")]).takes(&[("email", "email"), ("role", "viewer|approver|admin")]).created(),
    gives("DELETE /v1/workspaces/current/invitations/{id}", "Withdraws an invitation", SUCCESS),
    gives("GET /v1/workspaces/current/vending", "Whether anything is handed out of the vault, and what is out", &[("modelA", "boolean"), ("resolve", "boolean"), ("vendedTokens", "[object]")]),
    gives("PUT /v1/workspaces/current/vending", "Lets access tokens be handed to agents, and credentials to admins, or not", &[("modelA", "boolean"), ("resolve", "boolean")]).takes(&[("modelA?", "boolean"), ("resolve?", "boolean")]),
    gives("GET /v1/workspaces/current/panic", "What panic would stop", &[("agents", "[object]"), ("connections", "[object]"), ("vendedTokens", "[object]"), ("digest", "string")]),
    gives("POST /v1/workspaces/current/panic", "Turns every agent off", &[("agentsDisabled", "integer"), ("radius", "object")]).takes(&[("stop", "boolean")]),
    gives("POST /v1/workspaces/current/panic/revoke", "Revokes every connection, here and at its provider", &[("connections", "[object]"), ("vendedTokens", "[object]")]).takes(&[("digest", "string")]),
    gives("GET /v1/invitations", "Invitations for the person's proven address", &[("invitations", "[Invitation]")]),
    gives("POST /v1/invitations/{id}/accept", "Joins the workspace", &[("success", "boolean"), ("workspaceId", "uuid")]),
    gives("POST /v1/invitations/{id}/decline", "Turns the invitation down", &[("success", "boolean"), ("workspaceId", "uuid")]),
    gives("GET /v1/notifications", "What the person was told, newest first, and where the stream goes on", &[("notifications", "[Notification]"), ("lastEventId", "string")]).asks(&[("limit?", "integer"), ("offset?", "integer"), ("unreadOnly?", "boolean")]),
    gives("GET /v1/notifications/unread-count", "How many nobody has read", &[("count", "integer")]),
    Operation::new("GET /v1/notifications/stream", "Notifications as they come, as server-sent events", Answer::Text(&["text/event-stream"])).asks(&[("lastEventId?", "string"), ("workspaceId?", "uuid")]),
    gives("POST /v1/notifications/read-all", "Marks all as read", &[("updated", "integer")]),
    gives("POST /v1/notifications/{id}/read", "Marks one as read", SUCCESS),
    gives("GET /v1/tokens", "The person's personal access tokens in this workspace", &[("tokens", "[Token]")]),
    gives("POST /v1/tokens", "Makes one; it is shown this once", &[("token", "Token"), ("plainToken", "string")]).takes(&[("name", "string"), ("scopes?", "[string]"), ("expiresInDays?", "integer")]),
    gives("PUT /v1/tokens/{id}", "Renames one", &[("token", "object")]).takes(&[("name", "string")]),
    gives("DELETE /v1/tokens/{id}", "Ends one at once", SUCCESS),
];
