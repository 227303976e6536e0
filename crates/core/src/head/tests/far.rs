use super::*;

#[tokio::test(start_paused = true)]
async fn a_far_claim_is_not_taken() {
    let (heads, [a, b]) = with_block_time(12 * SECOND);
    a.saw(&latest(block(1, 100)));
    show(&b, 100);
    assert_eq!(show(&a, 165), Seen::FarAhead);
    assert_eq!(show(&a, 164), Seen::Ordinary);
    assert_eq!(a.saw(&block(9, 1000)), Seen::FarAhead);
    let sighting = Sighting { finalized: Some(500), ..Sighting::default() };
    assert_eq!(a.saw(&sighting), Seen::FarAhead);
    assert_eq!((a.head(), a.claims(), heads.latest()), (Some(164), Some(500), Some(100)));
    assert_eq!((heads.hash_at(1000), heads.finalized()), (None, None));
    assert_eq!((a.saw(&block(1, 50)), a.claims()), (Seen::Ordinary, Some(500)));
    assert_eq!(show(&a, 101), Seen::Ordinary);
    assert_eq!(a.claims(), None);
}

#[tokio::test(start_paused = true)]
async fn who_has_nobody_to_compare_with_is_believed() {
    let (heads, [a, _b]) = with_block_time(12 * SECOND);
    show(&a, 100);
    assert_eq!(show(&a, 1_000_000), Seen::Ordinary);
    assert_eq!(heads.latest(), Some(1_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_blocks_is_not_far() {
    let (_, [a, b]) = with_block_time(SECOND / 4);
    show_all(&[&a, &b], 100);
    assert_eq!(show(&a, 341), Seen::FarAhead);
    assert_eq!(show(&a, 340), Seen::Ordinary);
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_step_by_step_is_believed_though_the_others_stand_still() {
    let (_, [a, b]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b], 100);
    for head in 101..1000 {
        assert_eq!(show(&a, head), Seen::Ordinary, "{head}");
    }
    assert!(matches!(show(&b, 100), Seen::Behind(899)));
    assert!(b.is_lagging() && !a.is_lagging());
}

#[tokio::test(start_paused = true)]
async fn after_a_silence_the_chain_may_be_further() {
    let (_, [a, b]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b], 100);
    advance(100 * SECOND).await;
    assert_eq!(show(&a, 201), Seen::FarAhead);
    assert_eq!(show(&a, 200), Seen::Ordinary);
}

#[tokio::test(start_paused = true)]
async fn two_that_claim_the_like_are_believed() {
    let (heads, [a, b, c]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b, &c], 100);
    assert_eq!(show(&a, 5000), Seen::FarAhead);
    assert_eq!(show(&b, 9000), Seen::FarAhead);
    assert_eq!((heads.latest(), b.claims()), (Some(100), Some(9000)));
    assert_ne!(show(&c, 5010), Seen::FarAhead);
    assert_eq!((heads.latest(), a.head(), a.claims()), (Some(5000), Some(5000), None));
    assert_ne!(show(&b, 5011), Seen::FarAhead);
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_claim_is_believed_and_may_go_on() {
    let (heads, [a, b, c]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b, &c], 100);
    show(&a, 5000);
    a.confirm();
    assert_eq!((a.head(), a.claims(), heads.latest()), (Some(5000), None, Some(100)));
    a.saw(&block(1, 50));
    assert_ne!(show(&a, 5001), Seen::FarAhead);
    assert_eq!(show(&a, 50_000), Seen::FarAhead);
    assert_ne!(show(&a, 101), Seen::FarAhead);
    assert_eq!(show(&a, 5001), Seen::FarAhead);
    assert_eq!((a.head(), b.claims()), (Some(101), None));
}

#[tokio::test(start_paused = true)]
async fn who_follows_one_that_is_there_already_is_believed() {
    let (heads, [a, b, c]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b, &c], 100);
    show(&a, 5000);
    a.confirm();
    assert_ne!(show(&b, 5001), Seen::FarAhead);
    assert_eq!((heads.latest(), b.claims()), (Some(5000), None));
}

#[tokio::test(start_paused = true)]
async fn who_was_believed_with_another_is_believed_without_it() {
    let (heads, [a, b, c, d, e]) = with_block_time(2 * SECOND);
    show_all(&[&a, &b, &c, &d, &e], 100);
    show_all(&[&a, &b], 5000);
    drop(a);
    assert_ne!(show(&b, 5001), Seen::FarAhead);
    assert_eq!((heads.latest(), b.head()), (Some(100), Some(5001)));
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_of_another_chain_has_shown_is_forgotten_and_told() {
    let (heads, [a, b]) = with_block_time(12 * SECOND);
    let told = Arc::new(Mutex::new(Vec::new()));
    let (listener, asked) = (Arc::clone(&told), heads.clone());
    heads.on_distrust(move |endpoint| {
        // It may call back, and all is forgotten by then.
        listener.lock().unwrap().push((endpoint.clone(), asked.finalized()));
    });
    a.saw(&block(1, 90));
    a.saw(&Sighting { finalized: Some(70), ..Sighting::default() });
    b.saw(&block(2, 95));
    b.saw(&Sighting { finalized: Some(90), ..Sighting::default() });
    let reorgs = heads.reorgs();
    assert_eq!(heads.finalized(), Some(70));
    a.distrust();
    assert_eq!(*told.lock().unwrap(), [("endpoint-0".into(), Some(90))]);
    assert_eq!((a.head(), heads.latest(), heads.finalized()), (None, Some(95), Some(90)));
    assert_eq!((heads.hash_at(90), heads.hash_at(95)), (None, Some(hash(2, 95))));
    assert!(heads.reorgs() > reorgs);
    b.distrust();
    assert_eq!((heads.latest(), heads.finalized()), (None, None));
    // It may come back.
    a.saw(&block(2, 94));
    assert_eq!((a.head(), heads.latest()), (Some(94), Some(94)));
}
