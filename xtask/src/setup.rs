//! Installs what a step needs and is not there yet, and says for each thing what it did.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::pins::{
    AUTHORITY, BROWSER, DENY, ENGINE, FFMPEG, FIREFOX, GECKODRIVER, LIBTORRENT, MDBOOK, NETWORK, NODE,
    PROXIES, RELAYS, SCREEN, STATIC_C, STATIC_TARGET, SYSTEM_PYTHON, SystemProgram, TRUNK, Tool,
    WASM_BINDGEN, WASM_TARGET,
};
use crate::process::{find, output, run};
use crate::workspace::Workspace;

/// Something that a step cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// The standard library for the page's target.
    WasmTarget,
    /// The standard library and the C compiler for static programs.
    Static,
    /// clippy and rustfmt.
    Lints,
    /// cargo-deny.
    Deny,
    /// `wasm-bindgen` and its test runner.
    WasmBindgen,
    /// Trunk, which builds the page, too.
    Trunk,
    /// mdBook, which builds the book.
    Book,
    /// Node and npm, which make the page's player library and run WebAssembly tests.
    Node,
    /// Browser and driver.
    Browser,
    /// The second browser and its driver.
    Firefox,
    /// A screen for browsers with a window; only `bench hidden` needs it.
    Screen,
    /// ffmpeg, which makes films.
    Films,
    /// Network programs.
    Network,
    /// Routers and relays.
    Relays,
    /// What several trackers share.
    Engine,
    /// What gives certificates.
    Authority,
    /// Reverse proxies.
    Proxies,
    /// What `bench --compare` compares with; nothing else needs it.
    Libtorrent,
}

impl Need {
    /// Everything that builds and tests need. Trunk is for [`Need::TRUNK`] alone and mdBook for [`Need::BOOK`]: they take
    /// minutes to build.
    pub(crate) const ALL: [Self; 13] = [
        Self::WasmTarget,
        Self::Lints,
        Self::Deny,
        Self::WasmBindgen,
        Self::Node,
        Self::Browser,
        Self::Firefox,
        Self::Films,
        Self::Network,
        Self::Relays,
        Self::Engine,
        Self::Authority,
        Self::Proxies,
    ];

    /// What building the page takes.
    pub(crate) const PAGE: [Self; 2] = [Self::WasmTarget, Self::Node];

    /// What making packages takes.
    pub(crate) const DIST: [Self; 3] = [Self::WasmTarget, Self::Node, Self::Static];

    /// What building the book takes.
    pub(crate) const BOOK: [Self; 1] = [Self::Book];

    /// What comparing it with Trunk's takes.
    pub(crate) const TRUNK: [Self; 4] = [Self::WasmTarget, Self::WasmBindgen, Self::Trunk, Self::Node];
}

/// Installs what is missing of `needs`.
pub(crate) fn install(workspace: &Workspace, needs: &[Need]) -> Result<()> {
    let mut programs: Vec<SystemProgram> = Vec::new();
    for need in needs {
        match need {
            Need::WasmTarget => target(workspace, WASM_TARGET)?,
            Need::Static => {
                target(workspace, STATIC_TARGET)?;
                programs.push(STATIC_C);
            }
            Need::Lints => {
                component(workspace, "clippy", &["clippy", "--version"])?;
                component(workspace, "rustfmt", &["fmt", "--version"])?;
            }
            Need::Deny => tool(workspace, &DENY)?,
            Need::WasmBindgen => {
                same_as_locked(workspace)?;
                tool(workspace, &WASM_BINDGEN)?;
            }
            Need::Trunk => tool(workspace, &TRUNK)?,
            Need::Book => tool(workspace, &MDBOOK)?,
            Need::Node => programs.extend(NODE),
            Need::Browser => programs.extend(BROWSER),
            Need::Firefox => {
                programs.push(FIREFOX);
                tool(workspace, &GECKODRIVER)?;
            }
            Need::Screen => programs.push(SCREEN),
            Need::Films => programs.push(FFMPEG),
            Need::Network => programs.push(NETWORK),
            Need::Relays => programs.extend(RELAYS),
            Need::Engine => programs.push(ENGINE),
            Need::Authority => programs.push(AUTHORITY),
            Need::Proxies => programs.extend(PROXIES),
            Need::Libtorrent => libtorrent()?,
        }
    }
    system_programs(&programs)
}

fn target(workspace: &Workspace, name: &str) -> Result<()> {
    let mut ask = workspace.command("rustc");
    ask.args(["--print", "target-libdir", "--target", name]);
    if output(&mut ask).is_some_and(|folder| Path::new(&folder).is_dir()) {
        return present(name);
    }
    run(workspace.command("rustup").args(["target", "add", name])).with_context(|| {
        format!("the target {name} is missing; install it for the compiler that `rustc` runs")
    })
}

fn component(workspace: &Workspace, name: &str, ask: &[&str]) -> Result<()> {
    if output(&mut workspace.cargo(ask.iter().copied())).is_some() {
        return present(name);
    }
    run(workspace.command("rustup").args(["component", "add", name]))
        .with_context(|| format!("{name} is missing; install it for the compiler that `rustc` runs"))
}

