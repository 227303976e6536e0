//! The faulty nodes, in a process of their own: their chain grows, and is not to be measured.

use alclad_testkit::ChainSpec;
use alclad_tests::SCENARIOS;
use alclad_trial::Stage;
use anyhow::{Context, Result, anyhow, ensure};
use fastrand::Rng;
use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
    time::Duration,
};
use url::Url;

/// From one block to the next.
const BLOCK_TIME: Duration = Duration::from_secs(1);

/// The process with the nodes; ends when this is dropped.
pub(crate) struct Nodes {
    pub(crate) urls: Vec<Url>,
    process: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Nodes {
    /// Starts this very program once more.
    pub(crate) fn start(seed: u64) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args(["nodes", &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = process.stdin.take().context("it has an input")?;
        let mut stdout = BufReader::new(process.stdout.take().context("it has an output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let urls = line.split_whitespace().map(Url::parse).collect::<Result<Vec<_>, _>>()?;
        ensure!(urls.len() == 3, "the nodes did not start");
        Ok(Self { urls, process, pipes: Mutex::new((stdin, stdout)) })
    }

    /// Lets something befall the nodes, and tells what.
    pub(crate) fn strike(&self, rng: &mut Rng) -> Result<&'static str> {
        let index = rng.usize(..SCENARIOS.len());
        self.tell(&index.to_string())?;
        Ok(SCENARIOS[index].name)
    }

    /// Lets the nodes be well.
    pub(crate) fn heal(&self) -> Result<()> {
        self.tell("heal")
    }

    /// The answer comes at once.
    fn tell(&self, what: &str) -> Result<()> {
        let mut pipes = self.pipes.lock().map_err(|_| anyhow!("somebody panicked"))?;
        writeln!(pipes.0, "{what}")?;
        pipes.0.flush()?;
        let mut line = String::new();
        pipes.1.read_line(&mut line)?;
        ensure!(line.trim() == "done", "the nodes are gone");
        Ok(())
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        // An error means that it is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves the nodes until nobody is there any more who tells what befalls them.
pub(crate) async fn serve(seed: u64) -> Result<()> {
    let mut stage = Stage::on(ChainSpec::new(seed).with_block_time(BLOCK_TIME)).await;
    let _miner = stage.chain.mine_on_schedule();
    println!("{}", stage.urls().map(String::from).collect::<Vec<_>>().join(" "));
    let nodes = stage.nodes.clone();
    let listen = move || {
        for (turn, line) in io::stdin().lines().enumerate() {
            stage.heal();
            if let Some(scenario) = line?.parse::<usize>().ok().and_then(|at| SCENARIOS.get(at)) {
                // What lasts befalls always the same one: somebody must be left to answer.
                let first = if scenario.lasting { 0 } else { turn % nodes.len() };
                stage.nodes = [&nodes[first..], &nodes[..first]].concat();
                scenario.strike(&stage);
            }
            println!("done");
        }
        io::Result::Ok(())
    };
    Ok(tokio::task::spawn_blocking(listen).await??)
}
