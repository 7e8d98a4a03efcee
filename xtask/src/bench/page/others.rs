//! What the page is compared with: packages of npm, of one version each, in a folder that goes with the measurement.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::run;
use crate::workspace::Workspace;

/// The packages. The tracker is that of WebTorrent, which P2P Media Loader uses as well. WebTorrent's own packages for WebRTC outside
/// of a browser download a program while they are installed; that of `@roamhq/wrtc` is inside.
const PACKAGES: [&str; 6] = [
    "hls.js@1.7.4",
    "p2p-media-loader-core@2.3.1",
    "p2p-media-loader-hlsjs@2.3.1",
    "webtorrent@3.0.21",
    "bittorrent-tracker@11.2.3",
    "@roamhq/wrtc@0.10.0",
];

/// A folder with the packages. It goes when this is dropped.
#[derive(Debug)]
pub(super) struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Installs the packages.
    pub(super) fn install(workspace: &Workspace) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("tributary-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let packages = Self { folder };
        fs::write(packages.folder().join("package.json"), "{\"private\":true}")?;
        // Scripts of packages are not run: none of them needs any.
        let mut npm = workspace.command("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"])
            .args(PACKAGES);
        run(npm.current_dir(packages.folder()))
            .context("what to compare with is not installed; check that npm reaches its registry")?;
        Ok(packages)
    }

    /// Where `node_modules` is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Packages {
    fn drop(&mut self) {
        // What is left in the system's folder for such things is no failure of the measurement.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
