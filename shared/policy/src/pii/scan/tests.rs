use super::*;

/// Bytes looked at, those of contexts and local parts included.
fn steps(text: &str) -> usize {
    let mut hits = Vec::new();
    let wanted = Wanted {
        kinds: Kinds::of_word("all_pii").unwrap(),
        links: None,
        name: None,
    };
    let floor = |at: usize| at.saturating_sub(context::BACK);
    let mut scan = Scan::new(text.as_bytes(), true, wanted, &floor, &mut hits);
    scan.run(0);
    scan.probe.steps + text.matches('@').count() * 254 + hits.len() * context::BACK
}

#[test]
fn work_grows_with_the_text_and_no_faster() {
    for bit in [
        "a",
        "1",
        "@",
        "a@",
        "a.",
        "1.",
        "1 ",
        "1:",
        "::",
        "f:",
        "+1",
        "+1 ",
        "00",
        "https://",
        "password:",
        "password: ",
        "token=x ",
        "bc1q",
        "0x",
        "GB29 ",
        "GB29A",
        "1234 ",
        "12-",
        "1Aa",
        "1AA",
        "12345678 ",
        "a-",
        "ü",
        "联",
        " ",
        "mot de ",
        "aa:",
        "4111 1111 ",
    ] {
        let (few, many) = (bit.repeat(2_000), bit.repeat(10_000));
        let (small, large) = (steps(&few), steps(&many));
        assert!(large <= small * 6, "{bit:?}: {small} steps, then {large}");
        assert!(large < many.len() * 300, "{bit:?}: {large} steps");
    }
}
