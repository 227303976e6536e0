use super::*;

#[tokio::test(start_paused = true)]
async fn a_laggard_is_found_and_comes_back() {
    let (_, [a, b, c]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b], 100);
    assert_eq!(show(&c, 98), Seen::Behind(2));
    assert!(!c.is_lagging());
    assert_eq!(show(&c, 97), Seen::Behind(3));
    assert!(c.is_lagging());
    assert_eq!(show(&c, 98), Seen::Behind(2));
    assert!(c.is_lagging());
    assert_eq!((show(&c, 99), c.lag()), (Seen::Behind(1), 1));
    assert!(!c.is_lagging());
    assert_eq!(show(&c, 100), Seen::Ordinary);
}

#[tokio::test(start_paused = true)]
async fn how_much_is_lagging_goes_by_the_block_time() {
    for (block_time, most, back) in [(12 * SECOND, 1, 0), (2 * SECOND, 2, 1), (SECOND / 4, 9, 4)] {
        let (_, [a, b, c]) = with_block_time(block_time);
        show_all(&[&a, &b], 100);
        show(&c, 100 - most);
        assert!(!c.is_lagging(), "{block_time:?}");
        show(&c, 100 - most - 1);
        assert!(c.is_lagging(), "{block_time:?}");
        show(&c, 100 - back - 1);
        assert!(c.is_lagging(), "{block_time:?}");
        show(&c, 100 - back);
        assert!(!c.is_lagging(), "{block_time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_endpoint_of_a_fast_chain_never_lags() {
    let (_, lookouts @ [_, _, _]) = with_block_time(SECOND / 4);
    for step in 0..1000 {
        advance(Duration::from_millis(fastrand::u64(1..400))).await;
        // Each is asked at its own time, and answers with up to two seconds' delay.
        let delay = fastrand::u64(0..8);
        show(&lookouts[step % 3], 1000 + step as u64 / 2 - delay);
        assert!(!lookouts.iter().any(Lookout::is_lagging));
    }
}

#[tokio::test(start_paused = true)]
async fn that_the_others_go_on_makes_nobody_lag() {
    let (_, [a, b, c]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b, &c], 100);
    advance(2 * SECOND).await;
    show_all(&[&b, &c], 110);
    assert_eq!((a.lag(), a.is_lagging()), (0, false));
    a.saw(&block(1, 50));
    assert!(!a.is_lagging());
}

#[tokio::test(start_paused = true)]
async fn who_told_its_latest_a_moment_ago_is_compared_with_those_that_tell_now() {
    let heads = Heads::new();
    let [a, b, c] = enrol(&heads);
    assert_eq!(show(&a, 95), Seen::Ordinary);
    show_all(&[&b, &c], 100);
    assert_eq!((a.is_lagging(), a.lag()), (true, 5));
    assert!(!b.is_lagging() && !c.is_lagging());
    assert_eq!(heads.block_time(), 12 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_newer_block_ends_the_lag() {
    let (_, [a, b, c]) = with_block_time(2 * SECOND);
    show(&a, 90);
    show_all(&[&b, &c], 100);
    assert!(a.is_lagging());
    advance(5 * SECOND).await;
    assert_eq!(a.saw(&block(1, 98)), Seen::Behind(2));
    assert!(a.is_lagging());
    assert_eq!(a.saw(&block(1, 100)), Seen::Ordinary);
    assert!(!a.is_lagging());
}

#[tokio::test(start_paused = true)]
async fn who_lacks_a_block_has_a_lower_head() {
    let (heads, [a, b, c]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b, &c], 100);
    a.saw(&block(1, 97));
    a.saw(&block(1, 96));
    a.lacks(97);
    assert_eq!((a.head(), a.lag(), a.is_lagging()), (Some(96), 4, true));
    assert!(!a.has(97) && a.has(96));
    assert_eq!((heads.hash_at(96), heads.hash_at(97)), (Some(hash(1, 96)), None));
    // It does not make up for what is known to be missing.
    a.lacks(100);
    assert_eq!((a.head(), a.lag()), (Some(96), 4));
}

#[tokio::test(start_paused = true)]
async fn who_was_not_seen_for_long_and_lacks_a_block_is_behind_by_what_that_proves() {
    let (_, [a, b, c]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b, &c], 100);
    advance(20 * SECOND).await;
    show_all(&[&b, &c], 110);
    a.lacks(110);
    assert_eq!((a.head(), a.lag(), a.is_lagging()), (Some(100), 1, false));
    a.lacks(108);
    assert_eq!((a.lag(), a.is_lagging()), (3, true));
}

#[tokio::test(start_paused = true)]
async fn who_lacks_an_old_block_has_pruned_it() {
    let (_, [a, b]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b], 1000);
    a.lacks(872);
    assert_eq!((a.head(), a.lag()), (Some(1000), 0));
    a.lacks(873);
    assert_eq!(a.head(), Some(872));
}
