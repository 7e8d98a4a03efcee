//! Real Firefox, driven over the same protocol as Chromium: a [`Tab`] is a tab, whatever browser it is in.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use thirtyfour::WebDriver;
use thirtyfour::common::capabilities::desiredcapabilities::DesiredCapabilities;
use thirtyfour::common::capabilities::firefox::FirefoxPreferences;

use crate::browser::{SCRIPT_TIMEOUT, Tab};
use crate::driver::{Driver, START_TIMEOUT};
use crate::places::system_program;
use crate::program::Program;

/// What Firefox is told beside its arguments: it plays without a click, and its candidates name addresses, also that of the
/// loopback, on which everything here is.
const PREFERENCES: [(&str, bool); 3] = [
    ("media.peerconnection.ice.loopback", true),
    ("media.peerconnection.ice.obfuscate_host_addresses", false),
    ("media.autoplay.block-webaudio", false),
];

/// Media that plays without a click: all of it.
const AUTOPLAY: (&str, i64) = ("media.autoplay.default", 0);

impl Driver {
    /// Starts the program that starts Firefox, on a free port.
    pub fn of_firefox() -> Result<Self> {
        let program = Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cargo/bin/geckodriver");
        let program = system_program(&["geckodriver"]).unwrap_or(program);
        let program = Program::start("geckodriver", Command::new(program).args(["--port", "0"]))?;
        let address = program.wait_stdout("its address", START_TIMEOUT, |line| {
            line.split_once("Listening on ").map(|(_, address)| address.to_owned())
        })?;
        Ok(Self { program, url: format!("http://{address}"), dumps: None })
    }
}

impl Tab {
    /// Starts a Firefox with an empty tab. It asks for pages in these languages, or in its own.
    pub async fn start_in_firefox(driver: &Driver, name: &str, languages: Option<&str>) -> Result<Self> {
        let profile = tempfile::tempdir().context("no folder for a browser profile")?;
        let mut preferences = FirefoxPreferences::new();
        for (preference, value) in PREFERENCES {
            preferences.set(preference, value)?;
        }
        preferences.set(AUTOPLAY.0, AUTOPLAY.1)?;
        if let Some(languages) = languages {
            preferences.set("intl.accept_languages", languages)?;
        }
        let mut wishes = DesiredCapabilities::firefox();
        wishes.set_preferences(preferences)?;
        wishes.set_firefox_binary(&system_program(&["firefox-esr", "firefox"])?.to_string_lossy())?;
        wishes.add_arg("-headless")?;
        let start = WebDriver::new(driver.url.as_str(), wishes);
        let driver = tokio::time::timeout(START_TIMEOUT, start)
            .await
            .with_context(|| format!("{name} does not start"))?
            .with_context(|| format!("{name} cannot be started"))?;
        driver.set_script_timeout(SCRIPT_TIMEOUT).await?;
        Ok(Self { name: name.to_owned(), driver, profile: Arc::new(profile) })
    }
}
