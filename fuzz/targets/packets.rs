//! [`alclad_fuzz::packets`] for libFuzzer.
#![cfg_attr(fuzzing, no_main)]

alclad_fuzz::target!(packets);
