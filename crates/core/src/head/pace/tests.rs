use super::*;
use alloy_primitives::B256;

const SECOND: Duration = Duration::from_secs(1);

fn stamp(pace: &mut Pace, number: u64, timestamp: u64, served: u64) {
    pace.stamp(&SightedBlock::new(number, B256::ZERO).with_timestamp(timestamp), served);
}

#[test]
fn timestamps_are_averaged_over_the_recent_blocks() {
    let mut pace = Pace::default();
    stamp(&mut pace, 200, 1000, 200);
    assert_eq!(pace.block_time(), DEFAULT);
    stamp(&mut pace, 204, 1001, 204);
    assert_eq!(pace.block_time(), DEFAULT);
    stamp(&mut pace, 208, 1002, 208);
    assert_eq!(pace.block_time(), SECOND / 4);
    stamp(&mut pace, 1, 5, 210);
    stamp(&mut pace, 218, 1012, 218);
    assert_eq!(pace.block_time(), 12 * SECOND / 18);
    stamp(&mut pace, 1118, 3012, 1118);
    stamp(&mut pace, 1120, 3018, 1120);
    assert_eq!(pace.block_time(), 3 * SECOND);
}

#[test]
fn a_clock_that_jumps_or_goes_back_does_no_harm() {
    let mut pace = Pace::default();
    stamp(&mut pace, 100, 1000, 100);
    stamp(&mut pace, 101, u64::MAX, 101);
    assert_eq!(pace.block_time(), BOUNDS.1);
    stamp(&mut pace, 101, 3, 101);
    assert_eq!(pace.block_time(), DEFAULT);
    pace.give(Duration::ZERO);
    assert_eq!(pace.blocks_in(SECOND), 1000);
}

#[tokio::test(start_paused = true)]
async fn progress_counts_while_the_same_number_votes() {
    let (mut pace, start) = (Pace::default(), Instant::now());
    pace.progress(100, 1, start);
    pace.progress(150, 2, start + SECOND);
    pace.progress(151, 2, start + 3 * SECOND);
    assert_eq!(pace.block_time(), DEFAULT);
    pace.progress(152, 2, start + 5 * SECOND);
    assert_eq!(pace.block_time(), 2 * SECOND);
    pace.progress(149, 2, start + 6 * SECOND);
    pace.progress(150, 2, start + 8 * SECOND);
    assert_eq!(pace.block_time(), 2 * SECOND);
    pace.progress(5150, 2, start + 5008 * SECOND);
    pace.progress(6150, 2, start + 5508 * SECOND);
    assert!(pace.block_time() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_burst_tells_nothing() {
    let (mut pace, start) = (Pace::default(), Instant::now());
    (100..110).for_each(|height| pace.progress(height, 1, start));
    assert_eq!(pace.block_time(), DEFAULT);
}
