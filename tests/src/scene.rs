//! A test with browsers: its tabs, what is shown of them if it fails, and that they end with it.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::FutureExt;

use crate::browser::Tab;
use crate::driver::Driver;
use crate::internet::Host;
use crate::places::kept_dir;

/// How long a test with browsers may take in all.
const SCENE_TIMEOUT: Duration = Duration::from_secs(600);

/// Browsers of one test.
#[derive(Debug)]
pub struct Scene {
    name: String,
    driver: Driver,
    /// Of browsers on hosts of their own, and of Firefox.
    distant: Vec<Driver>,
    tabs: Vec<Arc<Tab>>,
}

impl Scene {
    /// Plays a scene. If it fails, the console and a picture of each tab are kept; all tabs end. It also fails if a process of a browser
    /// crashed: a person would see a dead page.
    pub async fn play(name: &str, script: impl AsyncFnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let driver = Driver::start()?;
        let mut scene = Self { name: name.to_owned(), driver, distant: Vec::new(), tabs: Vec::new() };
        let played =
            AssertUnwindSafe(tokio::time::timeout(SCENE_TIMEOUT, script(&mut scene))).catch_unwind().await;
        let result = match played {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(anyhow!("the scene took longer than {} s", SCENE_TIMEOUT.as_secs())),
            Err(panic) => Err(anyhow!("panicked: {}", words_of(panic.as_ref()))),
        };
        if result.is_err() {
            scene.show().await;
        }
        for tab in scene.tabs.drain(..) {
            if let Some(tab) = Arc::into_inner(tab) {
                tab.close().await?;
            }
        }
        let crashes = scene.keep_crashes()?;
        if crashes.is_empty() {
            return result;
        }
        let error = result.err().map(|error| format!("{error:#}; ")).unwrap_or_default();
        bail!("{error}{} processes of the browsers crashed: {}", crashes.len(), crashes.join(", "))
    }

    /// Keeps the dumps of processes that crashed, and gives their paths.
    fn keep_crashes(&self) -> Result<Vec<String>> {
        let mut kept = Vec::new();
        for dump in self.drivers().flat_map(Driver::crashes) {
            let path = kept_dir()?.join(format!("{}, crash {}.dmp", self.name, kept.len() + 1));
            std::fs::copy(&dump, &path).with_context(|| format!("cannot keep {}", dump.display()))?;
            kept.push(path.display().to_string());
        }
        Ok(kept)
    }

    fn drivers(&self) -> impl Iterator<Item = &Driver> {
        self.distant.iter().chain([&self.driver])
    }

    /// A new browser with an empty tab.
    pub async fn tab(&mut self) -> Result<Arc<Tab>> {
        self.tab_with(&[]).await
    }

    /// A new browser with further flags.
    pub async fn tab_with(&mut self, flags: &[&str]) -> Result<Arc<Tab>> {
        let name = format!("tab {}", self.tabs.len() + 1);
        let tab = Arc::new(Tab::start(&self.driver, &name, flags).await?);
        self.tabs.push(Arc::clone(&tab));
        Ok(tab)
    }

    /// A new Firefox with an empty tab.
    pub async fn firefox(&mut self) -> Result<Arc<Tab>> {
        self.firefox_of(None).await
    }

    /// The Firefox of a person who reads these languages.
    pub async fn firefox_in(&mut self, languages: &str) -> Result<Arc<Tab>> {
        self.firefox_of(Some(languages)).await
    }

    async fn firefox_of(&mut self, languages: Option<&str>) -> Result<Arc<Tab>> {
        let driver = Driver::of_firefox()?;
        let name = format!("tab {} in Firefox", self.tabs.len() + 1);
        let tab = Arc::new(Tab::start_in_firefox(&driver, &name, languages).await?);
        self.distant.push(driver);
        self.tabs.push(Arc::clone(&tab));
        Ok(tab)
    }

    /// Kills a tab's browser, as a crash would, and starts another with what it kept.
    pub async fn restart(&mut self, tab: Arc<Tab>) -> Result<Arc<Tab>> {
        self.tabs.retain(|other| !Arc::ptr_eq(other, &tab));
        let killed = Arc::into_inner(tab).context("the tab is in use")?;
        let name = format!("{} again", killed.name());
        let tab = Arc::new(Tab::start_with(&self.driver, &name, &[], killed.kill()?).await?);
        self.tabs.push(Arc::clone(&tab));
        Ok(tab)
    }

    /// A new browser on a host of its own. Pages from `origin` may do what otherwise only those with a certificate may.
    pub async fn tab_on(&mut self, host: &Host, origin: &str) -> Result<Arc<Tab>> {
        let driver = Driver::start_on(host)?;
        let trust = format!("--unsafely-treat-insecure-origin-as-secure={origin}");
        let name = format!("tab {}", self.tabs.len() + 1);
        let tab = Arc::new(Tab::start(&driver, &name, &[&trust]).await?);
        self.distant.push(driver);
        self.tabs.push(Arc::clone(&tab));
        Ok(tab)
    }

    async fn show(&self) {
        for line in self.drivers().flat_map(Driver::complaints) {
            eprintln!("  {line}");
        }
        for tab in &self.tabs {
            eprintln!("--- {}: {} ---", self.name, tab.name());
            for line in tab.console().await {
                eprintln!("  {line}");
            }
            match self.keep_picture(tab).await {
                Ok(path) => eprintln!("  picture: {}", path.display()),
                Err(error) => eprintln!("  {error:#}"),
            }
        }
    }

    async fn keep_picture(&self, tab: &Tab) -> Result<PathBuf> {
        let path = kept_dir()?.join(format!("{}, {}.png", self.name, tab.name()));
        tab.picture(&path).await?;
        Ok(path)
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words").to_owned()
}
