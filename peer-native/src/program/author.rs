//! What the author says, from the rules file and the flags.

use crate::rules::Statement;
use anyhow::Context;
use swarm_core::limits::TEXT_BYTES_MAX;
use swarm_core::manifest::Mirror;

use crate::program::cli::Author;

/// Reads the rules file, then the flags: what comes later overrides.
pub(crate) fn statement(options: &Author) -> anyhow::Result<Statement> {
    let mut statement = match &options.rules {
        Some(path) => Statement::read(path)?,
        None => Statement::default(),
    };
    for priority in &options.priority {
        statement.add_priority(priority)?;
    }
    for background in &options.background {
        statement.add_background(background)?;
    }
    if let Some(title) = &options.title {
        anyhow::ensure!(title.len() <= TEXT_BYTES_MAX, "--title is longer than 1,024 bytes; shorten it");
        statement.title = Some(title.clone());
    }
    for text in &options.mirror {
        statement.mirrors.servers.push(mirror("--mirror", text)?);
    }
    let own = options.http_url.as_deref();
    let own = own.map(|url| mirror("--http-url", &format!("{}/", url.trim_end_matches('/'))));
    statement.own_mirror = own.transpose()?.map(|mirror| mirror.url);
    statement.mirrors.policy = options.mirror_policy.into();
    anyhow::ensure!(
        statement.has_mirrors() || statement.mirrors.policy == Default::default(),
        "--mirror-policy is for mirrors; name one with --mirror or --http-url"
    );
    Ok(statement)
}

/// Reads `URL[,WEIGHT]`, the value of `flag`.
fn mirror(flag: &str, text: &str) -> anyhow::Result<Mirror> {
    let (url, weight) = match text.rsplit_once(',') {
        Some((url, weight)) if weight.bytes().all(|byte| byte.is_ascii_digit()) => {
            let weight = weight.parse().ok().filter(|weight| *weight > 0);
            (url, weight.with_context(|| format!("{flag} {text}: the weight is a number from 1 to 65,535"))?)
        }
        Some(_) | None => (text, 1),
    };
    let mirror = Mirror { weight, ..Mirror::new(url.to_owned()) };
    let checked =
        swarm_core::manifest::Mirrors { servers: vec![mirror.clone()], ..Default::default() }.check();
    checked.map_err(|error| anyhow::anyhow!("{flag} {text}: {error}"))?;
    Ok(mirror)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_an_address_and_perhaps_a_weight() {
        let read = |text| {
            mirror("--mirror", text)
                .map(|mirror| (mirror.url, mirror.weight))
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("https://a.example/f"), Ok(("https://a.example/f".into(), 1)));
        assert_eq!(read("https://a.example/f,30"), Ok(("https://a.example/f".into(), 30)));
        assert_eq!(read("https://a.example/a,b"), Ok(("https://a.example/a,b".into(), 1)));
        for wrong in ["https://a.example/f,0", "https://a.example/f,70000", "http://a.example/f", "film", ""]
        {
            assert!(read(wrong).unwrap_err().starts_with("--mirror"), "{wrong}");
        }
    }
}
