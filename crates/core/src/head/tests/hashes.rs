use super::*;
use std::ops::RangeInclusive;

fn show_blocks(lookout: &Lookout, numbers: RangeInclusive<u64>) {
    for number in numbers {
        lookout.saw(&latest(block(1, number)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hash_is_canonical_if_a_majority_of_those_that_know_one_say_so() {
    let heads = Heads::new();
    let [a, b, c] = enrol(&heads);
    show_all(&[&a, &b, &c], 100);
    assert_eq!(heads.hash_at(100), None);
    a.saw(&block(1, 100));
    assert_eq!(heads.hash_at(100), Some(hash(1, 100)));
    b.saw(&block(2, 100));
    assert_eq!(heads.hash_at(100), None);
    c.saw(&block(2, 100));
    assert_eq!(heads.hash_at(100), Some(hash(2, 100)));
    drop(c);
    assert_eq!(heads.hash_at(100), None);
}

#[tokio::test(start_paused = true)]
async fn another_hash_at_a_height_is_a_reorg_that_listeners_hear_at_once() {
    let heads = Heads::new();
    let [a] = enrol(&heads);
    let told = reorgs(&heads);
    show_blocks(&a, 98..=101);
    assert!(told.lock().unwrap().is_empty());
    let forked = SightedBlock::new(100, hash(2, 100)).with_parent(hash(1, 99));
    a.saw(&Sighting::of_block(forked));
    let orphaned = vec![(100, hash(1, 100)), (101, hash(1, 101))];
    let reorg = Reorg { endpoint: "endpoint-0".into(), from: 100, orphaned };
    assert_eq!(*told.lock().unwrap(), [reorg]);
    let hashes = [99, 100, 101].map(|number| heads.hash_at(number));
    assert_eq!(hashes, [Some(hash(1, 99)), Some(hash(2, 100)), None]);
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_is_not_ours_puts_all_below_in_doubt() {
    let heads = Heads::new();
    let [a] = enrol(&heads);
    let told = reorgs(&heads);
    show_blocks(&a, 98..=100);
    a.saw(&latest(block(2, 101)));
    let from = told.lock().unwrap()[0].from;
    assert_eq!((from, told.lock().unwrap()[0].orphaned.len()), (98, 3));
    assert_eq!((heads.hash_at(98), heads.hash_at(101)), (None, Some(hash(2, 101))));
}

#[tokio::test(start_paused = true)]
async fn a_lower_latest_drops_what_is_above_it() {
    let heads = Heads::new();
    let [a] = enrol(&heads);
    let told = reorgs(&heads);
    show_blocks(&a, 98..=100);
    show(&a, 99);
    assert_eq!(told.lock().unwrap()[0].orphaned, [(100, hash(1, 100))]);
    // The new one at 99 replaces the old one, and what lies below may have gone with it.
    a.saw(&latest(block(2, 98)));
    let last = told.lock().unwrap()[1].clone();
    assert_eq!(last.orphaned, [(98, hash(1, 98)), (99, hash(1, 99))]);
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_call_back() {
    let heads = Heads::new();
    let [a, b] = enrol(&heads);
    let told = reorgs(&heads);
    let (inside, other) = (heads.clone(), b.clone());
    heads.on_reorg(move |reorg| {
        if reorg.endpoint == "endpoint-0".into() {
            assert_eq!(inside.hash_at(reorg.from), None);
            inside.on_reorg(|_| ());
            other.saw(&block(2, reorg.from));
        }
    });
    b.saw(&block(1, 100));
    a.saw(&block(1, 100));
    a.saw(&block(2, 100));
    let told = told.lock().unwrap();
    let order: Vec<_> = told.iter().map(|reorg| reorg.endpoint.as_str()).collect();
    assert_eq!(order, ["endpoint-0", "endpoint-1"]);
}

#[tokio::test(start_paused = true)]
async fn hashes_are_kept_for_128_heights() {
    let heads = Heads::new();
    let [a] = enrol(&heads);
    let told = reorgs(&heads);
    show_blocks(&a, 1..=200);
    assert_eq!((heads.hash_at(72), heads.hash_at(73)), (None, Some(hash(1, 73))));
    a.saw(&block(2, 72));
    assert_eq!(heads.hash_at(72), None);
    show(&a, 1000);
    assert_eq!(heads.hash_at(200), None);
    assert!(told.lock().unwrap().is_empty());
}
