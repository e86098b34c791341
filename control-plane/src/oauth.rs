//! Accounts by OAuth 2: whose client is consented to, a consent's way there and back, and what it ends
//! in. Called by [`crate::routes::connections::oauth`] and its neighbours. No token leaves here unsealed.

use std::collections::BTreeSet;
use std::sync::Arc;

use ah5_contracts::id::WorkspaceId;
use ah5_oauth::client::Client;
use ah5_oauth::installation::Installation;
use ah5_settings::Settings;

pub mod account;
pub mod begin;
pub mod clients;
pub mod complete;
pub mod finish;
pub mod policy;
pub mod scopes;

/// The installation's own clients, and who may use them.
pub struct Config {
    installation: Arc<Installation>,
    lent_to: LentTo,
}

enum LentTo {
    All,
    Only(BTreeSet<WorkspaceId>),
}

// === impl Config ===

impl Config {
    pub fn read(settings: &mut Settings) -> Self {
        let installation = Arc::new(Installation::read(settings));
        let given = settings.list("OAUTH_INSTALLATION_CLIENTS");
        let lent_to = match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] | ["all"] => LentTo::All,
            ["none"] => LentTo::Only(BTreeSet::new()),
            ref ids => {
                let ids: Result<_, _> = ids.iter().map(|id| id.parse()).collect();
                LentTo::Only(ids.unwrap_or_else(|_| {
                    let fault = "must be all, none, or ids of workspaces";
                    settings.fault("OAUTH_INSTALLATION_CLIENTS", fault);
                    BTreeSet::new()
                }))
            }
        };
        Self {
            installation,
            lent_to,
        }
    }

    /// All of them, for what was consented to already.
    pub const fn installation(&self) -> &Arc<Installation> {
        &self.installation
    }

    /// The installation's client at this provider, if this workspace may use it.
    pub fn lent(&self, workspace: WorkspaceId, provider: &str) -> Option<Client> {
        let may = match &self.lent_to {
            LentTo::All => true,
            LentTo::Only(workspaces) => workspaces.contains(&workspace),
        };
        self.installation.client(provider).filter(|_| may)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent(setting: Option<&str>, workspace: WorkspaceId) -> (bool, bool) {
        let mut vars = vec![("GOOGLE_CLIENT_ID", "g"), ("GOOGLE_CLIENT_SECRET", "s")];
        vars.extend(setting.map(|value| ("OAUTH_INSTALLATION_CLIENTS", value)));
        let vars = vars.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
        let mut settings = Settings::from_vars(vars);
        let config = Config::read(&mut settings);
        let lent = config.lent(workspace, "google").is_some();
        (lent, settings.finish().is_ok())
    }

    #[test]
    fn the_operator_says_who_uses_the_installations_clients() {
        let (one, other) = (WorkspaceId::random(), WorkspaceId::random());
        assert_eq!(lent(None, one), (true, true));
        assert_eq!(lent(Some("all"), one), (true, true));
        assert_eq!(lent(Some("none"), one), (false, true));
        let list = format!("{other}, {one}");
        assert_eq!(lent(Some(&list), one), (true, true));
        assert_eq!(lent(Some(&other.to_string()), one), (false, true));
        assert_eq!(lent(Some("some"), one), (false, false));
    }
}
