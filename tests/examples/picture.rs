//! Makes `docs/page.png`, the picture in the README: the sample clip in real Chromium, shared by `tributary share`.
//!
//! `cargo xtask build --release`, then `cargo run -p tests --example picture`.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::places::{root, system_program};
use tests::scene::Scene;
use tests::share::Share;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Large enough for the picture and the panels below it, small enough for a README.
const WINDOW: [&str; 2] = ["--window-size=1000,1130", "--hide-scrollbars"];

/// Makes it small: fewer pixels and colours, none of them mixed from dots.
const SMALL: &str =
    "scale=760:-1:flags=lanczos,split[a][b];[a]palettegen=max_colors=200[p];[b][p]paletteuse=dither=none";

/// A moment at which the clip shows something.
const AT_SECONDS: f64 = 3.0;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let share = Share::start(&root().join("sample/river.mp4"), folder.path(), &["--upload-limit", "12M"])?;
    Scene::play("picture", async |scene| {
        let others = [scene.tab().await?, scene.tab().await?];
        for tab in &others {
            tab.open(share.link()).await?;
            tab.wait_playing_beyond(0.5, TIMEOUT).await?;
        }
        let tab = scene.tab_with(&WINDOW).await?;
        tab.open(share.link()).await?;
        tab.wait_playing_beyond(AT_SECONDS, TIMEOUT).await?;
        let picture = folder.path().join("picture.png");
        tab.picture(&picture).await?;
        let mut command = Command::new(system_program(&["ffmpeg"])?);
        command.args(["-v", "error", "-y", "-i"]).arg(&picture).args(["-vf", SMALL]);
        let status = command.arg(root().join("docs/page.png")).status()?;
        ensure!(status.success(), "ffmpeg cannot make the picture smaller");
        Ok(())
    })
    .await
}
