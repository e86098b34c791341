//! The kinds of personal data we know, their names on the wire, and their groups.

/// A built-in kind. The order is that of every list of them; groups are ranges of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Email,
    CreditCard,
    Iban,
    IpAddress,
    Url,
    CryptoWallet,
    DateOfBirth,
    MacAddress,
    SecretCode,
    Phone,
    UsSsn,
    UsItin,
    UsPassport,
    UsDriverLicense,
    UsBankRouting,
    UsNpi,
    UkNhs,
    UkNino,
    ItFiscalCode,
    ItVat,
    ItPassport,
    ItIdentityCard,
    ItDriverLicense,
    InAadhaar,
    InPan,
    EsNif,
    EsNie,
    AuTfn,
    AuAbn,
    PlPesel,
    FiPic,
    ThTnin,
    KrRrn,
    SgFin,
}

/// What a finding is: a built-in kind, or the policy's own pattern by its place in the list of
/// types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    Custom(u16),
    Known(Kind),
}

/// A set of built-in kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u64);

// === impl Kind ===

impl Kind {
    /// Every kind, in the order of the type.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|(kind, _)| *kind)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// What may stand in a rule: kinds, groups and one alias.
    pub fn words() -> impl Iterator<Item = &'static str> {
        let groups = ["all_pii", "contact", "financial", "identity", "ssn"];
        KINDS.iter().map(|(_, name)| *name).chain(groups)
    }
}

// === impl Label ===

impl Label {
    /// As in `[PII_REDACTED:us_ssn]`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Custom(place) => format!("custom_{place}"),
            Self::Known(kind) => kind.name().to_owned(),
        }
    }
}

// === impl Kinds ===

impl Kinds {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn one(kind: Kind) -> Self {
        Self(1 << kind as u64)
    }

    /// What one word of a rule stands for.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        use Kind::{
            CreditCard, CryptoWallet, DateOfBirth, Email, Iban, IpAddress, MacAddress, Phone,
            SecretCode, SgFin, UsSsn,
        };
        let of = |kinds: &[Kind]| Some(kinds.iter().fold(Self::NONE, |all, k| all.with(*k)));
        match word {
            "all_pii" => Some(Self((1 << KINDS.len()) - 1)),
            "contact" => of(&[Email, Phone, IpAddress, MacAddress]),
            "financial" => of(&[CreditCard, Iban, CryptoWallet, SecretCode]),
            "identity" => {
                let national = KINDS[UsSsn as usize..=SgFin as usize].iter();
                Some(national.fold(Self::one(DateOfBirth), |all, (k, _)| all.with(*k)))
            }
            "ssn" => of(&[UsSsn]),
            _ => KINDS
                .iter()
                .find(|(_, name)| *name == word)
                .map(|(kind, _)| Self::one(*kind)),
        }
    }

    pub(crate) const fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u64)
    }

    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u64) != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A kind's number is its place here; a test holds the two together.
const KINDS: [(Kind, &str); 34] = [
    (Kind::Email, "email"),
    (Kind::CreditCard, "credit_card"),
    (Kind::Iban, "iban"),
    (Kind::IpAddress, "ip_address"),
    (Kind::Url, "url"),
    (Kind::CryptoWallet, "crypto_wallet"),
    (Kind::DateOfBirth, "date_of_birth"),
    (Kind::MacAddress, "mac_address"),
    (Kind::SecretCode, "secret_code"),
    (Kind::Phone, "phone"),
    (Kind::UsSsn, "us_ssn"),
    (Kind::UsItin, "us_itin"),
    (Kind::UsPassport, "us_passport"),
    (Kind::UsDriverLicense, "us_driver_license"),
    (Kind::UsBankRouting, "us_bank_routing"),
    (Kind::UsNpi, "us_npi"),
    (Kind::UkNhs, "uk_nhs"),
    (Kind::UkNino, "uk_nino"),
    (Kind::ItFiscalCode, "it_fiscal_code"),
    (Kind::ItVat, "it_vat"),
    (Kind::ItPassport, "it_passport"),
    (Kind::ItIdentityCard, "it_identity_card"),
    (Kind::ItDriverLicense, "it_driver_license"),
    (Kind::InAadhaar, "in_aadhaar"),
    (Kind::InPan, "in_pan"),
    (Kind::EsNif, "es_nif"),
    (Kind::EsNie, "es_nie"),
    (Kind::AuTfn, "au_tfn"),
    (Kind::AuAbn, "au_abn"),
    (Kind::PlPesel, "pl_pesel"),
    (Kind::FiPic, "fi_pic"),
    (Kind::ThTnin, "th_tnin"),
    (Kind::KrRrn, "kr_rrn"),
    (Kind::SgFin, "sg_fin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kinds_number_is_its_place_in_the_list() {
        for (place, kind) in Kind::all().enumerate() {
            assert_eq!(kind as usize, place, "{}", kind.name());
        }
    }

    #[test]
    fn identity_is_every_national_number_and_the_date_of_birth() {
        let identity = Kinds::of_word("identity").unwrap();
        assert_eq!(identity.0.count_ones(), 25);
        assert!(identity.has(Kind::DateOfBirth) && !identity.has(Kind::Phone));
    }
}
