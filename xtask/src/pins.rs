//! The programs that this repository needs from outside, each with its one version.
//!
//! Nothing else in the repository names a version of these programs.

/// Target of the page's peer.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Target of what is handed out: programs that need nothing of the machine they run on.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";

/// A program that `cargo install` brings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// The crate.
    pub(crate) package: &'static str,
    /// The program that is asked for its version.
    pub(crate) program: &'static str,
    /// The version.
    pub(crate) version: &'static str,
    /// Arguments that choose features.
    pub(crate) features: &'static [&'static str],
}

/// Runs tests as WebAssembly. Must be the version of the `wasm-bindgen` crate in Cargo.lock; `setup` compares them.
pub(crate) const WASM_BINDGEN: Tool =
    Tool { package: "wasm-bindgen-cli", program: "wasm-bindgen", version: "0.2.130", features: &[] };

/// Builds the page for people who have it. Later versions ask for a newer compiler than the one this workspace promises.
pub(crate) const TRUNK: Tool = Tool {
    package: "trunk",
    program: "trunk",
    version: "0.21.14",
    features: &["--no-default-features", "--features", "rustls"],
};

/// Checks licences, sources and versions of dependencies.
pub(crate) const DENY: Tool =
    Tool { package: "cargo-deny", program: "cargo-deny", version: "0.20.2", features: &[] };

/// Builds the book.
pub(crate) const MDBOOK: Tool = Tool {
    package: "mdbook",
    program: "mdbook",
    version: "0.5.4",
    features: &["--no-default-features", "--features", "search"],
};

/// A program that the system's package manager brings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemProgram {
    /// Names under which it may be installed.
    pub(crate) programs: &'static [&'static str],
    /// The Debian package that has it.
    pub(crate) package: &'static str,
}

/// Runs unit tests as WebAssembly, and brings and bundles the page's packages: package-lock.json has their versions.
pub(crate) const NODE: [SystemProgram; 2] = [
    SystemProgram { programs: &["node"], package: "nodejs" },
    SystemProgram { programs: &["npm"], package: "npm" },
];

/// Drives [`FIREFOX`]; Debian has no package of it.
pub(crate) const GECKODRIVER: Tool =
    Tool { package: "geckodriver", program: "geckodriver", version: "0.37.1", features: &[] };

/// The second browser of the browser tier.
pub(crate) const FIREFOX: SystemProgram =
    SystemProgram { programs: &["firefox-esr", "firefox"], package: "firefox-esr" };

/// What the browser tier runs: a browser and its driver.
pub(crate) const BROWSER: [SystemProgram; 2] = [
    SystemProgram { programs: &["chromium", "chromium-browser", "google-chrome"], package: "chromium" },
    SystemProgram { programs: &["chromedriver"], package: "chromium-driver" },
];

/// A screen in memory: what browsers with a window need.
pub(crate) const SCREEN: SystemProgram = SystemProgram { programs: &["Xvfb"], package: "xvfb" };

/// Makes films for tests and benches.
pub(crate) const FFMPEG: SystemProgram = SystemProgram { programs: &["ffmpeg"], package: "ffmpeg" };

/// Lays out networks for native peers.
pub(crate) const NETWORK: SystemProgram = SystemProgram { programs: &["ip"], package: "iproute2" };

/// Puts tests' hosts behind routers and gives them a relay (TURN).
pub(crate) const RELAYS: [SystemProgram; 2] = [
    SystemProgram { programs: &["nft"], package: "nftables" },
    SystemProgram { programs: &["turnserver"], package: "coturn" },
];

/// What `deploy/` has configurations for. Of Apache the program alone, without a service.
pub(crate) const PROXIES: [SystemProgram; 4] = [
    SystemProgram { programs: &["nginx"], package: "nginx" },
    SystemProgram { programs: &["caddy"], package: "caddy" },
    SystemProgram { programs: &["haproxy"], package: "haproxy" },
    SystemProgram { programs: &["apache2"], package: "apache2-bin" },
];

/// Compiles C for [`STATIC_TARGET`].
pub(crate) const STATIC_C: SystemProgram = SystemProgram { programs: &["musl-gcc"], package: "musl-tools" };

/// The engine of several trackers.
pub(crate) const ENGINE: SystemProgram =
    SystemProgram { programs: &["redis-server"], package: "redis-server" };

/// An authority for certificates of tests (ACME), and the name server that it asks.
pub(crate) const AUTHORITY: SystemProgram = SystemProgram { programs: &["pebble"], package: "pebble" };

/// The Debian package of what benches compare with: a library for [`SYSTEM_PYTHON`].
pub(crate) const LIBTORRENT: &str = "python3-libtorrent";

/// The interpreter that the package manager installs libraries for; another may come first on the search path.
pub(crate) const SYSTEM_PYTHON: &str = "/usr/bin/python3";
