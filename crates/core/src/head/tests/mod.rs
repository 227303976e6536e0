mod far;
mod hashes;
mod lag;
mod model;
mod served;

use super::*;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

fn enrol<const N: usize>(heads: &Heads) -> [Lookout; N] {
    std::array::from_fn(|index| heads.enrol(format!("endpoint-{index}").into()))
}

fn with_block_time<const N: usize>(block_time: Duration) -> (Heads, [Lookout; N]) {
    let heads = Heads::new().with_block_time(block_time);
    let lookouts = enrol(&heads);
    (heads, lookouts)
}

fn show(lookout: &Lookout, latest: u64) -> Seen {
    lookout.saw(&Sighting::block_number(latest))
}

fn show_all(lookouts: &[&Lookout], latest: u64) {
    for lookout in lookouts {
        show(lookout, latest);
    }
}

/// The hash of the block at this height on this branch.
fn hash(branch: u8, number: u64) -> B256 {
    let mut hash = B256::repeat_byte(branch);
    hash[24..].copy_from_slice(&number.to_be_bytes());
    hash
}

/// A block whose parent is on the same branch.
fn block(branch: u8, number: u64) -> Sighting {
    let block = SightedBlock::new(number, hash(branch, number));
    Sighting::of_block(block.with_parent(hash(branch, number - 1)))
}

fn latest(sighting: Sighting) -> Sighting {
    Sighting { latest: sighting.top(), ..sighting }
}

fn reorgs(heads: &Heads) -> Arc<Mutex<Vec<Reorg>>> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    heads.on_reorg(move |reorg| listener.lock().unwrap().push(reorg.clone()));
    told
}

async fn advance(time: Duration) {
    tokio::time::advance(time).await;
}

const SECOND: Duration = Duration::from_secs(1);
