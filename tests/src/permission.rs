//! A tracker that its operator closed, and who may use it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::places::binary;
use crate::program::Program;
use crate::tracker::Tracker;

/// How long the program that makes permissions may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What the operator gives to publishers.
pub const PUBLISH_TOKEN: &str = "only-for-publishers";

/// What permissions are signed with.
const SECRET: &str = "a secret of thirty-two bytes or more, for tests";

/// A permission signed with `SECRET` (HS256, key `first`) that ended in 2001.
pub const EXPIRED: &str = concat!(
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6ImZpcnN0In0.",
    "eyJzd2FybSI6IjAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAi",
    "LCJyb2xlIjoidmlld2VyIiwiZXhwIjoxMDAwMDAwMDAwLCJhdWQiOiJ0cmlidXRhcnkifQ.",
    "kfSFDznLDFFWRlnmyZo2I89iKbdxMgUp_KtGkWrGNDc"
);

/// A tracker that asks publishers for the token and viewers for a permission that is signed with the key.
/// `options` are more of its command line.
pub fn closed_tracker(key: &str, options: &[&str]) -> Result<Tracker> {
    let closed = ["--publish-token", PUBLISH_TOKEN, "--viewer-key", key];
    Tracker::start_with("127.0.0.1:0", &[&closed, options].concat())
}

/// A key for permissions, as `--viewer-key` and `tracker-server token --key` take it.
pub fn viewer_key(folder: &Path) -> Result<String> {
    let file = folder.join("viewers.secret");
    fs::write(&file, SECRET)?;
    Ok(format!("first={}", file.display()))
}

/// A permission to take part in a swarm.
pub fn permission(key: &str, swarm: &str) -> Result<String> {
    let mut command = Command::new(binary("tracker-server")?);
    command.args(["token", "--key", key, "--swarm", swarm]);
    let ended = Program::start("tracker-server token", &mut command)?.wait_end(TIMEOUT)?;
    ensure!(ended.status.success(), "{ended:?}");
    ended.stdout.first().cloned().context("no token")
}
