//! How often the runs came to what they are there for: a checker that never has anything to check
//! finds nothing.

use std::{
    fmt,
    ops::{Add, AddAssign},
};

macro_rules! tally {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct Tally {
            $($(#[$doc])* pub(crate) $field: u64,)*
        }

        impl Add for Tally {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self { $($field: self.$field + other.$field,)* }
            }
        }

        impl Tally {
            /// Each count, by its name.
            pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($field), self.$field),)*]
            }
        }
    };
}

tally! {
    calls,
    /// Calls that the application gave up.
    dropped,
    /// Packets at all places.
    packets,
    /// Members that were answered right.
    right,
    /// Members that ended in an error which may be: nobody could have answered for certain.
    failed,
    /// Members that were given a `null` which may be.
    nulls,
    /// Members that a healthy endpoint had to answer while another one ailed: what I2 is about.
    owed,
    /// `null`s that had to be filled, had they been given: what I3 is about.
    owed_nulls,
    /// Members whose answer was kept, or asked for another caller.
    hits, joined,
    /// Members whose answer was true before it was asked, and no longer when it was.
    outdated,
    /// Questions of a pipeline for another chain.
    neighbours,
    /// Members that are about a filter.
    filters,
    /// Members for which the newest block was given out of memory after it was orphaned unseen.
    unseen_orphans,
    /// Answers that are not judged, because a guard could not yet know that the chain is another.
    other_chain,
    retries,
    failovers,
    hedges,
    /// Members that were sent to an endpoint whose circuit is open.
    last_resorts,
    /// Members that our own limiter stopped.
    limited,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.all().into_iter().map(|(name, count)| format!("{name} {count}"));
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}
