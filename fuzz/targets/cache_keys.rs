//! [`alclad_fuzz::cache_keys`] for libFuzzer.
#![cfg_attr(fuzzing, no_main)]

alclad_fuzz::target!(cache_keys);
