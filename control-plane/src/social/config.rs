//! Which parties people may sign in at.

use ah5_security::secret::SecretText;
use ah5_settings::Settings;

pub struct Party {
    /// In paths and in `t_accounts`.
    pub id: String,
    pub label: String,
    pub kind: Kind,
    pub client_id: String,
    pub client_secret: SecretText,
    pub scopes: String,
}

pub enum Kind {
    GitHub {
        /// `https://github.com`, or a server of one's own.
        base: String,
    },
    Google,
    Microsoft {
        /// One directory, or `common`, `organizations`, `consumers`.
        tenant: String,
    },
    Oidc {
        issuer: String,
        /// Domains whose mailboxes the party runs.
        domains: Vec<String>,
    },
}

/// Every party that is configured.
pub fn read(settings: &mut Settings) -> Vec<Party> {
    let google = client(
        settings,
        "AUTH_GOOGLE_CLIENT_ID",
        "AUTH_GOOGLE_CLIENT_SECRET",
    );
    let microsoft = client(
        settings,
        "AUTH_MICROSOFT_CLIENT_ID",
        "AUTH_MICROSOFT_CLIENT_SECRET",
    );
    let github = client(
        settings,
        "AUTH_GITHUB_CLIENT_ID",
        "AUTH_GITHUB_CLIENT_SECRET",
    );
    let tenant = settings.optional("AUTH_MICROSOFT_TENANT_ID");
    let tenant = tenant.unwrap_or_else(|| "common".to_owned());
    if !tenant
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
    {
        settings.fault(
            "AUTH_MICROSOFT_TENANT_ID",
            "must be a tenant's id or domain",
        );
    }
    let base = settings.optional("AUTH_GITHUB_URL");
    let base = base.map_or("https://github.com".to_owned(), trimmed);
    let mut parties: Vec<Party> = [
        ("google", "Google", Kind::Google, google),
        (
            "microsoft",
            "Microsoft",
            Kind::Microsoft { tenant },
            microsoft,
        ),
        ("github", "GitHub", Kind::GitHub { base }, github),
    ]
    .into_iter()
    .filter_map(|(id, label, kind, client)| Some(party(id, label, kind, client?)))
    .collect();
    for name in settings.list("AUTH_OIDC_PROVIDERS") {
        if !is_name(&name) || parties.iter().any(|party| party.id == name) {
            let why = "must be a list of different names of a-z, 0-9 and -";
            settings.fault("AUTH_OIDC_PROVIDERS", why);
        } else if let Some(party) = oidc(settings, &name) {
            parties.push(party);
        }
    }
    parties
}

fn party(id: &str, label: &str, kind: Kind, client: (String, SecretText)) -> Party {
    let scopes = match kind {
        Kind::GitHub { .. } => "read:user user:email",
        _ => "openid email profile",
    };
    Party {
        id: id.to_owned(),
        label: label.to_owned(),
        kind,
        client_id: client.0,
        client_secret: client.1,
        scopes: scopes.to_owned(),
    }
}

fn oidc(settings: &mut Settings, name: &str) -> Option<Party> {
    let prefix = format!("AUTH_OIDC_{}", name.to_uppercase().replace('-', "_"));
    let (id, secret) = (
        format!("{prefix}_CLIENT_ID"),
        format!("{prefix}_CLIENT_SECRET"),
    );
    let domains = settings.list(&format!("{prefix}_EMAIL_DOMAINS"));
    let kind = Kind::Oidc {
        issuer: settings.required(&format!("{prefix}_ISSUER")),
        domains: domains.iter().map(|it| it.to_lowercase()).collect(),
    };
    let label = settings.optional(&format!("{prefix}_LABEL"));
    let client = (settings.required(&id), settings.required(&secret).into());
    Some(party(name, label.as_deref().unwrap_or(name), kind, client))
}

/// Both or neither.
fn client(settings: &mut Settings, id: &str, secret: &str) -> Option<(String, SecretText)> {
    match (settings.optional(id), settings.optional(secret)) {
        (Some(id), Some(secret)) => Some((id, secret.into())),
        (None, None) => None,
        (Some(_), None) => {
            settings.fault(secret, format_args!("is required with {id}"));
            None
        }
        (None, Some(_)) => {
            settings.fault(id, format_args!("is required with {secret}"));
            None
        }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 32 && name.chars().all(plain) && name != "credential"
}

fn trimmed(url: String) -> String {
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parties(vars: &[(&str, &str)]) -> Result<Vec<Party>, String> {
        let vars = vars.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let mut settings = Settings::from_vars(vars);
        let parties = read(&mut settings);
        settings.finish().map_err(|e| e.to_string())?;
        Ok(parties)
    }

    #[test]
    fn what_is_configured_is_offered() {
        assert!(parties(&[]).unwrap().is_empty());
        let vars = [
            ("AUTH_GITHUB_CLIENT_ID", "a"),
            ("AUTH_GITHUB_CLIENT_SECRET", "b"),
            ("AUTH_OIDC_PROVIDERS", "my-corp"),
            ("AUTH_OIDC_MY_CORP_ISSUER", "https://id.example"),
            ("AUTH_OIDC_MY_CORP_CLIENT_ID", "c"),
            ("AUTH_OIDC_MY_CORP_CLIENT_SECRET", "d"),
        ];
        let found = parties(&vars).unwrap();
        let ids: Vec<&str> = found.iter().map(|party| &*party.id).collect();
        assert_eq!(ids, ["github", "my-corp"]);
    }

    #[test]
    fn half_a_client_is_a_fault() {
        for (vars, name) in [
            (
                &[("AUTH_GOOGLE_CLIENT_ID", "a")][..],
                "AUTH_GOOGLE_CLIENT_SECRET",
            ),
            (&[("AUTH_OIDC_PROVIDERS", "x")], "AUTH_OIDC_X_ISSUER"),
            (&[("AUTH_OIDC_PROVIDERS", "X")], "AUTH_OIDC_PROVIDERS"),
            (
                &[("AUTH_OIDC_PROVIDERS", "credential")],
                "AUTH_OIDC_PROVIDERS",
            ),
            (
                &[("AUTH_MICROSOFT_TENANT_ID", "a/b")],
                "AUTH_MICROSOFT_TENANT_ID",
            ),
        ] {
            let faults = parties(vars).err().unwrap_or_default();
            assert!(faults.contains(name), "{name}: {faults}");
        }
    }
}
