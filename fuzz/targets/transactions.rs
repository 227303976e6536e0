//! [`alclad_fuzz::transactions`] for libFuzzer.
#![cfg_attr(fuzzing, no_main)]

alclad_fuzz::target!(transactions);
