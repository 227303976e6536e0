//! What is fuzzed: one function per target, which takes any bytes and panics if a promise is
//! broken.
//!
//! `cargo xtask fuzz` runs them with libFuzzer; the inputs that are kept, in `corpus`, are run by
//! an ordinary test. An input that has found something is kept there under a name that says what.

mod cache_keys;
pub use cache_keys::cache_keys;

mod classifier;
pub use classifier::classifier;

mod endpoint_line;
pub use endpoint_line::endpoints;

mod packets;
pub use packets::packets;

mod scripted;

mod transactions;
pub use transactions::transactions;

/// The entry of a target's program.
#[doc(hidden)]
#[macro_export]
macro_rules! target {
    ($target:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| alclad_fuzz::$target(input));

        #[cfg(not(fuzzing))]
        fn main() {
            eprintln!("this is started by: cargo xtask fuzz {}", stringify!($target));
        }
    };
}
