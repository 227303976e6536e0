use super::*;

const TWO: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn the_served_head_is_what_a_majority_has() {
    let (heads, [a, b, c]) = with_block_time(TWO);
    assert_eq!((heads.latest(), heads.age(), a.head(), a.age()), (None, None, None, None));
    show(&a, 100);
    assert_eq!(heads.latest(), Some(100));
    show(&b, 98);
    assert_eq!(heads.latest(), Some(98));
    show(&c, 99);
    assert_eq!(heads.latest(), Some(99));
    assert!(a.has(100) && !a.has(101) && !b.has(99));
}

#[tokio::test(start_paused = true)]
async fn only_fresh_heads_count() {
    let (heads, [a, b]) = with_block_time(TWO);
    show(&b, 90);
    show(&a, 100);
    assert_eq!(heads.latest(), Some(90));
    advance(10 * SECOND).await;
    show(&a, 100);
    assert_eq!(heads.latest(), Some(90));
    advance(SECOND).await;
    show(&a, 100);
    assert_eq!(heads.latest(), Some(100));
}

#[tokio::test(start_paused = true)]
async fn a_head_is_fresh_for_three_blocks_where_they_take_long() {
    let (heads, [a, b]) = with_block_time(12 * SECOND);
    show(&b, 90);
    advance(36 * SECOND).await;
    show(&a, 100);
    assert_eq!(heads.latest(), Some(90));
    advance(SECOND).await;
    show(&a, 100);
    assert_eq!(heads.latest(), Some(100));
}

