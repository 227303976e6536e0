//! `cargo xtask matrix`: alclad's stack beside alloy's own layers, through all that goes wrong.

mod page;
mod picture;
mod trial;

#[cfg(test)]
mod tests;

use alclad_tests::SCENARIOS;
use anyhow::{Context, Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::{fs, path::Path};
use trial::{Row, STACKS, try_out};
use xtask::matrix::Options;

/// alclad beside alloy's own layers over faulty nodes
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let Arguments { options } = Arguments::parse();
    let rows = all_rows(&options).await?;
    println!("{}", page::table(&rows));
    for (scenario, cell) in rows.iter().flat_map(Row::misses) {
        println!("{scenario}, {}, the first miss: {:.200}", cell.name, cell.first_miss());
    }
    if options.only.is_none() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        fs::create_dir_all(&docs)?;
        fs::write(docs.join("fault-matrix.md"), page::page(&rows, &options))?;
        picture::draw(&docs.join("fault-matrix.svg"), &rows).context("drawing")?;
    }
    let ours = rows.iter().filter_map(|row| row.cells[0].broken_promise(row.scenario, 0.0));
    let broken: Vec<_> = ours.collect();
    ensure!(broken.is_empty(), "seed {}: {}", options.seed, broken.join("\n"));
    Ok(())
}

async fn all_rows(options: &Options) -> Result<Vec<Row>> {
    let wanted = options.only.as_deref().unwrap_or_default();
    let scenarios: Vec<_> =
        SCENARIOS.iter().filter(|scenario| scenario.name.contains(wanted)).collect();
    ensure!(!scenarios.is_empty(), "no scenario has {wanted:?} in its name");
    let bar = ProgressBar::new(scenarios.len() as u64 * STACKS.len() as u64 * options.calls);
    bar.set_style(ProgressStyle::with_template("{bar:30} {percent} %, {eta} left: {msg}")?);
    let mut rows = Vec::new();
    for scenario in scenarios {
        let mut cells = Vec::new();
        for stack in STACKS {
            bar.set_message(format!("{}, {}", scenario.name, stack.name));
            cells.push(try_out(*stack, scenario, options, &bar).await);
        }
        let row = Row { scenario, cells };
        if bar.is_hidden() {
            println!("{row}");
        }
        rows.push(row);
    }
    bar.finish_and_clear();
    Ok(rows)
}
