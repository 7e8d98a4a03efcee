//! Real Chromium: one process a tab, driven over WebDriver.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tempfile::TempDir;
use thirtyfour::common::capabilities::desiredcapabilities::DesiredCapabilities;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel, WebDriver};

use crate::driver::{Driver, START_TIMEOUT};
use crate::memory::{PageMemory, page_memory};
use crate::places::system_program;
use crate::wait;

/// How long one script may run in a page.
pub(crate) const SCRIPT_TIMEOUT: Duration = Duration::from_secs(120);

/// What every browser is started with: quiet, without a screen, playing without a click, and with candidates
/// that name addresses, since nothing here answers for `.local` names.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--enable-logging=stderr",
];

/// One tab in a browser of its own.
#[derive(Debug)]
pub struct Tab {
    pub(crate) name: String,
    pub(crate) driver: WebDriver,
    pub(crate) profile: Profile,
}

/// What a browser keeps from start to start. It goes with the last that has it.
pub type Profile = Arc<TempDir>;

/// What `window.tributary.stats()` says.
#[derive(Debug, Clone, Deserialize)]
pub struct TabStats {
    /// The swarm.
    pub swarm: String,
    /// Bytes of the content; 0 until known.
    pub bytes_total: u64,
    /// Bytes held, all verified.
    pub bytes_verified: u64,
    /// Of those that came, from an initial peer.
    pub from_initial: u64,
    /// Of those that came, from other peers.
    pub from_peers: u64,
    /// Of those that came, from mirrors.
    pub from_mirrors: u64,
    /// Bytes sent to others.
    pub uploaded: u64,
    /// Bytes that came though they were held.
    pub duplicate_bytes: u64,
    /// Bytes of proofs.
    pub proof_bytes: u64,
    /// Media that a player needs before it plays, ms.
    pub start_buffer_ms: u64,
    /// Links.
    pub links: Vec<TabLink>,
    /// Where the content is stored; none before the store is open.
    pub storage: Option<TabStorage>,
    /// From the start of the navigation to the first frame, ms.
    pub first_frame_ms: Option<u64>,
    /// Where in the media the first frame was, seconds.
    pub first_frame_at_s: Option<f64>,
    /// How often playback stood still.
    pub stalls: u32,
    /// For how long, ms.
    pub stall_ms: u64,
}

/// Where a tab stores its content.
#[derive(Debug, Clone, Deserialize)]
pub struct TabStorage {
    /// Whether it outlasts the visit.
    pub is_on_disk: bool,
    /// Whether the person keeps it.
    pub is_kept: bool,
    /// Bytes that an earlier visit left.
    pub resumed_bytes: u64,
}

/// One link of a tab.
#[derive(Debug, Clone, Deserialize)]
pub struct TabLink {
    /// `initial` or `viewer`.
    pub kind: String,
    /// `connecting`, `greeting` or `open`.
    pub state: String,
}

impl TabStats {
    /// Whether everything is held.
    pub fn is_complete(&self) -> bool {
        self.bytes_total > 0 && self.bytes_verified == self.bytes_total
    }

    /// Open links to peers of this kind.
    pub fn open_links(&self, kind: &str) -> usize {
        self.links.iter().filter(|link| link.kind == kind && link.state == "open").count()
    }
}

impl Tab {
    /// Starts a browser with these flags besides the usual ones.
    pub async fn start(driver: &Driver, name: &str, flags: &[&str]) -> Result<Self> {
        let profile = tempfile::tempdir().context("no folder for a browser profile")?;
        Self::start_with(driver, name, flags, Arc::new(profile)).await
    }

    /// Like [`Tab::start`], with what an earlier browser kept.
    pub async fn start_with(driver: &Driver, name: &str, flags: &[&str], profile: Profile) -> Result<Self> {
        let mut wishes = DesiredCapabilities::chrome();
        for flag in FLAGS.iter().chain(flags) {
            wishes.add_arg(flag)?;
        }
        Self::start_wishing(driver, name, wishes, profile).await
    }

