use alclad_core::{Heads, Lookout, Sighting};
use std::time::Duration;
use tokio::time::Instant;

/// A head that moves by more than the blocks of this time has jumped.
const LEAP: Duration = Duration::from_secs(60);

/// How far a verified endpoint is.
pub(super) struct Heights {
    /// What its answers tell of the block time; of this one endpoint alone.
    heads: Heads,
    lookout: Lookout,
    known: Option<Known>,
    /// How long a block took in its last jump up.
    pace_of_jump: Option<Duration>,
}

/// What it has shown since its last verification at an interval.
struct Known {
    /// Its newest block, as it told last.
    latest: u64,
    /// The lowest that it told as its newest: behind one URL may be nodes that lag.
    low: u64,
    /// The highest block that it showed.
    high: u64,
    at: Instant,
}

impl Heights {
    pub(super) fn new(block_time: Option<Duration>) -> Self {
        let heads = block_time.into_iter().fold(Heads::new(), Heads::with_block_time);
        Self { lookout: heads.enrol("".into()), heads, known: None, pace_of_jump: None }
    }

    /// Whether its head would be further from where it was than a minute's blocks, and up from
    /// there than the blocks since.
    pub(super) fn is_jump(&self, sighting: &Sighting) -> bool {
        let (Some(known), Some(top)) = (&self.known, sighting.top()) else { return false };
        let leap = self.blocks_in(LEAP);
        let grown = known.high.saturating_add(self.blocks_in(known.at.elapsed()));
        let falls = |latest: u64| latest.saturating_add(leap) < known.low;
        top > grown.saturating_add(leap) || sighting.latest.is_some_and(falls)
    }

    /// It has shown this, on the right chain.
    pub(super) fn take(&mut self, sighting: &Sighting) {
        let Some(top) = sighting.top() else { return };
        let (latest, at) = (sighting.latest, Instant::now());
        // Of the pace only these tell: what somebody reads of the past comes in any order.
        if latest.is_some() {
            self.lookout.saw(sighting);
        }
        match &mut self.known {
            Some(known) => {
                known.latest = latest.unwrap_or(known.latest.max(top));
                known.low = known.low.min(known.latest);
                if top >= known.high {
                    (known.high, known.at) = (top, at);
                }
            }
            None => {
                self.known = latest.map(|latest| Known { latest, low: latest, high: top, at });
            }
        }
    }

    /// Its head was asked, because it had jumped. That was not the chain's pace, unless it jumps
    /// like this each time: then it is a fast chain whose head is seldom asked.
    pub(super) fn take_jumped(&mut self, head: u64) {
        let pace = self.pace_to(head);
        let is_alike = |(one, other): (Duration, Duration)| one.max(other) <= 2 * one.min(other);
        if !self.pace_of_jump.zip(pace).is_some_and(is_alike) {
            self.heads.forget();
        }
        self.pace_of_jump = pace;
        self.take(&Sighting::block_number(head));
    }

    fn pace_to(&self, head: u64) -> Option<Duration> {
        let known = self.known.as_ref()?;
        let blocks = head.checked_sub(known.high)?;
        known.at.elapsed().checked_div(u32::try_from(blocks).ok()?)
    }

    /// Its chain was verified, and nothing spoke against its head.
    pub(super) const fn settle(&mut self) {
        if let Some(known) = &mut self.known {
            (known.low, known.high) = (known.latest, known.latest);
        }
    }

    fn blocks_in(&self, time: Duration) -> u64 {
        let blocks = time.as_nanos() / self.heads.block_time().as_nanos().max(1);
        u64::try_from(blocks).unwrap_or(u64::MAX)
    }
}
