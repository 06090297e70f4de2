//! libFuzzer's entry to [`reconcile_fuzz::flow`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reconcile_fuzz::flow::check(data));
