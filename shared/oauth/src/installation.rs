//! The installation's own clients, one for each provider that the operator has registered it at:
//! `<PROVIDER>_CLIENT_ID`, `<PROVIDER>_CLIENT_SECRET` and, where there are tenants,
//! `<PROVIDER>_TENANT_ID`. Both planes read the same settings.

use std::collections::BTreeMap;

use ah5_providers::catalogue;
use ah5_security::secret::SecretText;
use ah5_settings::Settings;

use crate::client::{Client, Dialect};

#[derive(Default)]
pub struct Installation(BTreeMap<&'static str, Own>);

struct Own {
    id: String,
    secret: SecretText,
    tenant: Option<String>,
}

// === impl Installation ===

impl Installation {
    /// Half a client is a fault.
    pub fn read(settings: &mut Settings) -> Self {
        let mut own = BTreeMap::new();
        for dialect in catalogue::dialects() {
            let prefix = dialect.provider.to_ascii_uppercase();
            let [id, secret, tenant] =
                ["CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"].map(|what| format!("{prefix}_{what}"));
            let tenant = match dialect.default_tenant {
                Some(_) => settings.optional(&tenant),
                None => None,
            };
            match (settings.optional(&id), settings.optional(&secret)) {
                (None, None) => {}
                (Some(id), Some(secret)) => {
                    let secret = SecretText::new(secret);
                    own.insert(&*dialect.provider, Own { id, secret, tenant });
                }
                (Some(_), None) => settings.fault(&secret, "is missing, though there is an id"),
                (None, Some(_)) => settings.fault(&id, "is missing, though there is a secret"),
            }
        }
        Self(own)
    }

    #[must_use]
    pub fn client(&self, provider: &str) -> Option<Client> {
        let own = self.0.get(provider)?;
        Some(Client {
            dialect: Dialect::Catalogue(catalogue::oauth(provider)?),
            app: None,
            id: own.id.clone(),
            secret: Some(SecretText::new(own.secret.expose().to_owned())),
            tenant: own.tenant.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> (Installation, usize) {
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut settings = Settings::from_vars(vars);
        let own = Installation::read(&mut settings);
        (
            own,
            settings.finish().err().map_or(0, |faults| faults.0.len()),
        )
    }

    #[test]
    fn half_a_client_is_a_fault() {
        let (own, faults) = read(&[
            ("GOOGLE_CLIENT_ID", "g"),
            ("GOOGLE_CLIENT_SECRET", "s"),
            ("MICROSOFT_CLIENT_ID", "m"),
            ("ZOOM_CLIENT_SECRET", "z"),
        ]);
        assert_eq!(faults, 2);
        assert_eq!(own.client("google").unwrap().id, "g");
        assert!(own.client("microsoft").is_none() && own.client("zoom").is_none());
    }
}