    /// Starts a browser with this profile.
    pub(crate) async fn start_wishing(
        driver: &Driver,
        name: &str,
        mut wishes: ChromeCapabilities,
        profile: Profile,
    ) -> Result<Self> {
        let binary = system_program(&["chromium", "chromium-browser", "google-chrome"])?;
        wishes.set_binary(&binary.to_string_lossy())?;
        wishes.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
        wishes.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        let start = WebDriver::new(driver.url.as_str(), wishes);
        let driver = tokio::time::timeout(START_TIMEOUT, start)
            .await
            .with_context(|| format!("{name} does not start"))?
            .with_context(|| format!("{name} cannot be started"))?;
        driver.set_script_timeout(SCRIPT_TIMEOUT).await?;
        Ok(Self { name: name.to_owned(), driver, profile })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.driver.goto(url).await.with_context(|| format!("{} cannot open {url}", self.name))
    }

    /// Loads the page again.
    pub async fn reload(&self) -> Result<()> {
        self.driver.refresh().await.with_context(|| format!("{} cannot reload", self.name))
    }

    /// Opens a page in another tab of the same browser. From now on that one is meant.
    pub async fn open_beside(&self, url: &str) -> Result<()> {
        let window = self.driver.new_tab().await?;
        self.driver.switch_to_window(window).await?;
        self.open(url).await
    }

    /// Tells the browser something in the words of its developer tools.
    pub async fn command(&self, name: &str, parameters: serde_json::Value) -> Result<()> {
        let told = self.driver.cdp().send_raw(name, parameters).await;
        told.map(drop).with_context(|| format!("{} does not take {name}", self.name))
    }

    /// Kills the browser, as a crash would. What it kept can be given to the next one.
    pub fn kill(self) -> Result<Profile> {
        let process = Pid::from_raw(self.process()?);
        let process = process.with_context(|| format!("{} has no process", self.name))?;
        kill_process(process, Signal::KILL).with_context(|| format!("{} cannot be killed", self.name))?;
        self.driver.leak().context("the session had ended before")?;
        Ok(self.profile)
    }

    /// What the page's process takes now.
    pub fn memory(&self) -> Result<PageMemory> {
        page_memory(self.process()?)
    }

    /// The browser's process. The lock of its profile is a link that names the machine and the process.
    pub(crate) fn process(&self) -> Result<i32> {
        let lock = self.profile.path().join("SingletonLock");
        let holder = std::fs::read_link(&lock).with_context(|| format!("{} has no lock", self.name))?;
        let process = holder.to_string_lossy().rsplit('-').next().and_then(|text| text.parse().ok());
        process.with_context(|| format!("{} names no process", holder.display()))
    }

    /// Runs a script in every page that is opened from now on, before the page's own.
    pub async fn run_first(&self, script: &str) -> Result<()> {
        self.driver.cdp().page().add_script_to_evaluate_on_new_document(script).await?;
        Ok(())
    }

    /// Presses keys, one after the other, wherever the focus is. Keys without a letter are those of WebDriver.
    pub async fn press(&self, keys: &str) -> Result<()> {
        for key in keys.chars() {
            let pressed = self.driver.action_chain().key_down(key).key_up(key).perform().await;
            pressed.with_context(|| format!("{}: cannot press {key:?}", self.name))?;
        }
        Ok(())
    }

    /// The value of a JavaScript expression, which may be a promise.
    pub async fn value<T: DeserializeOwned>(&self, expression: &str) -> Result<T> {
        let script = format!("return (async () => ({expression}))();");
        let answer = self.driver.execute(script, Vec::new()).await;
        let answer = answer.with_context(|| format!("{}: cannot run `{expression}`", self.name))?;
        let value = answer.json().clone();
        serde_json::from_value(value.clone())
            .with_context(|| format!("{}: `{expression}` is {value}, which was not expected", self.name))
    }

