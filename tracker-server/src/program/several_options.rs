//! The flags for several trackers.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use crate::ServerConfig;
use crate::engine::Choice;
use crate::engine::redis::RedisAddress;
use crate::limits::{ROOM_PEERS_MAX, SIBLINGS_MAX};
use crate::siblings::{SiblingAddress, SiblingKey, Siblings};

/// Which other trackers there are.
#[derive(Debug, Args)]
pub(crate) struct SeveralOptions {
    /// Makes this tracker one of several that act as one, around a Redis or Valkey: redis://HOST:PORT or
    /// redis://USER:PASSWORD@HOST:PORT/DATABASE. All of them take the same --secret.
    #[arg(long, value_name = "URL", env = "TRIBUTARY_ENGINE", hide_env_values = true)]
    engine: Option<String>,

    /// Where peers reach this one of several trackers and no other, such as wss://one.example.org/v1/swarm: viewers whose swarm is decided
    /// upon here move here from other trackers, and a tracker that stops sends its peers here, if their publisher lists that address.
    #[arg(long, value_name = "URL", requires = "engine")]
    public_url: Option<SiblingAddress>,

    /// Peers of one swarm above which it is cut into rooms of about that many, which are spread over the trackers of --engine. Give
    /// all trackers the same number.
    #[arg(long, value_name = "COUNT", default_value_t = ROOM_PEERS_MAX, value_parser = clap::value_parser!(u32).range(2..))]
    room_peers_max: u32,

    /// A tracker that shares nothing with this one, such as wss://HOST/: where both have peers of the same content, their peers are
    /// linked across; may be repeated. It takes --sibling-key, there as here.
    #[arg(long = "sibling", value_name = "URL", requires = "sibling_key")]
    siblings: Vec<SiblingAddress>,

    /// File with a secret of at least 16 characters that all siblings have. A tracker with it also takes siblings that it does not
    /// name.
    #[arg(long, value_name = "FILE", conflicts_with = "engine")]
    sibling_key: Option<PathBuf>,
}

impl SeveralOptions {
    /// Puts what the flags mean into `config`.
    pub(crate) fn apply(&self, config: &mut ServerConfig, has_secret: bool) -> anyhow::Result<()> {
        config.engine = self.engine(has_secret)?;
        config.room_peers_max = self.room_peers_max;
        config.public_url = self.public_url.as_ref().map(SiblingAddress::peers_url);
        if self.siblings.len() > SIBLINGS_MAX {
            bail!("--sibling can be given {SIBLINGS_MAX} times at most");
        }
        let key = self.sibling_key.as_ref().map(|path| {
            let text = named_file::any(path).and_then(named_file::text);
            let text = text.with_context(|| format!("--sibling-key {} cannot be read", path.display()))?;
            SiblingKey::of_text(&text).with_context(|| {
                format!("--sibling-key {} must have 16 characters at least, such as `openssl rand -hex 32` prints", path.display())
            })
        });
        config.siblings = Siblings { addresses: self.siblings.clone(), key: key.transpose()? };
        Ok(())
    }

    /// What is shared with other trackers.
    fn engine(&self, has_secret: bool) -> anyhow::Result<Choice> {
        let Some(url) = &self.engine else { return Ok(Choice::Alone) };
        if !has_secret {
            bail!("--engine takes --secret as well: the same long random text for all trackers");
        }
        // The address may have a password, which is not to be shown.
        let address = RedisAddress::parse(url)
            .map_err(|error| anyhow::anyhow!("--engine must look like redis://HOST:PORT: {error}"))?;
        Ok(Choice::Redis(address))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        several: SeveralOptions,
    }

    fn config(flags: &[&str]) -> Result<ServerConfig, String> {
        let line =
            Line::try_parse_from(["tracker"].iter().chain(flags)).map_err(|error| error.to_string())?;
        let mut config = ServerConfig::new(1, b"");
        line.several.apply(&mut config, true).map_err(|error| format!("{error:#}"))?;
        Ok(config)
    }

    #[test]
    fn a_room_has_places_for_two_at_least() {
        assert_eq!(config(&[]).unwrap().room_peers_max, ROOM_PEERS_MAX);
        assert_eq!(config(&["--room-peers-max", "4"]).unwrap().room_peers_max, 4);
        assert!(config(&["--room-peers-max", "1"]).is_err());
    }

    #[test]
    fn siblings_need_a_key_that_cannot_be_guessed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let file = path.to_str().unwrap();
        std::fs::write(&path, "a secret of two trackers\n").unwrap();
        let sibling = ["--sibling", "wss://other.example.org/"];
        let found = config(&[&sibling[..], &["--sibling-key", file]].concat()).unwrap();
        assert_eq!((found.siblings.addresses.len(), found.siblings.key.is_some()), (1, true));
        assert!(config(&sibling).unwrap_err().contains("--sibling-key"));
        std::fs::write(&path, "short").unwrap();
        assert!(config(&["--sibling-key", file]).unwrap_err().contains("16 characters"));
        let both = ["--engine", "redis://127.0.0.1:1", "--sibling-key", file];
        assert!(config(&both).unwrap_err().contains("cannot be used with"));
        assert!(
            config(&["--sibling", "nowhere", "--sibling-key", file])
                .unwrap_err()
                .contains("not a tracker's address")
        );
    }
}
