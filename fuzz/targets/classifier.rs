//! [`alclad_fuzz::classifier`] for libFuzzer.
#![cfg_attr(fuzzing, no_main)]

alclad_fuzz::target!(classifier);
