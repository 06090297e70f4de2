//! libFuzzer's entry to [`reconcile_fuzz::yaml`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reconcile_fuzz::yaml::check(data));
