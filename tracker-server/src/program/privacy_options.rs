//! The flags for what viewers learn of one another, and for who may embed the player.

use anyhow::bail;
use clap::Args;

use crate::ServerConfig;
use crate::access::AllowedOrigins;
use crate::decision::Privacy;

/// What an operator asks for viewers.
#[derive(Debug, Args)]
pub(crate) struct PrivacyOptions {
    /// Origin whose pages may embed the player (/embed), such as `https://blog.example`, or * for all; repeatable. Pages of this
    /// tracker and of --allow-origin may always.
    #[arg(long = "embed-origin", value_name = "ORIGIN")]
    embed_origins: Vec<String>,

    /// Connects viewers with peers only after they agreed: peers see each other's network address. The page asks; without
    /// consent it plays from mirrors.
    #[arg(long)]
    consent: bool,

    /// Connects viewers only through the relays of --turn-url: no viewer's network address is passed on.
    #[arg(long)]
    relay_only: bool,

    /// Connects viewers with no peers at all. Only contents with mirrors can be watched.
    #[arg(long)]
    mirrors_only: bool,

    /// Connects viewers of a content with each other only while there are so many; below that with its seeder alone. All
    /// viewers at one network address (IPv4, or a /64 of IPv6) count as one.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    viewers_min: usize,
}

impl PrivacyOptions {
    /// Puts what the flags mean into `config`, whose relays and siblings are set already.
    pub(crate) fn apply(&self, config: &mut ServerConfig) -> anyhow::Result<()> {
        config.embed_origins =
            AllowedOrigins::parse(self.embed_origins.iter().map(String::as_str)).map_err(|text| {
                anyhow::anyhow!("--embed-origin {text} must look like https://blog.example, or be *")
            })?;
        if self.relay_only && config.relays.is_empty() {
            bail!("--relay-only takes a relay: --turn-url and --turn-secret");
        }
        let is_apart = config.siblings.addresses.is_empty() && config.siblings.key.is_none();
        if self.relay_only && !is_apart {
            bail!("--relay-only does not go with --sibling: signals that a sibling passes on name addresses");
        }
        config.tracker.privacy = Privacy {
            is_consent_required: self.consent,
            is_relay_required: self.relay_only,
            is_mirrors_only: self.mirrors_only,
            viewers_min: self.viewers_min,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::relays::Relays;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        privacy: PrivacyOptions,
    }

    fn applied(arguments: &[&str], change: fn(&mut ServerConfig)) -> Result<ServerConfig, String> {
        let mut config = ServerConfig::new(1, b"");
        change(&mut config);
        let line = Line::parse_from([&["t"], arguments].concat());
        line.privacy.apply(&mut config).map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_asks_for_nothing_and_embeds_nowhere_else() {
        let config = applied(&[], |_| {}).unwrap();
        assert_eq!(config.tracker.privacy, Privacy::default());
        assert_eq!(config.embed_origins, AllowedOrigins::default());
    }

    #[test]
    fn rules_are_taken_and_those_that_cannot_be_kept_are_refused() {
        let config = applied(&["--consent", "--viewers-min", "20", "--mirrors-only"], |_| {}).unwrap();
        let privacy = config.tracker.privacy;
        assert!(privacy.is_consent_required && privacy.is_mirrors_only && !privacy.is_relay_required);
        assert_eq!(privacy.viewers_min, 20);
        assert!(applied(&["--relay-only"], |_| {}).unwrap_err().contains("--turn-url"));
        let with_relay = |config: &mut ServerConfig| {
            config.relays =
                Relays { fixed: Vec::new(), urls: vec!["turn:t".into()], secret: Some("s".into()) };
        };
        assert!(applied(&["--relay-only"], with_relay).unwrap().tracker.privacy.is_relay_required);
    }

    #[test]
    fn an_origin_that_may_embed_is_one_and_no_more_of_a_policy() {
        let embedding =
            |origin: &str| applied(&["--embed-origin", origin], |_| {}).map(|config| config.embed_origins);
        for origin in [
            "https://blog.example",
            "https://blog.example:8443/",
            "http://127.0.0.1:8000",
            "http://[::1]:80",
            "*",
        ] {
            let origins = embedding(origin).unwrap();
            assert_eq!(origins.is_any(), origin == "*", "{origin}");
        }
        for none in [
            "blog.example",
            "https://a.b; script-src *",
            "https://a.b;script-src",
            "https://a.b *",
            "https://a.b,https://c.d",
            "https://*.example.org",
            "https://*",
            "https://a.b/page",
            "https://a.b?x",
            "https://a.b:99999",
            "https://",
            "https:",
            "'none'",
            "**",
            "",
        ] {
            let refusal = embedding(none).unwrap_err();
            assert!(
                refusal.starts_with("--embed-origin ") && refusal.contains("must look like"),
                "{refusal}"
            );
        }
    }
}
