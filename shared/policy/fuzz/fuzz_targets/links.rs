#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ah5_policy_fuzz::links(data));
