//! Runs of reads over simulated nodes on loopback: what an application asks, through alclad or
//! through alloy's own layers, and what each answer is worth.

mod ask;
mod run;
mod score;
mod stacks;
mod stage;

pub use ask::{Ask, answers, draw, draw_at_the_head};
pub use run::{Pace, run};
pub use score::{Miss, Score, Verdict};
pub use stacks::{ALLOY, Sent, over_alclad, over_alloy};
pub use stage::Stage;
