//! `cargo xtask soak`, in short.

use std::process::Command;

#[test]
fn nothing_is_held_that_was_not_held_before() {
    let soak = Command::new(env!("CARGO_BIN_EXE_soak")).arg("--minutes=0.33").status();
    assert!(soak.expect("it starts").success());
}
