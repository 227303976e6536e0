use crate::{
    live,
    mischief::Stage,
    parse,
    simulation::{over_alclad, play},
};
use indicatif::ProgressBar;
use metrics_util::debugging::DebuggingRecorder;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn alclad_gives_right_answers_throughout_the_script() {
    let arguments = parse(["quickstart", "--calls", "960"]).unwrap();
    let stage = Stage::new(arguments.seed).await;
    let (provider, rotation) = over_alclad(stage.endpoints(), Duration::from_millis(300));
    let score = play(&arguments, &stage, provider, ProgressBar::hidden()).await;
    let seen = format!("ALCLAD_SEED={}, {:#?}", arguments.seed, rotation.snapshot());
    assert_eq!(score.first_miss, None, "{seen}");
    assert_eq!((score.wrong, score.failed), (0, 0), "{seen}");
    // A fifth of the script's length has its faults five times as dense.
    let (upstream, calls) = (score.upstream.unwrap(), score.calls());
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
