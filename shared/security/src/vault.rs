//! The vault's envelope, version 2: AES-256-GCM-SIV (RFC 8452) under the workspace's data key.
//! The associated data binds a secret to its owner and to its destination: moved to another row,
//! workspace, service or base URL, it doesn't open.
//!
//! Layout: version byte 2, nonce (12 bytes), ciphertext with tag.

use aes_gcm_siv::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use zeroize::Zeroizing;

use ah5_contracts::connection::Auth;
use ah5_contracts::id::{ApprovalId, ConnectionId, OAuthAppId, PendingConnectionId, WorkspaceId};

use crate::encode::Fields;
use crate::random;
use crate::secret::{SecretBytes, SecretText};

/// First byte of every envelope.
pub const VERSION: u8 = 2;
const NONCE_BYTES: usize = 12;

/// What a secret is bound to.
#[derive(Clone, Copy, Debug)]
pub struct SealContext<'a> {
    pub workspace: WorkspaceId,
    pub connection: ConnectionId,
    pub field: &'a str,
    /// The credential's version: an old envelope cannot be put back.
    pub version: i64,
    pub service: &'a str,
    pub auth: &'a Auth,
    pub destinations: &'a Destinations,
}

/// Where a connection's secrets may go, and in whose name: its base URL first, then what only some
/// have. Another order is another binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destinations(Vec<String>);

/// What the secret of an OAuth client is bound to.
#[derive(Clone, Copy, Debug)]
pub struct OAuthAppContext<'a> {
    pub workspace: WorkspaceId,
    pub app: OAuthAppId,
    /// Counts the secrets that the app has had.
    pub version: i64,
    pub provider: &'a str,
    pub client_id: &'a str,
    /// The only place that the secret is shown to.
    pub token_url: &'a str,
}

/// What is bound to a consent under way: a code verifier, a code that waits, a device code.
#[derive(Clone, Copy, Debug)]
pub struct PendingContext<'a> {
    pub workspace: WorkspaceId,
    pub pending: PendingConnectionId,
    pub field: &'a str,
    /// The only place that it is shown to.
    pub token_url: &'a str,
    /// Who asked for what, in one text.
    pub about: &'a str,
}

/// What a request is bound to that waits for an approval.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'a> {
    pub workspace: WorkspaceId,
    pub approval: ApprovalId,
    /// Of the request itself.
    pub digest: &'a [u8],
}

/// What the secret of a notification channel is bound to. There is one channel of a type.
#[derive(Clone, Copy, Debug)]
pub struct ChannelContext<'a> {
    pub workspace: WorkspaceId,
    pub channel_type: &'a str,
    /// Where messages go: the secret opens for no other place.
    pub destination: &'a str,
}

/// One workspace's data key. While it takes the place of another, that one opens, too.
pub struct DataKey {
    bytes: Zeroizing<[u8; 32]>,
    cipher: Aes256GcmSiv,
    previous: Option<Box<Aes256GcmSiv>>,
}

/// What a sealed value is bound to.
pub trait Bound {
    /// The associated data: two different bindings never have the same.
    fn encode(&self) -> Vec<u8>;
}

/// The envelope doesn't open: wrong key, wrong owner or destination, altered, or not version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub struct OpenError;

// === impl DataKey ===

impl DataKey {
    #[must_use]
    pub fn generate() -> Self {
        Self::from_bytes(Zeroizing::new(random::bytes()))
    }

