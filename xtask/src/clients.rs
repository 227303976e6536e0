//! The browser and the Ethereum clients that the gateway is tested with.

use crate::{
    command::{command, output, run},
    workspace::{on_path, tools},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// From npm.
const NODE_PACKAGES: [&str; 4] =
    ["@foundry-rs/cast@1.7.1", "ethers@6.17.0", "playwright-core@1.65.1", "viem@2.57.20"];

/// From PyPI.
const PYTHON_PACKAGE: &str = "web3==8.0.0";

/// The environment variable that says where the browser is.
const BROWSER: &str = "ALCLAD_CHROMIUM";

/// What a browser of Chromium's kind is called.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Brings what is missing into one folder below `target/tools`, the programs, `anvil` among them,
/// into its `bin`, and returns the folder.
pub fn bring(anvil: &Path) -> Result<PathBuf> {
    let folder = tools().join("clients");
    let wanted = format!("{} {PYTHON_PACKAGE}", NODE_PACKAGES.join(" "));
    let installed = folder.join("installed");
    if !fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        println!("fetching {wanted} into {}", folder.display());
        // npm puts a platform's cast into a folder of its own.
        let cast = folder.join("node_modules/@foundry-rs");
        fetch_python(&folder)?;
        fetch_node(&folder)?;
        link(&folder, "cast", &program_in(&cast).context("npm brought no cast")?)?;
        fs::write(&installed, wanted)?;
    }
    link(&folder, "anvil", anvil)?;
    link(&folder, "node", &on_path("node").context(NODE)?)?;
    link(&folder, "chromium", &browser()?)?;
    Ok(folder)
}

const PYTHON: &str = "the gateway is tested with web3.py: install Python 3.10 or newer with venv \
    (Debian: apt-get install python3-venv)";

const NODE: &str = "the gateway is tested with cast, ethers, viem and a browser: install Node.js \
    20 or newer with npm";

const NO_BROWSER: &str = "the gateway's page is tested in Chromium: install it \
    (Debian: apt-get install chromium), or point ALCLAD_CHROMIUM at a browser of its kind";

fn fetch_python(folder: &Path) -> Result<()> {
    run(command("python3", ["-m", "venv"]).arg(folder)).context(PYTHON)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYTHON_PACKAGE];
    run(&mut command(folder.join("bin/python"), pip)).context(PYTHON)
}

fn fetch_node(folder: &Path) -> Result<()> {
    let mut npm = command("npm", ["install", "--no-save", "--no-package-lock"]);
    npm.args(["--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
    run(npm.arg(folder).args(NODE_PACKAGES)).context(NODE)
}

/// The program itself: npm puts a Node script in front of it.
fn program_in(scope: &Path) -> Option<PathBuf> {
    let packages = fs::read_dir(scope).ok()?.flatten();
    let mut programs = packages.map(|package| package.path().join("bin/cast"));
    programs.find(|program| program.is_file())
}

fn browser() -> Result<PathBuf> {
    if let Some(named) = env::var_os(BROWSER).map(PathBuf::from) {
        ensure!(named.is_file(), "{BROWSER} is {}, and no program is there", named.display());
        return Ok(named);
    }
    let find = || BROWSERS.into_iter().find_map(on_path);
    match find() {
        Some(browser) => Ok(browser),
        None => {
            install_browser()?;
            find().context(NO_BROWSER)
        }
    }
}

/// Where there is apt, and where we may.
fn install_browser() -> Result<()> {
    if on_path("apt-get").is_none() || output(&mut command("id", ["-u"]))?.trim() != "0" {
        bail!(NO_BROWSER);
    }
    println!("installing chromium");
    let mut apt = command("apt-get", ["install", "--yes", "--no-install-recommends", "chromium"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    run(command("apt-get", ["update"]).arg("--quiet"))
        .and_then(|()| run(&mut apt))
        .context(NO_BROWSER)
}

fn link(folder: &Path, name: &str, program: &Path) -> Result<()> {
    let link = folder.join("bin").join(name);
    if fs::read_link(&link).is_ok_and(|to| to == program) {
        return Ok(());
    }
    // There is none, or it leads elsewhere.
    let _ = fs::remove_file(&link);
    symlink(program, &link).with_context(|| link.display().to_string())
}
