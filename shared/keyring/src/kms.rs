//! Key management services, which keep the keys of the ring from whoever gets at its file.

use std::sync::Arc;

use ah5_security::ring::Material;
use ah5_settings::Settings;
use async_trait::async_trait;

use crate::aws::AwsKms;
use crate::transit::Transit;

#[async_trait]
pub trait Kms: Send + Sync {
    /// The text to keep in place of the key.
    async fn wrap(&self, key: &Material) -> Result<String, KmsError>;

    async fn unwrap(&self, text: &str) -> Result<Material, KmsError>;
}

/// `KEY_RING_KMS`. The outer `None` exactly when a fault was noted, the inner one if nobody has wrapped
/// the keys.
#[expect(clippy::option_option, reason = "unset is no fault")]
pub(crate) fn read(settings: &mut Settings) -> Option<Option<Arc<dyn Kms>>> {
    match settings.optional("KEY_RING_KMS").as_deref() {
        None => Some(None),
        Some("aws-kms") => Some(Some(Arc::new(AwsKms::read(settings)?))),
        Some("vault-transit") => Some(Some(Arc::new(Transit::read(settings)?))),
        Some(_) => {
            settings.fault(
                "KEY_RING_KMS",
                "must be vault-transit or aws-kms, or unset for plain keys",
            );
            None
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// It may be otherwise in a moment.
    #[error("the key management service is not available: {0}")]
    Unavailable(String),
    /// It won't do, as things are set up.
    #[error("the key management service refuses: {0}")]
    Refused(String),
}
