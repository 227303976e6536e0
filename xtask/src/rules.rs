//! The rules of the house that no other tool knows.

use crate::workspace::root;
use anyhow::{Result, ensure};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// How long a source file may be, not counting its tests.
const LONGEST: usize = 400;

pub(crate) fn check() -> Result<()> {
    let mut broken = 0;
    for file in sources()? {
        let code = fs::read_to_string(&file)?;
        let file = file.strip_prefix(root()).unwrap_or(&file);
        for offence in offences(&code) {
            println!("{}: {offence}", file.display());
            broken += 1;
        }
    }
    ensure!(broken == 0, "{broken} found");
    Ok(())
}

/// The source files of the crates, without their tests.
fn sources() -> io::Result<Vec<PathBuf>> {
    let members = fs::read_dir(root().join("crates"))?;
    let mut folders: Vec<_> = members.flatten().map(|member| member.path().join("src")).collect();
    folders.retain(|folder| folder.is_dir());
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_source(&path) {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn is_source(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs") && !file.ends_with("tests.rs")
}

fn offences(code: &str) -> Vec<String> {
    let code = code.split("\n#[cfg(test)]\n").next().unwrap_or(code);
    let length = code.lines().count();
    let too_long = format!("{length} lines without its tests, and {LONGEST} is the most");
    let cloned =
        code.lines().zip(1..).filter(|(line, _)| calls_a_clone(line)).map(|(_, number)| {
            format!("line {number}: the clone was not made ready; take the service that was polled")
        });
    cloned.chain((length > LONGEST).then_some(too_long)).collect()
}

/// `let mut inner = self.inner.clone()`: a clone has not the readiness of the service that it is
/// made of.
fn calls_a_clone(line: &str) -> bool {
    line.split_once("let mut ").is_some_and(|(_, rest)| rest.contains("= self.inner.clone()"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_that_is_called_is_an_offence() {
        let code = "fn call() {\n    let mut inner = self.inner.clone();\n}\n";
        assert_eq!(offences(code).len(), 1);
        assert!(offences(code)[0].starts_with("line 2"));
        assert!(offences("Self { inner: self.inner.clone() }").is_empty());
    }

    #[test]
    fn tests_do_not_make_a_file_too_long() {
        let code = "\n".repeat(LONGEST);
        assert!(offences(&code).is_empty());
        assert!(offences(&format!("{code}\n#[cfg(test)]\n{code}")).len() < 2);
        assert_eq!(offences(&format!("{code}\n")).len(), 1);
    }
}
