//! How a call ended.

use alclad_core::{Fault, Outcome, names};

/// How a call ended: a label, and a place in what is counted per end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ok,
    Empty,
    /// Whoever asked no longer waits.
    Dropped,
    Fault(Fault),
}

impl End {
    /// The faults, and what is none.
    pub(crate) const ROWS: usize = Fault::NAMES.len() + 3;

    pub(crate) const fn row(self) -> usize {
        match self {
            Self::Fault(fault) => fault.row(),
            Self::Ok => Self::ROWS - 3,
            Self::Empty => Self::ROWS - 2,
            Self::Dropped => Self::ROWS - 1,
        }
    }

    /// Whether there was an answer: a fault for which nobody else need be asked is the request's own.
    pub(crate) fn is_good(self) -> bool {
        match self {
            Self::Ok | Self::Empty => true,
            Self::Fault(fault) => !fault.other(),
            Self::Dropped => false,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => names::OK,
            Self::Empty => names::EMPTY,
            Self::Dropped => names::DROPPED,
            Self::Fault(fault) => fault.name(),
        }
    }
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fault(fault) => Self::Fault(fault),
            Outcome::Null | Outcome::Empty => Self::Empty,
            _ => Self::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_row_of_its_own() {
        let faults = [Fault::InvalidRequest, Fault::Timeout, Fault::Unknown].map(End::Fault);
        let ends = faults.into_iter().chain([End::Ok, End::Empty, End::Dropped]);
        let mut rows: Vec<_> = ends.map(End::row).collect();
        rows.dedup();
        assert!(rows.len() == 6 && rows.is_sorted() && rows[5] < End::ROWS, "{rows:?}");
    }
}
