//! What is found and what is not, kind by kind.
use super::*;

mod national;

fn redacted(kinds: &[&str], text: &str) -> String {
    let types = kinds.iter().map(|name| PiiType {
        name,
        pattern: None,
    });
    let recognisers = Recognisers::compile(types).unwrap();
    recognisers
        .redact(text, None, "#")
        .unwrap_or_else(|| text.to_owned())
}

/// Each line: kind, text, what is left of it.
fn check(cases: &[(&str, &str, &str)]) {
    for (kind, text, left) in cases {
        assert_eq!(redacted(&[kind], text), *left, "{kind}: {text}");
    }
}

#[test]
fn mail_addresses_are_found_in_any_script_and_disguise() {
    check(&[
        ("email", "to john.doe+x@sub.example.co.uk.", "to #."),
        ("email", "a@b.io;c@d.io", "#;#"),
        ("email", "ünï@ex.com", "#"),
        ("email", "联系alice@example.com谢谢", "联系#谢谢"),
        ("email", "alice@exam<wbr>ple.com!", "#!"),
        ("email", "to=a%40b.io", "to=#"),
        (
            "email",
            "<p>a<b>@</b>b.io</p> c@d.io",
            "<p>a<b>@</b>b.io</p> #",
        ),
        ("email", "a&#64;b.io", "#"),
        ("email", r"x\na@b.io", r"x\n#"),
        (
            "email",
            "no @ here, @name, a@b, a@1.2.3",
            "no @ here, @name, a@b, a@1.2.3",
        ),
        ("email", "a@b.io.x1", "#.x1"),
        ("email", "a@b.io-x", "#-x"),
    ]);
}

#[test]
fn cards_need_an_issuer_and_the_check_digit() {
    check(&[
        ("credit_card", "4111-1111-1111-1111", "#"),
        ("credit_card", "4111 1111 1111 1111", "#"),
        (
            "credit_card",
            "card 4111-1111-1111-1112",
            "card 4111-1111-1111-1112",
        ),
        ("credit_card", "378282246310005", "#"),
        ("credit_card", "3782-822463-10005", "#"),
        ("credit_card", "2223003122003222", "#"),
        ("credit_card", "4222222222222", "#"),
        ("credit_card", "1111111111111111", "1111111111111111"),
        ("credit_card", "9411111111111111", "9411111111111111"),
        ("credit_card", "x4111111111111111", "x4111111111111111"),
        ("credit_card", "4111111111111111Tel", "#Tel"),
    ]);
}

#[test]
fn bank_accounts_need_their_length_and_mod_97() {
    check(&[
        ("iban", "DE89370400440532013000", "#"),
        ("iban", "GB29 NWBK 6016 1331 9268 19, thanks", "#, thanks"),
        ("iban", "gb29 nwbk 6016 1331 9268 19", "#"),
        ("iban", "DE00370400440532013000", "DE00370400440532013000"),
        ("iban", "DE8937040044053201300", "DE8937040044053201300"),
        ("iban", "DE893704004405320130001", "DE893704004405320130001"),
        (
            "us_bank_routing",
            "routing number: 021000021",
            "routing number: #",
        ),
        (
            "us_bank_routing",
            "routing number: 123456789",
            "routing number: 123456789",
        ),
    ]);
}

#[test]
fn network_addresses_are_told_from_versions_times_and_paths() {
    check(&[
        ("ip_address", "host 192.168.1.100 up", "host # up"),
        ("ip_address", "1.2.3.4.5", "#.5"),
        ("ip_address", "1.2.3 and 1.2.3.256", "1.2.3 and 1.2.3.256"),
        ("ip_address", "host fe80::1 up", "host # up"),
        (
            "ip_address",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334.",
            "#.",
        ),
        ("ip_address", "::ffff:10.0.0.1", "#"),
        (
            "ip_address",
            "std::fs a::b 12:30:45 ::1",
            "std::fs a::b 12:30:45 ::1",
        ),
        ("mac_address", "mac 00:1B:44:11:3A:B7", "mac #"),
        ("mac_address", "aa-bb-cc-dd-ee-ff", "aa-bb-cc-dd-ee-ff"),
        ("url", "see https://a.b/c?d=e.", "see #"),
        ("url", "(HTTP://a.b) xhttp://c", "(# xhttp://c"),
        (
            "contact",
            "see https://x.example/a",
            "see https://x.example/a",
        ),
    ]);
}

