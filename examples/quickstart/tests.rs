use crate::{
    live, parse,
    simulation::{arrived, play, rotation},
};
use alclad_trial::{Stage, over_alclad};
use indicatif::ProgressBar;
use metrics_util::debugging::DebuggingRecorder;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn alclad_gives_right_answers_throughout_the_script() {
    let arguments = parse(["quickstart", "--calls", "960"]).unwrap();
    let stage = Stage::new(arguments.seed).await;
    let rotation = rotation(stage.endpoints(), Duration::from_millis(300));
    let provider = over_alclad(rotation.clone());
    let score = play(&arguments, &stage, provider, ProgressBar::hidden()).await;
    let seen = format!("ALCLAD_SEED={}, {:#?}", arguments.seed, rotation.snapshot());
    assert_eq!(score.first_miss, None, "{seen}");
    // A fifth of the script's length has its faults five times as dense.
    let (upstream, calls) = (arrived(&stage), score.calls());
    assert!(upstream * 5 <= calls * 6, "{upstream} for {calls}, {seen}");
}

#[tokio::test]
async fn a_url_that_is_none_is_not_repeated() {
    for words in [&["quickstart", "https://host/KEY"][..], &["quickstart", "--calls", "KEY"]] {
        assert!(!parse(words).unwrap_err().to_string().contains("KEY"));
    }
    for url in ["KEY", "host/KEY", "wss://host/KEY", "https://user:KEY@/"] {
        let arguments = parse(["quickstart", "--rpc", url]).unwrap();
        let recorder = DebuggingRecorder::new();
        let error = live::run(&arguments, recorder.snapshotter()).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("KEY"), "{error}");
    }
}