    /// Waits until a JavaScript expression is true.
    pub async fn wait_for(&self, what: &str, timeout: Duration, expression: &str) -> Result<()> {
        let expression = format!("Boolean({expression})");
        let what = format!("{}: {what}", self.name);
        wait::until(&what, timeout, async || Ok(self.value::<bool>(&expression).await?.then_some(()))).await
    }

    /// What the page says of itself, at this moment.
    pub async fn stats(&self) -> Result<TabStats> {
        self.value("window.tributary.stats()").await
    }

    /// Waits until the page's account satisfies a condition.
    pub async fn wait_stats(
        &self,
        what: &str,
        timeout: Duration,
        is_met: impl Fn(&TabStats) -> bool,
    ) -> Result<TabStats> {
        let mut last = None;
        let found = wait::until(&format!("{}: {what}", self.name), timeout, async || {
            // A page that has just been opened may not have run its script.
            let stats: Option<TabStats> = self.value("window.tributary?.stats() ?? null").await?;
            last.clone_from(&stats);
            Ok(stats.filter(&is_met))
        })
        .await;
        found.with_context(|| format!("the last account was {last:?}"))
    }

    /// BLAKE3 of all bytes that the tab holds, in hexadecimal digits; `None` while some are missing.
    pub async fn digest(&self) -> Result<Option<String>> {
        self.value("window.tributary.digest()").await
    }

    /// Waits until the video plays beyond `seconds`.
    pub async fn wait_playing_beyond(&self, seconds: f64, timeout: Duration) -> Result<()> {
        let expression = format!(
            "(video => video && !video.seeking && !video.error && video.readyState >= 2 \
             && video.currentTime > {seconds})(document.querySelector('video'))"
        );
        let waited = self.wait_for(&format!("playback beyond {seconds} s"), timeout, &expression).await;
        match waited {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.playback().await)),
        }
    }

    /// Moves playback, as a person does with the bar below the picture.
    pub async fn seek(&self, seconds: f64) -> Result<()> {
        let expression = format!("document.querySelector('video').currentTime = {seconds}");
        self.value::<f64>(&expression).await.map(drop)
    }

    /// Waits until the video has ended by itself.
    pub async fn wait_ended(&self, timeout: Duration) -> Result<()> {
        match self.wait_for("the end of the film", timeout, "document.querySelector('video').ended").await {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.playback().await)),
        }
    }

    /// Waits until the page says something, as a person would read it. `words` are in lower case.
    pub async fn wait_words(&self, words: &str, timeout: Duration) -> Result<()> {
        let expression = format!("document.body?.innerText.toLowerCase().includes({})", json!(words));
        match self.wait_for(&format!("the words “{words}”"), timeout, &expression).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let text: String = self.value("document.body?.innerText ?? ''").await.unwrap_or_default();
                Err(error.context(format!("the page says: {text}")))
            }
        }
    }

    /// What was written to the console since this was last asked.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.driver.browser_log().await.unwrap_or_default();
        entries.into_iter().map(|entry| format!("{} {}", entry.level, entry.message)).collect()
    }

    /// Saves what a person would see.
    pub async fn picture(&self, path: &Path) -> Result<()> {
        self.driver.screenshot(path).await.with_context(|| format!("no picture of {}", self.name))
    }

    /// Ends the browser.
    pub async fn close(self) -> Result<()> {
        self.driver.quit().await.with_context(|| format!("{} does not end", self.name))
    }

    async fn playback(&self) -> String {
        let expression = "(({currentTime, readyState, paused, ended, seeking, error}) => JSON.stringify(\
                          {currentTime, readyState, paused, ended, seeking, error: error?.message}))\
                          (document.querySelector('video') ?? {})";
        self.value(expression).await.unwrap_or_else(|error| format!("no video: {error:#}"))
    }
}
