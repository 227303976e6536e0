//! The inputs that are kept, as ordinary tests.

use std::{fs, panic::catch_unwind, path::Path};

/// Runs a target over its inputs, and names the one that it fails on.
fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut inputs = 0;
    for file in fs::read_dir(folder).expect("every target has inputs").flatten() {
        let input = fs::read(file.path()).expect("it can be read");
        if catch_unwind(|| check(&input)).is_err() {
            panic!("{target} fails on {}", file.file_name().display());
        }
        inputs += 1;
    }
    assert!(inputs >= 10, "{target} has only {inputs} inputs");
}

#[test]
fn the_cache_tells_questions_apart_and_knows_them_again() {
    run("cache_keys", alclad_fuzz::cache_keys);
}

#[test]
fn whatever_an_endpoint_says_is_judged() {
    run("classifier", alclad_fuzz::classifier);
}

#[test]
fn a_line_of_endpoints_shows_no_key() {
    run("endpoints", alclad_fuzz::endpoints);
}

#[test]
fn every_member_is_answered_once() {
    run("packets", alclad_fuzz::packets);
}

#[test]
fn no_transaction_of_another_chain_leaves() {
    run("transactions", alclad_fuzz::transactions);
}