#[tokio::test(start_paused = true)]
async fn the_last_served_head_stands_when_nobody_is_fresh() {
    let (heads, [a, b]) = with_block_time(TWO);
    show(&a, 100);
    advance(60 * SECOND).await;
    b.lacks(50);
    assert_eq!((heads.latest(), heads.age()), (Some(100), Some(60 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn an_old_block_never_lowers_a_head_but_a_lower_latest_does() {
    let (heads, [a]) = with_block_time(TWO);
    show(&a, 100);
    a.saw(&block(1, 7));
    assert_eq!(a.head(), Some(100));
    a.saw(&block(1, 103));
    assert_eq!((a.head(), heads.latest()), (Some(103), Some(103)));
    show(&a, 98);
    assert_eq!((a.head(), heads.latest()), (Some(98), Some(98)));
    a.saw(&block(1, 99));
    assert_eq!(a.head(), Some(99));
}

#[tokio::test(start_paused = true)]
async fn ages_say_when_the_head_was_last_shown() {
    let (heads, [a, b]) = with_block_time(TWO);
    show(&a, 100);
    advance(SECOND).await;
    show(&b, 100);
    assert_eq!((heads.age(), a.age()), (Some(Duration::ZERO), Some(SECOND)));
    advance(SECOND).await;
    a.saw(&block(1, 7));
    b.saw(&block(1, 99));
    assert_eq!((heads.age(), a.age(), b.age()), (Some(SECOND), Some(2 * SECOND), Some(SECOND)));
    a.saw(&block(1, 100));
    assert_eq!((heads.age(), a.age()), (Some(Duration::ZERO), Some(Duration::ZERO)));
    advance(SECOND).await;
    show(&b, 100);
    assert_eq!(heads.age(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_asked_for_by_its_number_does_not_make_the_newest_one_younger() {
    let (heads, [a, b]) = with_block_time(TWO);
    a.saw(&block(1, 90));
    assert_eq!((heads.latest(), heads.latest_age()), (Some(90), None));
    show(&a, 100);
    advance(SECOND).await;
    a.saw(&block(1, 100));
    assert_eq!((heads.age(), heads.latest_age()), (Some(Duration::ZERO), Some(SECOND)));
    // It tells of an older one.
    show(&b, 99);
    a.saw(&block(1, 101));
    assert_eq!(heads.latest(), Some(99));
    assert_eq!(heads.latest_age(), Some(Duration::ZERO));
    b.saw(&block(1, 101));
    assert_eq!((heads.latest(), heads.latest_age()), (Some(101), Some(Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn who_tells_of_a_newer_block_does_not_make_the_served_one_younger() {
    let (heads, [a, b]) = with_block_time(TWO);
    show(&b, 99);
    advance(SECOND).await;
    show(&a, 100);
    assert_eq!((heads.latest(), heads.latest_age()), (Some(99), Some(SECOND)));
}

#[tokio::test(start_paused = true)]
async fn nor_does_who_lags() {
    let (heads, [a, b, c]) = with_block_time(TWO);
    show_all(&[&a, &b], 100);
    advance(SECOND).await;
    show(&c, 98);
    assert_eq!((heads.latest(), heads.latest_age()), (Some(100), Some(SECOND)));
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_of_a_lookout_takes_its_place_away() {
    let (heads, [a, b]) = with_block_time(TWO);
    show(&a, 100);
    show(&b, 90);
    let clone = b.clone();
    drop(b);
    assert_eq!(heads.latest(), Some(90));
    drop(clone);
    assert_eq!(heads.latest(), Some(100));
}

#[tokio::test(start_paused = true)]
async fn what_was_confirmed_stays_so_when_the_witness_leaves() {
    let (heads, [a, b]) = with_block_time(TWO);
    show(&a, 100);
    advance(SECOND).await;
    show(&b, 100);
    drop(b);
    assert_eq!((heads.latest(), heads.age()), (Some(100), Some(Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn safe_and_final_blocks_are_those_of_a_majority_and_never_go_back() {
    let (heads, [a, b, c]) = with_block_time(TWO);
    let tell = |lookout: &Lookout, safe, finalized| {
        let block = SightedBlock::new(safe, hash(1, safe));
        lookout.saw(&Sighting { safe: Some(safe), ..Sighting::of_block(block) });
        lookout.saw(&Sighting { finalized: Some(finalized), ..Sighting::default() });
    };
    tell(&a, 70, 40);
    assert_eq!((heads.safe(), heads.finalized(), a.head()), (Some(70), Some(40), Some(70)));
    tell(&b, 60, 30);
    tell(&c, 75, 45);
    assert_eq!((heads.safe(), heads.finalized()), (Some(70), Some(40)));
    tell(&b, 74, 44);
    assert_eq!((heads.safe(), heads.finalized()), (Some(74), Some(44)));
    tell(&c, 50, 20);
    drop((b, c));
    assert_eq!((heads.safe(), heads.finalized()), (Some(74), Some(44)));
    heads.forget();
    assert_eq!((heads.safe(), heads.finalized()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn all_that_was_seen_is_forgotten() {
    let (heads, [a, b]) = with_block_time(TWO);
    show(&b, 90);
    a.saw(&latest(block(1, 95)));
    show(&a, 900);
    assert_eq!(a.claims(), Some(900));
    heads.forget();
    assert_eq!((heads.latest(), heads.age(), heads.hash_at(95)), (None, None, None));
    assert_eq!((a.head(), a.age(), a.claims(), a.lag()), (None, None, None, 0));
    assert_eq!(heads.block_time(), TWO);
    assert_eq!(show(&a, 900), Seen::Ordinary);
    assert_eq!(heads.latest(), Some(900));
}

#[tokio::test(start_paused = true)]
async fn the_block_time_is_learnt_from_timestamps_else_from_progress() {
    let heads = Heads::new();
    let [a] = enrol(&heads);
    assert_eq!(heads.block_time(), 12 * SECOND);
    show(&a, 100);
    advance(2 * SECOND).await;
    show(&a, 101);
    assert_eq!(heads.block_time(), 12 * SECOND);
    advance(4 * SECOND).await;
    show(&a, 103);
    assert_eq!(heads.block_time(), 2 * SECOND);
    for (number, timestamp) in [(100, 1000), (104, 1004)] {
        let block = SightedBlock::new(number, hash(1, number)).with_timestamp(timestamp);
        a.saw(&Sighting::of_block(block));
    }
    assert_eq!(heads.block_time(), SECOND);
    heads.forget();
    assert_eq!(heads.block_time(), 12 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn numbers_that_no_chain_has_do_no_harm() {
    let (heads, [a, b]) = with_block_time(TWO);
    for number in [0, u64::MAX - 1, u64::MAX, 0] {
        show(&a, number);
        a.saw(&Sighting::of_block(SightedBlock::new(number, B256::ZERO)));
        a.lacks(number);
    }
    show(&b, u64::MAX - 1);
    b.confirm();
    show(&b, 0);
    assert_eq!(heads.latest(), Some(0));
}
