//! Chromium with a window, on a screen that exists only in memory. Without a window no tab is ever hidden.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use thirtyfour::ChromiumLikeCapabilities;
use thirtyfour::common::capabilities::desiredcapabilities::DesiredCapabilities;

use crate::browser::Tab;
use crate::driver::{Driver, START_TIMEOUT};
use crate::places::system_program;
use crate::program::Program;

/// What these browsers are started with: as the others, but with a window.
const FLAGS: [&str; 9] = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
];

/// Flags that treat hidden tabs like visible ones. Drivers add them for tests, people's browsers do not have them.
const SPARING_FLAGS: [&str; 3] = [
    "disable-background-timer-throttling",
    "disable-renderer-backgrounding",
    "disable-backgrounding-occluded-windows",
];

/// How long a tab may take to notice whether another one is in front of it.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(10);

/// A screen. It ends when it is dropped.
#[derive(Debug)]
pub struct Screen {
    _program: Program,
    display: String,
}

impl Screen {
    /// Starts one under a free number.
    pub fn start() -> Result<Self> {
        let mut command = Command::new(system_program(&["Xvfb"])?);
        command.args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"]);
        let program = Program::start("Xvfb", &mut command)?;
        let number =
            program.wait_stdout("its number", START_TIMEOUT, |line| line.trim().parse::<u32>().ok())?;
        Ok(Self { _program: program, display: format!(":{number}") })
    }
}

impl Driver {
    /// Starts it on a free port; its browsers have their windows on this screen.
    pub fn start_at(screen: &Screen) -> Result<Self> {
        let mut command = Command::new(system_program(&["chromedriver"])?);
        command.env("DISPLAY", &screen.display);
        Self::started(command)
    }
}

impl Tab {
    /// Starts a browser with a window and these flags besides the usual ones. It saves on hidden tabs, as people's browsers do.
    pub async fn start_in_window(driver: &Driver, name: &str, flags: &[&str]) -> Result<Self> {
        let profile = Arc::new(tempfile::tempdir().context("no folder for a browser profile")?);
        let mut wishes = DesiredCapabilities::chrome();
        for flag in FLAGS.iter().chain(flags) {
            wishes.add_arg(flag)?;
        }
        for flag in SPARING_FLAGS {
            wishes.add_exclude_switch(flag)?;
        }
        let tab = Self::start_wishing(driver, name, wishes, profile).await?;
        let flags = tab.flags()?;
        let sparing = flags.iter().find(|flag| SPARING_FLAGS.iter().any(|sparing| flag.contains(sparing)));
        ensure!(
            sparing.is_none(),
            "{name} was started with {sparing:?}, so its hidden tabs are not what people's are"
        );
        Ok(tab)
    }

    /// Opens an empty tab in front of this one in the same window. To switch to it by WebDriver and back would show this one again.
    pub async fn hide(&self) -> Result<()> {
        self.command("Target.createTarget", json!({ "url": "about:blank" })).await?;
        self.wait_for("to be hidden", VISIBILITY_TIMEOUT, "document.visibilityState === 'hidden'").await
    }

    /// Brings this tab to the front of its window.
    pub async fn show(&self) -> Result<()> {
        self.command("Page.bringToFront", json!({})).await?;
        self.wait_for("to be visible", VISIBILITY_TIMEOUT, "document.visibilityState === 'visible'").await
    }

    /// What the browser was started with.
    fn flags(&self) -> Result<Vec<String>> {
        let path = format!("/proc/{}/cmdline", self.process()?);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
        Ok(String::from_utf8_lossy(&bytes).split('\0').map(str::to_owned).collect())
    }
}
