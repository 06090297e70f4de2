//! libFuzzer's entry to [`reconcile_fuzz::templates`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reconcile_fuzz::templates::check(data));
