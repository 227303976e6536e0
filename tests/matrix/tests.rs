use crate::{
    page, picture,
    trial::{Cell, Row, STACKS, try_out},
};
use alclad_tests::{SCENARIOS, Scenario};
use alclad_trial::Miss;
use indicatif::ProgressBar;
use std::{env, fs, process};
use xtask::matrix::Options;

/// What is learnt of the endpoints at the beginning costs as much in a short run as in a long one.
const LEARNING: f64 = 0.1;

fn options(calls: u64) -> Options {
    let seed = env::var("ALCLAD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("ALCLAD_SEED={seed}");
    Options { calls, only: None, seed }
}

fn scenario(name: &str) -> &'static Scenario {
    SCENARIOS.iter().find(|scenario| scenario.name == name).expect("there is one")
}

async fn cell(stack: usize, scenario: &'static Scenario, options: &Options) -> Cell {
    try_out(STACKS[stack], scenario, options, &ProgressBar::hidden()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alclad_gives_the_truth_whatever_befalls_the_nodes() {
    let options = options(240);
    let mut broken = Vec::new();
    for scenario in SCENARIOS {
        let cell = cell(0, scenario, &options).await;
        let (cost, p99) = (cell.cost, cell.score.latency(0.99));
        println!("{}: cost {cost:.3}, p99 {p99:.1?}, {:.200}", scenario.name, cell.first_miss());
        broken.extend(cell.broken_promise(scenario, LEARNING));
    }
    assert!(broken.is_empty(), "seed {}: {broken:#?}", options.seed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_the_truth_is_seen() {
    let options = options(100);
    let lags = cell(3, scenario("5 blocks behind, and the fastest"), &options).await;
    assert!(lags.score.missed(Miss::Stale) > 0 && lags.score.missed(Miss::Null) > 0);
    let twin = cell(3, scenario("another chain"), &options).await;
    assert!(twin.score.missed(Miss::Wrong) > 0);
    let dead = cell(1, scenario("dead"), &options).await;
    assert!(dead.score.missed(Miss::Failed) > 0);
    assert!(lags.cost > 2.9, "three are asked at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_becomes_a_page_and_a_picture() {
    let (options, scenario) = (options(20), &SCENARIOS[0]);
    let mut cells = Vec::new();
    for stack in 0..STACKS.len() {
        cells.push(cell(stack, scenario, &options).await);
    }
    let rows = [Row { scenario, cells }];
    let page = page::page(&rows, &options);
    let rows_of_table = page.lines().filter(|line| line.contains("| all is well |")).count();
    assert_eq!(rows_of_table, STACKS.len());
    assert!(page.contains(&format!("--seed {}", options.seed)));
    let file = env::temp_dir().join(format!("alclad-fault-matrix-{}.svg", process::id()));
    picture::draw(&file, &rows).unwrap();
    let picture = fs::read_to_string(&file).unwrap();
    fs::remove_file(file).unwrap();
    assert!(picture.contains("all is well") && picture.contains(STACKS[3].name));
}
