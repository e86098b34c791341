//! Which template a policy is made from. A preset is never only a label: whoever sets it gets the
//! rules that it stands for, or is told why not.

use ah5_policy::templates::{Template, Tier};
use ah5_store::policies::Policy;

use super::draft::PRESETS;
use crate::error::AppError;
use crate::input::Input;

pub(super) type Choice = (&'static Template, Tier);

/// What a connection is to.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub service: &'a str,
    pub scopes: &'a [String],
}

/// The template as a new policy asks for it.
pub(super) struct Wanted {
    template: Option<String>,
    tier: Option<Tier>,
}

// === impl Wanted ===

impl Wanted {
    pub(super) fn read(input: &Input) -> Result<Self, AppError> {
        let tier = input.one_of("policyTier", &PRESETS)?;
        let preset = input.one_of("securityPreset", &PRESETS)?;
        if tier.is_some() && preset.is_some() && tier != preset {
            let text = "body/securityPreset must be the same as body/policyTier";
            return Err(AppError::bad_request(text));
        }
        let tier = tier.or(preset).and_then(Tier::from_name);
        if let Some(part) = generated_part(input).filter(|_| tier.is_some()) {
            return Err(both(part));
        }
        let template = input.optional_text("actionTemplateId")?;
        Ok(Self { template, tier })
    }

    /// Without a tier there is no template, as clients expect.
    pub(super) fn choose(&self, account: Account<'_>) -> Result<Option<Choice>, AppError> {
        let Some(tier) = self.tier else {
            return Ok(None);
        };
        let Account { service, scopes } = account;
        let template = match &self.template {
            Some(name) => named(name, account)?,
            None => Template::for_service(service, scopes).ok_or_else(|| {
                let text = format!("No action template for the service {service}");
                AppError::bad_request(text).hint("Leave the tier out and give the parts instead.")
            })?,
        };
        Ok(Some((template, tier)))
    }
}

/// The template and tier that a changed policy is to be made from again, if any.
pub(super) fn again(input: &Input, policy: &Policy) -> Result<Option<Choice>, AppError> {
    let (template, stored) = (
        policy.action_template.as_ref(),
        policy.security_preset.as_deref(),
    );
    let preset = input.one_of("securityPreset", &PRESETS)?;
    let name = input.optional_text("actionTemplateId")?;
    if let Some(part) = generated_part(input) {
        let same = preset.is_none_or(|preset| Some(preset) == stored)
            && (name.is_none() || name.as_ref() == template);
        return if same { Ok(None) } else { Err(both(part)) };
    }
    let name = match name.as_ref().or(template.filter(|_| preset.is_some())) {
        Some(name) => name,
        // Clients send what they were shown along with every change.
        None if preset.is_none() || preset == stored => return Ok(None),
        None => return Err(no_template()),
    };
    let tier = preset.or(stored).and_then(Tier::from_name);
    let tier = tier.ok_or_else(|| {
        AppError::bad_request("body must have required property 'securityPreset'")
    })?;
    let account = Account {
        service: &policy.connection_service,
        scopes: &policy.connection_scopes,
    };
    Ok(Some((named(name, account)?, tier)))
}

/// A template by its id, or by its service's as clients do that know no template.
fn named(name: &str, account: Account<'_>) -> Result<&'static Template, AppError> {
    let found = Template::find(name).or_else(|| Template::for_grants(name, account.scopes));
    let found =
        found.ok_or_else(|| AppError::bad_request(format!("Unknown action template: {name}")))?;
    let (meant, used) = (&found.service, account.service);
    if meant != used {
        return Err(AppError::bad_request(format!(
            "Service mismatch: the action template is for \"{meant}\" \
             but connection uses \"{used}\""
        )));
    }
    Ok(found)
}

/// A part that a template would make.
fn generated_part(input: &Input) -> Option<&'static str> {
    let parts = ["allowlists", "rateLimits", "timeWindows", "rules"];
    parts.into_iter().find(|part| input.value(part).is_some())
}

fn both(part: &str) -> AppError {
    AppError::bad_request(format!("body/{part} must not be given with a tier"))
        .hint("The tier's template makes this part; change it afterwards.")
}

fn no_template() -> AppError {
    AppError::bad_request("This policy was not made from an action template").hint(
        "A preset would not change its rules. Send actionTemplateId as well to replace them, or \
         leave securityPreset out.",
    )
}