    pub(crate) fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        let cipher = Aes256GcmSiv::new((&*bytes).into());
        Self {
            bytes,
            cipher,
            previous: None,
        }
    }

    /// The key that takes the place of another: it seals, and both open.
    #[must_use]
    pub fn after(self, previous: Self) -> Self {
        Self {
            previous: Some(Box::new(previous.cipher)),
            ..self
        }
    }

    /// The same under this key; `None` where it is under this key already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn reseal(
        &self,
        context: &impl Bound,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, OpenError> {
        let aad = context.encode();
        let Err(error) = open(&self.cipher, &aad, sealed) else {
            return Ok(None);
        };
        let previous = self.previous.as_ref().ok_or(error)?;
        let opened = open(previous, &aad, sealed)?;
        Ok(Some(seal(&self.cipher, &aad, opened.expose())))
    }

    fn open_bound(&self, context: &impl Bound, sealed: &[u8]) -> Result<SecretText, OpenError> {
        let aad = context.encode();
        let opened = match (open(&self.cipher, &aad, sealed), &self.previous) {
            (Err(_), Some(previous)) => open(previous, &aad, sealed)?,
            (opened, _) => opened?,
        };
        opened.into_text().ok_or(OpenError)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    #[must_use]
    pub fn seal(&self, context: &SealContext<'_>, secret: &SecretText) -> Vec<u8> {
        seal(&self.cipher, &context.encode(), secret.expose().as_bytes())
    }

    /// # Errors
    /// [`OpenError`], which doesn't say why: an attacker may be choosing the bytes.
    pub fn open(&self, context: &SealContext<'_>, sealed: &[u8]) -> Result<SecretText, OpenError> {
        self.open_bound(context, sealed)
    }

    #[must_use]
    pub fn seal_request(&self, context: &RequestContext<'_>, request: &SecretText) -> Vec<u8> {
        seal(&self.cipher, &context.encode(), request.expose().as_bytes())
    }

    /// # Errors
    /// As [`Self::open`].
    pub fn open_request(
        &self,
        context: &RequestContext<'_>,
        sealed: &[u8],
    ) -> Result<SecretText, OpenError> {
        self.open_bound(context, sealed)
    }

    #[must_use]
    pub fn seal_oauth_app(&self, context: &OAuthAppContext<'_>, secret: &SecretText) -> Vec<u8> {
        seal(&self.cipher, &context.encode(), secret.expose().as_bytes())
    }

    /// # Errors
    /// As [`Self::open`].
    pub fn open_oauth_app(
        &self,
        context: &OAuthAppContext<'_>,
        sealed: &[u8],
    ) -> Result<SecretText, OpenError> {
        self.open_bound(context, sealed)
    }

    #[must_use]
    pub fn seal_pending(&self, context: &PendingContext<'_>, secret: &SecretText) -> Vec<u8> {
        seal(&self.cipher, &context.encode(), secret.expose().as_bytes())
    }

    /// # Errors
    /// As [`Self::open`].
    pub fn open_pending(
        &self,
        context: &PendingContext<'_>,
        sealed: &[u8],
    ) -> Result<SecretText, OpenError> {
        self.open_bound(context, sealed)
    }

    #[must_use]
    pub fn seal_channel(&self, context: &ChannelContext<'_>, secret: &SecretText) -> Vec<u8> {
        seal(&self.cipher, &context.encode(), secret.expose().as_bytes())
    }

    /// # Errors
    /// As [`Self::open`].
    pub fn open_channel(
        &self,
        context: &ChannelContext<'_>,
        sealed: &[u8],
    ) -> Result<SecretText, OpenError> {
        self.open_bound(context, sealed)
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

// === impl SealContext ===

impl Bound for SealContext<'_> {
    fn encode(&self) -> Vec<u8> {
        let mut fields = Fields::new("ah5.credential.v2")
            .bytes(self.workspace.uuid().as_bytes())
            .bytes(self.connection.uuid().as_bytes())
            .text(self.field)
            .number(self.version)
            .text(self.service)
            .text(self.auth.kind())
            .text(self.auth.name());
        if let Some(name) = self.auth.second_name() {
            fields = fields.text(name);
        }
        for destination in &self.destinations.0 {
            fields = fields.text(destination);
        }
        fields.finish()
    }
}

// === impl Destinations ===

impl Destinations {
    #[must_use]
    pub fn new(base_url: &str) -> Self {
        Self(vec![base_url.to_owned()])
    }

    /// Where the refresh token is shown.
    #[must_use]
    pub fn token_url(self, url: Option<&str>) -> Self {
        self.and("token_url", url)
    }

    /// Whose client the provider's consent was given to; `None` is the installation's own.
    #[must_use]
    pub fn oauth_app(self, app: Option<OAuthAppId>) -> Self {
        self.and("oauth_app", app.map(|app| app.to_string()).as_deref())
    }

    /// Each server with all that is known of it.
    #[must_use]
    pub fn mail(self, imap: &str, smtp: &str) -> Self {
        self.and("imap", Some(imap)).and("smtp", Some(smtp))
    }

    fn and(mut self, kind: &str, value: Option<&str>) -> Self {
        self.0.extend(value.map(|value| format!("{kind}={value}")));
        self
    }
}

// === impl OAuthAppContext ===

impl Bound for OAuthAppContext<'_> {
    fn encode(&self) -> Vec<u8> {
        Fields::new("ah5.oauth-app.v1")
            .bytes(self.workspace.uuid().as_bytes())
            .bytes(self.app.uuid().as_bytes())
            .number(self.version)
            .text(self.provider)
            .text(self.client_id)
            .text(self.token_url)
            .finish()
    }
}

// === impl PendingContext ===

impl Bound for PendingContext<'_> {
    fn encode(&self) -> Vec<u8> {
        Fields::new("ah5.pending-connection.v1")
            .bytes(self.workspace.uuid().as_bytes())
            .bytes(self.pending.uuid().as_bytes())
            .text(self.field)
            .text(self.token_url)
            .text(self.about)
            .finish()
    }
}

// === impl RequestContext ===

impl Bound for RequestContext<'_> {
    fn encode(&self) -> Vec<u8> {
        Fields::new("ah5.approval-request.v1")
            .bytes(self.workspace.uuid().as_bytes())
            .bytes(self.approval.uuid().as_bytes())
            .bytes(self.digest)
            .finish()
    }
}

// === impl ChannelContext ===

impl Bound for ChannelContext<'_> {
    fn encode(&self) -> Vec<u8> {
        Fields::new("ah5.channel-secret.v1")
            .bytes(self.workspace.uuid().as_bytes())
            .text(self.channel_type)
            .text(self.destination)
            .finish()
    }
}

pub(crate) fn seal(cipher: &Aes256GcmSiv, aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = random::bytes();
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg: plain, aad })
        .expect("AES-GCM-SIV seals anything under 64 GiB");
    let mut envelope = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
    envelope.push(VERSION);
    envelope.extend_from_slice(&nonce);
    envelope.extend_from_slice(&sealed);
    envelope
}

pub(crate) fn open(
    cipher: &Aes256GcmSiv,
    aad: &[u8],
    envelope: &[u8],
) -> Result<SecretBytes, OpenError> {
    let (&version, rest) = envelope.split_first().ok_or(OpenError)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError)?;
    if version != VERSION {
        return Err(OpenError);
    }
    let opened = cipher
        .decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad })
        .map_err(|_| OpenError)?;
    Ok(SecretBytes::new(opened))
}

#[cfg(test)]
mod tests;
