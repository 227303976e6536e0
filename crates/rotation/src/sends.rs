use std::num::NonZeroUsize;

/// To how many of the endpoints that take transactions `eth_sendRawTransaction` goes at once.
///
/// With more than one, the first acceptance is the answer, and the other sends are not cut off; a
/// call that is dropped, or whose deadline passes, ends them all. A
/// rejection is the answer once none of them can accept it any more, so that nobody is told that a
/// transaction failed which is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sends {
    /// To one, and to the next only after a fault.
    #[default]
    One,
    /// To so many.
    Some(NonZeroUsize),
    /// To all.
    All,
}
