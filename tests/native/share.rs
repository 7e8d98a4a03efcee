//! `tributary share`: everything that a publisher on one machine needs, in one process.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::content::{digest, random_file};
use tests::share::Share;
use tests::{Fetch, Program};

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_film_that_is_shared_is_listed_fetched_whole_and_gone_when_it_stops() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 5_000_001, 14)?;
    let share = Share::start(&file, folder.path(), &[])?;

    // The page is inside the program, compressed for browsers that accept it, and lists the film.
    let index = reqwest::get(share.http("/")?).await?;
    ensure!(index.status() == 200, "{index:?}");
    ensure!(index.text().await?.contains("<title>Tributary</title>"), "another page");
    let ask = reqwest::Client::new().get(share.http("/peer-wasm_bg.wasm")?).header("accept-encoding", "br");
    let module = ask.send().await?;
    let header =
        |name: &str| module.headers().get(name).and_then(|value| value.to_str().ok().map(str::to_owned));
    ensure!(header("content-encoding").as_deref() == Some("br"), "{:?}", module.headers());
    ensure!(header("content-type").as_deref() == Some("application/wasm"), "{:?}", module.headers());
    let catalogue = reqwest::get(share.http("/v1/swarms")?).await?.text().await?;
    ensure!(catalogue.contains(share.swarm()) && catalogue.contains("film.bin"), "{catalogue}");

    // Nobody else publishes there.
    let foreign = reqwest::Client::new().put(share.http(&format!("/v1/manifests/{}", "00".repeat(32)))?);
    ensure!(foreign.body("").send().await?.status() == 401, "others can publish");

    let mut command = Share::command(folder.path())?;
    let output = folder.path().join("copy.bin");
    let fetch = Fetch::run(command.args(["fetch", share.link(), "--json", "-o"]).arg(&output), &output)?;
    fetch.wait_done(TIMEOUT)?;
    ensure!(digest(&output)? == digest(&file)?, "the copy differs");

    let ended = share.stop()?;
    ensure!(ended.status.success(), "{ended:?}");
    ensure!(reqwest::get(share.http("/healthz")?).await.is_err(), "something still answers");
    // It is no part of what `seed` without files seeds again: its tracker is gone.
    let list = Program::start("list", Share::command(folder.path())?.args(["list", "--json"]))?;
    let listed = list.wait_end(TIMEOUT)?;
    ensure!(listed.status.success() && listed.stdout.is_empty(), "{listed:?}");
    Ok(())
}

#[tokio::test]
async fn below_a_base_path_its_link_leads_to_the_page_and_the_film() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 1_000_001, 16)?;
    let share = Share::start(&file, folder.path(), &["--base-path", "/films"])?;
    ensure!(share.link().ends_with(&format!("/films/#{}", share.swarm())), "{}", share.link());
    // These addresses are below the path, since the link is.
    let index = reqwest::get(share.http("/")?).await?;
    ensure!(index.text().await?.contains("<title>Tributary</title>"), "another page");
    ensure!(reqwest::get(share.http("/app/main.js")?).await?.status() == 200, "a script is missing");

    let mut command = Share::command(folder.path())?;
    let output = folder.path().join("copy.bin");
    let fetch = Fetch::run(command.args(["fetch", share.link(), "--json", "-o"]).arg(&output), &output)?;
    fetch.wait_done(TIMEOUT)?;
    ensure!(digest(&output)? == digest(&file)?, "the copy differs");
    Ok(())
}

#[test]
fn without_an_address_it_takes_a_free_port_and_names_every_address() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 100_000, 15)?;
    // Taken here, unless something else has it, which is as good.
    let taken = TcpListener::bind(("0.0.0.0", 8080));
    let mut command = Share::command(folder.path())?;
    let program = Program::start("share", command.arg("share").arg(&file))?;
    let link = program.wait_stdout("the link", TIMEOUT, |line| {
        Some(line.strip_prefix("  on this machine:")?.trim().to_owned())
    })?;
    let port = link.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split('/').next());
    let port = port.with_context(|| format!("no link of this machine: {link}"))?;
    let said = format!("port 8080 is in use; the page is at port {port}");
    ensure!(port != "8080" && program.stderr().contains(&said), "{port}: {:?}", program.stderr());
    for line in program.stdout().iter().filter(|line| line.contains("from the network:")) {
        ensure!(line.contains(&format!(":{port}/#")) && !line.contains("127.0.0.1"), "{line}");
    }
    let ended = program.stop()?;
    ensure!(ended.status.success(), "{ended:?}");
    drop(taken);
    Ok(())
}

#[test]
fn what_cannot_be_shared_is_one_line_that_says_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("film.bin");
    random_file(&file, 100_000, 16)?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let missing = folder.path().join("nothing");
    for (path, listen, expected) in [
        (&missing, "127.0.0.1:0", "does not exist"),
        (&file, address.as_str(), "choose another with --listen"),
        (&file, "nonsense", "--listen takes HOST:PORT"),
    ] {
        let mut command = Share::command(folder.path())?;
        let program = Program::start("share", command.arg("share").arg(path).args(["--listen", listen]))?;
        let ended = program.wait_end(TIMEOUT)?;
        ensure!(ended.error_line()?.contains(expected), "{ended:?}");
        ensure!(ended.status.code() == Some(1), "{ended:?}");
    }
    Ok(())
}
