//! Every published crate with each of its features alone, and with none.

use crate::command::{cargo, output, run};
use anyhow::Result;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    features: BTreeMap<String, Vec<String>>,
    /// The registries that it may go to; `null` is all of them.
    publish: Option<Vec<String>>,
}

pub(crate) fn check() -> Result<()> {
    let metadata = output(&mut cargo(["metadata", "--no-deps", "--format-version=1"]))?;
    let Metadata { packages } = serde_json::from_str(&metadata)?;
    packages.iter().filter(|package| package.is_published()).try_for_each(Package::check)
}

impl Package {
    fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }

    fn check(&self) -> Result<()> {
        let alone = self.features.keys().map(String::as_str);
        std::iter::once("").chain(alone).try_for_each(|feature| self.check_with(feature))
    }

    /// Clippy only because it can deny the warnings of these crates without building all others
    /// anew. It does not see the features that the tests need.
    fn check_with(&self, feature: &str) -> Result<()> {
        println!("{} with {}", self.name, if feature.is_empty() { "none" } else { feature });
        let mut clippy = cargo(["clippy", "--quiet", "--package", &self.name]);
        clippy.args(["--no-default-features", "--features", feature, "--", "-D", "warnings"]);
        run(&mut clippy)
    }
}