#[test]
fn phone_numbers_are_international_and_of_a_length_in_use() {
    check(&[
        ("phone", "+12125551234", "#"),
        ("phone", "+1 (212) 555-1234 or", "# or"),
        ("phone", "x+393483846623y", "x+393483846623y"),
        ("phone", "x+393483846623 y", "x# y"),
        ("phone", "call 0039 348 384 6623", "call #"),
        ("phone", "call 00393483846623", "call #"),
        ("phone", "no 00393483846623", "no 00393483846623"),
        (
            "phone",
            "+1 112 555 1234, +999 123456, 1+2",
            "+1 112 555 1234, +999 123456, 1+2",
        ),
        ("phone", "+44 20 7946 0958 2024", "# 2024"),
    ]);
}

#[test]
fn wallets_dates_and_secrets_follow_their_labels() {
    check(&[
        (
            "crypto_wallet",
            "0x742d35Cc6634C0532925a3b844Bc9e7595f2bD18",
            "#",
        ),
        (
            "crypto_wallet",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
            "#",
        ),
        (
            "crypto_wallet",
            "btc 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "btc #",
        ),
        (
            "crypto_wallet",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        ),
        ("date_of_birth", "born 1985-04-12", "born #"),
        (
            "date_of_birth",
            "born on 4/12/1985, due 2024-01-01",
            "born on #, due #",
        ),
        ("date_of_birth", "due 2024-01-01", "due 2024-01-01"),
        ("date_of_birth", "born 1985-13-12", "born 1985-13-12"),
        ("secret_code", "password: hunter2", "#"),
        ("secret_code", "password: a b c d e f", "# e f"),
        ("secret_code", "Mot de passe : été 22", "#"),
        (
            "secret_code",
            "the password is gone",
            "the password is gone",
        ),
        ("secret_code", "api key = sk-1 rest", "# rest"),
        ("secret_code", "API_KEY=sk-1", "#"),
        ("secret_code", "PIN 1234, PUK is 12345678", "#, #"),
        ("secret_code", "code 9876", "code 9876"),
        ("secret_code", "card 12345678", "card #"),
        ("secret_code", "order 12345678", "order 12345678"),
    ]);
}

#[test]
fn overlapping_finds_are_one_and_have_the_longest_ones_label() {
    let recognisers = Recognisers::compile([
        PiiType {
            name: "us_ssn",
            pattern: None,
        },
        PiiType {
            name: "custom",
            pattern: Some("6789 and [a-z]+ "),
        },
    ])
    .unwrap();
    let found = recognisers.find("it is 123-45-6789 and more text", None);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].start, found[0].end), (6, 27));
    assert_eq!(found[0].label.name(), "custom_1");
}

#[test]
fn a_members_name_is_context() {
    let recognisers = Recognisers::compile([PiiType {
        name: "us_ssn",
        pattern: None,
    }])
    .unwrap();
    assert!(
        recognisers
            .redact("123456789", Some("userSsn"), "#")
            .is_some()
    );
    assert!(
        recognisers
            .redact("123456789", Some("total"), "#")
            .is_none()
    );
}

#[test]
fn a_type_that_cannot_be_used_is_refused() {
    let compile = |name, pattern| Recognisers::compile([PiiType { name, pattern }]).unwrap_err();
    assert!(matches!(
        compile("nonsense", None),
        PiiError::Unknown { .. }
    ));
    assert_eq!(compile("custom", None), PiiError::NoPattern { place: 0 });
    for bad in ["(", "(?=a)", r"(a)\1", "a*", ""] {
        assert!(
            matches!(compile("custom", Some(bad)), PiiError::Pattern { .. }),
            "{bad}"
        );
    }
    let icase = Recognisers::compile([PiiType {
        name: "custom",
        pattern: Some(r"(?i)acct-\d{4}"),
    }]);
    assert!(icase.unwrap().redact("ACCT-1234", None, "#").is_some());
}

#[test]
fn every_word_of_the_language_compiles() {
    for name in Kind::words() {
        assert!(
            Recognisers::compile([PiiType {
                name,
                pattern: None
            }])
            .is_ok(),
            "{name}"
        );
    }
}
