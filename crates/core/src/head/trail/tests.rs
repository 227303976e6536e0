use super::*;

fn hash(number: u64) -> B256 {
    B256::repeat_byte(number as u8)
}

fn numbers(orphans: Vec<Orphan>) -> Vec<u64> {
    orphans.into_iter().map(|(number, _)| number).collect()
}

/// Blocks 1 to 5, without the third.
fn trail() -> Trail {
    let mut trail = Trail::default();
    for number in [1, 2, 4, 5] {
        let block = SightedBlock::new(number, hash(number)).with_parent(hash(number - 1));
        assert!(trail.show(&block, Instant::now()).is_empty());
    }
    trail
}

fn other(number: u64) -> SightedBlock {
    SightedBlock::new(number, B256::repeat_byte(0xff))
}

#[test]
fn a_block_that_links_on_both_sides_joins_them() {
    let missing = SightedBlock::new(3, hash(3)).with_parent(hash(2));
    assert!(trail().show(&missing, Instant::now()).is_empty());
}

#[test]
fn a_replaced_block_takes_all_with_it_that_does_not_link_to_the_new_one() {
    assert_eq!(numbers(trail().show(&other(4).with_parent(hash(3)), Instant::now())), [1, 2, 4, 5]);
    assert_eq!(numbers(trail().show(&other(5).with_parent(hash(4)), Instant::now())), [5]);
    assert_eq!(numbers(trail().show(&other(5), Instant::now())), [1, 2, 4, 5]);
    assert_eq!(numbers(trail().show(&other(2).with_parent(hash(1)), Instant::now())), [2, 4, 5]);
}

#[test]
fn a_gap_is_filled_by_what_contradicts_one_side_or_both() {
    assert_eq!(numbers(trail().show(&other(3).with_parent(hash(2)), Instant::now())), [4, 5]);
    assert_eq!(numbers(trail().show(&other(3), Instant::now())), [1, 2, 4, 5]);
    let links_upwards = SightedBlock::new(3, hash(3)).with_parent(hash(9));
    assert_eq!(numbers(trail().show(&links_upwards, Instant::now())), [1, 2]);
}

#[test]
fn a_parent_that_is_learnt_later_is_checked() {
    let mut trail = Trail::default();
    trail.show(&SightedBlock::new(1, hash(1)), Instant::now());
    assert!(trail.show(&SightedBlock::new(2, hash(2)), Instant::now()).is_empty());
    let told = trail.show(&SightedBlock::new(2, hash(2)).with_parent(hash(9)), Instant::now());
    assert_eq!((numbers(told), trail.hash_at(2)), (vec![1], Some(hash(2))));
    assert_eq!(numbers(trail.show(&SightedBlock::new(1, hash(8)), Instant::now())), [2]);
}