fn tool(workspace: &Workspace, tool: &Tool) -> Result<()> {
    let installed = output(workspace.command(tool.program).arg("--version"));
    if installed.as_deref().and_then(version_of) == Some(tool.version) {
        return present(&format!("{} {}", tool.package, tool.version));
    }
    if cargo_install(workspace, tool, installed.is_some(), true).is_err() {
        // A lock file may name a release that was withdrawn or that a registry mirror does not have yet.
        eprintln!("setup: {} does not install with its own lock file; trying without it", tool.package);
        cargo_install(workspace, tool, installed.is_some(), false)?;
    }
    let installed = output(workspace.command(tool.program).arg("--version"));
    ensure!(
        installed.as_deref().and_then(version_of) == Some(tool.version),
        "`{} --version` says {:?} after installing {}; put cargo's bin folder first in PATH",
        tool.program,
        installed.unwrap_or_default(),
        tool.version
    );
    Ok(())
}

/// Installs where cargo does by default; beside another version, which may serve other work, in our own folder.
fn cargo_install(workspace: &Workspace, tool: &Tool, has_other: bool, is_locked: bool) -> Result<()> {
    let mut command = workspace.cargo(["install", tool.package, "--version", tool.version]);
    command.args(tool.features).args(is_locked.then_some("--locked"));
    if has_other {
        command.arg("--root").arg(workspace.tools_dir());
    }
    // These programs run for seconds and are built once: building them fast matters more than their speed.
    command
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env_remove("CARGO_TARGET_DIR");
    run(&mut command)
}

/// The version in a line such as `trunk 0.21.14` or `mdbook v0.5.4`.
fn version_of(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1).map(|version| version.trim_start_matches('v'))
}

/// The crate and the program must agree, or the page does not link.
fn same_as_locked(workspace: &Workspace) -> Result<()> {
    let lock = fs::read_to_string(workspace.root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    match locked_version(&lock, "wasm-bindgen") {
        Some(version) if version != WASM_BINDGEN.version => bail!(
            "Cargo.lock has wasm-bindgen {version}, xtask/src/pins.rs has {}; make them equal",
            WASM_BINDGEN.version
        ),
        Some(_) | None => Ok(()),
    }
}

fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let after = lock.split_once(&format!("\nname = \"{package}\"\nversion = \""))?.1;
    after.split_once('"').map(|(version, _)| version)
}

/// A library: whether it is there, only its interpreter knows.
fn libtorrent() -> Result<()> {
    if output(Command::new(SYSTEM_PYTHON).args(["-c", "import libtorrent"])).is_some() {
        return present(LIBTORRENT);
    }
    install_packages(&[LIBTORRENT])
}

fn system_programs(programs: &[SystemProgram]) -> Result<()> {
    let mut missing = Vec::new();
    for program in programs {
        match find(program.programs) {
            Some(_) => present(program.package)?,
            None => missing.push(program.package),
        }
    }
    if missing.is_empty() { Ok(()) } else { install_packages(&missing) }
}

fn install_packages(missing: &[&str]) -> Result<()> {
    let list = missing.join(" ");
    if !rustix::process::geteuid().is_root() || find(&["apt-get"]).is_none() {
        bail!("missing programs; install these packages (Debian names) and run this again: {list}");
    }
    run(apt().arg("update"))?;
    let _quiet = NoServices::begin()?;
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(missing))
}

/// Keeps packages from starting their services, which tests start themselves: `/usr/sbin/policy-rc.d` is what Debian's packages ask
/// ([policy 9.3.3.1]). One that is there already stays as it is.
///
/// [policy 9.3.3.1]: https://www.debian.org/doc/debian-policy/ch-opersys.html#managing-the-links
#[derive(Debug)]
struct NoServices {
    is_ours: bool,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> Result<Self> {
        let is_ours = !Path::new(Self::POLICY).exists();
        if is_ours {
            let written = fs::write(Self::POLICY, "#!/bin/sh\nexit 101\n")
                .and_then(|()| fs::set_permissions(Self::POLICY, fs::Permissions::from_mode(0o755)));
            written.with_context(|| format!("cannot write {}", Self::POLICY))?;
        }
        Ok(Self { is_ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = fs::remove_file(Self::POLICY)
        {
            eprintln!("setup: remove {} by hand, it stops services from starting: {error}", Self::POLICY);
        }
    }
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
    command
}

#[expect(clippy::unnecessary_wraps, reason = "ends the functions that either find something or install it")]
fn present(what: &str) -> Result<()> {
    eprintln!("setup: {what} is there");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert_eq!(version_of("trunk 0.21.14"), Some("0.21.14"));
        assert_eq!(version_of("mdbook v0.5.4"), Some("0.5.4"));
        assert_eq!(version_of("wasm-bindgen 0.2.130 (abc)"), Some("0.2.130"));
        assert_eq!(version_of(""), None);
    }

    #[test]
    fn the_locked_version_is_that_of_the_package_and_of_no_other() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "bindgen"), None);
    }
}
