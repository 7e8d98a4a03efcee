//! Makes what is handed out: an archive, a Debian package and a container image with the static program, and their digests.
//!
//! Owns the order of the steps. [`program`] builds, [`contents`] says which files there are, [`licences`] collects the
//! terms of what is inside, [`archive`], [`deb`] and [`image`] write one form each. The same sources and the same compiler
//! give the same bytes, in whatever folder they lie; docs/decisions/0026 says how.

mod archive;
mod contents;
mod deb;
mod image;
mod licences;
mod program;
pub(crate) mod remap;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::process::output;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use contents::Contents;

/// The package that is handed out.
const PACKAGE: &str = "tributary";

/// Where its files stand in `--dist` order: digests of everything else.
const SUMS: &str = "SHA256SUMS";

/// Builds everything into a folder of the target directory and prints the sizes.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::install(workspace, &Need::DIST)?;
    let time_s = source_time_s(workspace)?;
    let program = program::build(workspace, time_s)?;
    let contents = Contents::collect(workspace, &program)?;
    let version = version(workspace)?;
    let folder = workspace.target_dir().join("packages");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let made = [
        (
            format!("{PACKAGE}-{version}-x86_64-linux-musl.tar.gz"),
            archive::bytes(&contents, &version, time_s)?,
        ),
        (format!("{PACKAGE}_{version}_amd64.deb"), deb::bytes(&contents, &version, time_s)?),
        (format!("{PACKAGE}-{version}-oci.tar"), image::bytes(&contents, &version, time_s)?),
    ];
    print_size(Path::new("the program"), contents.program().len());
    let mut sums = String::new();
    for (name, bytes) in &made {
        save(&folder.join(name), bytes)?;
        print_size(&folder.join(name), bytes.len());
        sums += &format!("{}  {name}\n", digest(bytes));
    }
    save(&folder.join(SUMS), sums.as_bytes())?;
    print!("{sums}");
    Ok(())
}

/// The time that all files have, seconds since 1970: `SOURCE_DATE_EPOCH`, else that of the commit.
fn source_time_s(workspace: &Workspace) -> Result<u64> {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let time = given.or_else(|| output(workspace.command("git").args(["log", "-1", "--format=%ct"])));
    let time = time.context("there is no commit to take the time of; set SOURCE_DATE_EPOCH, in seconds")?;
    time.parse().with_context(|| format!("SOURCE_DATE_EPOCH is `{time}` and must be seconds since 1970"))
}

fn version(workspace: &Workspace) -> Result<String> {
    let package = workspace.metadata().packages.iter().find(|package| package.name.as_str() == PACKAGE);
    Ok(package.with_context(|| format!("the workspace has no package {PACKAGE}"))?.version.to_string())
}

fn save(path: &PathBuf, bytes: &[u8]) -> Result<()> {
    ensure!(!bytes.is_empty(), "{} would be empty", path.display());
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn print_size(what: &Path, bytes: usize) {
    let tenths = bytes.div_ceil(100_000);
    eprintln!("dist: {}.{} MB  {}", tenths / 10, tenths % 10, what.display());
}

/// SHA-256 in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
