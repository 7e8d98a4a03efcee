//! A disk that is too small for what is written to it.

use std::path::Path;
use std::process::{Command, Stdio};

/// Wraps `command` so that little more than `size_bytes` can be written to `folder` in all.
///
/// With the rights for it, the process gets a mount of its own over the folder, which goes away with the
/// process and is seen by nobody else; without, its files are limited in size, which fails at the same place.
pub fn small(command: &Command, folder: &Path, size_bytes: u64) -> Command {
    let mount = format!("mount -t tmpfs -o size={size_bytes} tmpfs \"$0\"");
    for namespace in [&["--mount"][..], &["--mount", "--map-root-user"]] {
        let mut trial = Command::new("unshare");
        trial.args(namespace).args(["sh", "-c", &mount]).arg(folder);
        if trial.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            let mut wrapped = Command::new("unshare");
            wrapped.args(namespace).args(["sh", "-c", &format!("{mount} && exec \"$@\"")]).arg(folder);
            return carried_over(wrapped, command);
        }
    }
    // In units of 512 bytes. The signal is ignored, so that the write fails instead of the process.
    let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", size_bytes / 512);
    let mut wrapped = Command::new("sh");
    wrapped.args(["-c", &limit, "sh"]);
    carried_over(wrapped, command)
}

fn carried_over(mut wrapped: Command, command: &Command) -> Command {
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("dd");
        command.args(["if=/dev/zero", "bs=65536", "count=64"]);
        command.arg(format!("of={}", folder.path().join("file").display()));
        let output = small(&command, folder.path(), 1024 * 1024).output().unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("No space left") || text.contains("File too large"), "{text}");
    }
}
