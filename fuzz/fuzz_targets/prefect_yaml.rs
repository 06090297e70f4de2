//! libFuzzer's entry to [`reconcile_fuzz::prefect_yaml`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reconcile_fuzz::prefect_yaml::check(data));
