//! [`alclad_fuzz::endpoints`] for libFuzzer.
#![cfg_attr(fuzzing, no_main)]

alclad_fuzz::target!(endpoints);
