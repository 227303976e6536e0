use super::*;
use crate::EndpointId;
use std::ops::RangeInclusive;
use tokio::time::Instant;

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

#[tokio::test(start_paused = true)]
async fn a_block_is_canonical_for_a_block_time_and_with_it_all_that_it_links_to() {
    let (heads, [a]) = with_block_time(Duration::from_secs(12));
    show_blocks(&a, 98..=100);
    advance(Duration::from_secs(11)).await;
    assert!(heads.canonical_until(98, hash(1, 98)).is_some());
    advance(Duration::from_secs(1)).await;
    assert_eq!(heads.canonical_until(100, hash(1, 100)), None);
    a.saw(&latest(block(1, 101)));
    assert!(heads.canonical_until(98, hash(1, 98)).is_some());
    assert_eq!(heads.canonical_until(98, hash(2, 98)), None);
    advance(Duration::from_secs(12)).await;
    a.saw(&latest(block(1, 103)));
    assert_eq!(heads.canonical_until(101, hash(1, 101)), None, "nobody has shown what is between");
    show(&a, 103);
    assert!(heads.canonical_until(103, hash(1, 103)).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_two_endpoints_show_together_links_and_what_one_denies_is_not_certain() {
    let (heads, [a, b]) = with_block_time(Duration::from_secs(12));
    a.saw(&latest(block(1, 100)));
    advance(Duration::from_secs(12)).await;
    b.saw(&latest(block(1, 101)));
    assert!(heads.canonical_until(100, hash(1, 100)).is_some());
    b.saw(&latest(block(2, 101)));
    assert_eq!(heads.canonical_until(100, hash(1, 100)), None, "its child has another parent");
    a.saw(&latest(block(1, 100)));
    assert_eq!(heads.canonical_until(100, hash(1, 100)), None);
    advance(Duration::from_secs(12)).await;
    a.saw(&latest(block(1, 100)));
    assert!(heads.canonical_until(100, hash(1, 100)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_asked_for_by_its_hash_proves_nothing() {
    let heads = Heads::new();
    let [a] = enrol(&heads);
    show_blocks(&a, 98..=100);
    let before = heads.reorgs();
    let orphan = Sighting { by_hash: true, ..block(2, 100) };
    a.saw(&orphan);
    assert!(heads.canonical_until(100, hash(1, 100)).is_some());
    assert_eq!((heads.canonical_until(100, hash(2, 100)), heads.reorgs()), (None, before));
    a.saw(&block(2, 100));
    assert_eq!(heads.reorgs(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_has_shown_without_interruption_is_known_to_be_its_own() {
    let heads = Heads::new();
    let [a, b] = enrol(&heads);
    let (id, begun) = (EndpointId::from("endpoint-0"), tokio::time::Instant::now());
    a.saw(&block(1, 100));
    let later = begun + Duration::from_secs(2);
    advance(Duration::from_secs(2)).await;
    b.saw(&block(1, 100));
    a.saw(&block(1, 100));
    assert_eq!(heads.shown_since(Some(&id), 100, begun), Some(hash(1, 100)));
    assert_eq!(heads.shown_since(None, 100, later), None, "of whom?");
    drop(b);
    assert_eq!(heads.shown_since(None, 100, begun), Some(hash(1, 100)));
    advance(Duration::from_secs(1)).await;
    a.saw(&block(2, 100));
    assert_eq!(heads.shown_since(Some(&id), 100, later), None);
    assert!(heads.had(Some(&id), 100, later) && !heads.had(Some(&id), 101, later));
    assert!(!heads.had(Some(&"x".into()), 1, later));
}

#[tokio::test(start_paused = true)]
async fn what_descendants_prove_denies_what_is_shown_beside_it() {
    let (heads, [a, b]) = with_block_time(12 * SECOND);
    show_blocks(&a, 97..=100);
    advance(13 * SECOND).await;
    show_blocks(&a, 101..=104);
    assert!(heads.canonical_until(98, hash(1, 98)).is_some());
    b.saw(&block(2, 98));
    assert_eq!(heads.canonical_until(98, hash(2, 98)), None);
    advance(12 * SECOND).await;
    b.saw(&block(2, 98));
    assert!(heads.canonical_until(98, hash(2, 98)).is_some(), "nobody shows the other any more");
}

#[tokio::test(start_paused = true)]
async fn who_has_left_a_block_unseen_does_not_show_it_for_ever() {
    let (heads, [a, _b]) = with_block_time(12 * SECOND);
    let id = EndpointId::from("endpoint-0");
    show_blocks(&a, 97..=100);
    let begun = Instant::now();
    advance(11 * SECOND).await;
    assert_eq!(heads.shown_since(Some(&id), 98, begun), Some(hash(1, 98)));
    show_blocks(&a, 101..=102);
    advance(11 * SECOND).await;
    assert_eq!(heads.shown_since(Some(&id), 98, begun), Some(hash(1, 98)), "by what stands on it");
    advance(SECOND).await;
    show(&a, 102);
    assert_eq!(heads.shown_since(Some(&id), 98, begun), None);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_apart_if_as_many_others_are_on_another_branch() {
    let (heads, [a, b]) = with_block_time(12 * SECOND);
    let [one, two] = ["endpoint-0", "endpoint-1"].map(EndpointId::from);
    show_blocks(&a, 97..=100);
    assert!(!heads.is_apart(Some(&one)) && !heads.is_apart(Some(&two)), "nobody can tell");
    assert!(heads.is_apart(None), "which one?");
    b.saw(&block(2, 100));
    assert!(heads.is_apart(Some(&one)) && heads.is_apart(Some(&two)));
    assert!(heads.is_disputed(100, hash(1, 100)) && heads.is_disputed(100, hash(2, 100)));
    let c = heads.enrol("c".into());
    c.saw(&block(1, 100));
    assert!(!heads.is_apart(Some(&one)) && heads.is_apart(Some(&two)));
    assert!(!heads.is_disputed(100, hash(1, 100)) && heads.is_disputed(100, hash(2, 100)));
    b.saw(&block(1, 101));
    assert!(!heads.is_apart(Some(&two)), "what it shows now goes with the others");
}
