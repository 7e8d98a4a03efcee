//! The command line. Kept stable: scripts and other programs rely on it.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use swarm_core::manifest::MirrorPolicy;
use swarm_core::peer::Economy;
use swarm_core::token::{fault_in_header, fault_in_link};

use crate::data_dir::DataDir;
use crate::program::reach::Reach;

/// Shares files with everybody who opens their links, and fetches what others share.
#[derive(Debug, Parser)]
#[command(name = "seeder", version, about)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// How much is said, and how.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// Say more on stderr: -v what happens, -vv every detail. RUST_LOG overrides.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Write events to stdout instead of text: one JSON object a line.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Publish files and serve them until stopped.
    Seed(Box<Seed>),
    /// Show what was seeded from here, which `seed` without files seeds again.
    List(List),
    /// Take a file out of that list and off its tracker.
    Remove(Remove),
    /// Download a content, verify it, and serve others meanwhile.
    Fetch(Fetch),
    /// Write FILE.tree, which a mirror serves beside the file.
    Tree(Tree),
    /// Show the manifest and the segment table of a file or a link.
    Inspect(Inspect),
    /// Find out whether viewers can reach what is seeded from here, and what to do if not.
    Doctor(Box<super::doctor::Doctor>),
    /// Show or make the key that signs what is published from here.
    #[command(subcommand)]
    Key(Key),
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Show where the key is and its public half, by which others know its publisher.
    Show(KeyFile),
    /// Make a key where none is.
    New(KeyFile),
}

/// Which key.
#[derive(Debug, Args)]
pub struct KeyFile {
    #[command(flatten)]
    pub(crate) signing: Signing,

    #[command(flatten)]
    pub(crate) data: Data,
}

/// `--key`.
#[derive(Debug, Args)]
pub(crate) struct Signing {
    /// File with the publisher's key, shared by all machines that seed for the same publisher; `key new` makes one.
    /// Default: publisher.key in the data directory, made on first use.
    #[arg(long, value_name = "FILE", env = "TRIBUTARY_KEY")]
    pub(crate) key: Option<PathBuf>,
}

/// `--config`.
#[derive(Debug, Default, Args)]
pub(crate) struct FlagFile {
    /// A TOML file with flags by their names, such as `tracker = "wss://HOST/v1/swarm"`. The command line and the environment
    /// win.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `seed`.
#[derive(Debug, Args)]
pub struct Seed {
    #[command(flatten)]
    pub(crate) flags: FlagFile,

    /// The files to publish, and folders whose files to publish. Without any: all that `list` shows.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Where the peers meet, such as ws://HOST:PORT/v1/swarm. May be repeated, up to 8 times: the files are served at all of
    /// these trackers, and viewers go on at another one if theirs fails. Without files: default, where each was last seeded.
    #[arg(long = "tracker", value_name = "URL")]
    pub(crate) trackers: Vec<String>,

    /// Show the files in the tracker's public catalogue. Without it only those who have a link find them.
    #[arg(long)]
    pub(crate) list: bool,

    /// Permission to publish, on a tracker that asks for it.
    #[arg(long, value_name = "TEXT", env = "TRIBUTARY_PUBLISH_TOKEN", hide_env_values = true, value_parser = publish_token)]
    pub(crate) publish_token: Option<String>,

    #[command(flatten)]
    pub(crate) access: Access,

    #[command(flatten)]
    pub(crate) serving: Serving,
}

/// How files are published and served.
#[derive(Debug, Args)]
pub struct Serving {
    #[command(flatten)]
    pub(crate) signing: Signing,

    #[command(flatten)]
    pub(crate) author: Author,

    /// What is done with uplink that nobody needs in time. Deadlines of players are met in both.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) economy: Thrift,

    /// Serve the files over HTTP as well, as a mirror does; FILE.tree is written beside each. Pages over HTTPS take them only
    /// with --http-certificate or behind a proxy that speaks TLS.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: Option<String>,

    /// Speak TLS at --http with the certificate in this file (PEM, the server's own first). It is read again when it changes.
    #[arg(long, value_name = "FILE", requires_all = ["http", "http_certificate_key"])]
    pub(crate) http_certificate: Option<PathBuf>,

    /// The private key of --http-certificate (PEM, without a password).
    #[arg(long, value_name = "FILE", requires = "http_certificate")]
    pub(crate) http_certificate_key: Option<PathBuf>,

    /// Most that is sent over HTTP, in bits a second over all connections. Default: no limit.
    #[arg(long, value_name = "BITS", requires = "http")]
    pub(crate) http_limit: Option<String>,

    /// What the uplink carries, in bits a second, such as 20M. Without this, what the last run measured counts at first. It
    /// is measured in any case, within seconds.
    #[arg(long, value_name = "BITS")]
    pub(crate) uplink: Option<String>,

    #[command(flatten)]
    pub(crate) upload: Upload,

    #[command(flatten)]
    pub(crate) reach: Reach,

    #[command(flatten)]
    pub(crate) data: Data,
}

impl Serving {
    /// Where things are kept between starts; none where no home directory is known and none was named.
    pub fn data_dir(&self) -> Option<PathBuf> {
        let chosen = self.data.dir.clone();
        chosen.or_else(|| DataDir::of_platform().map(|data_dir| data_dir.path().to_owned()))
    }
}

/// `--economy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thrift {
    /// Send each file once and an eighth again; the rest is left to viewers.
    #[default]
    Thrifty,
    /// Use all of the uplink as long as a viewer lacks something.
    Generous,
}

impl From<Thrift> for Economy {
    fn from(thrift: Thrift) -> Self {
        match thrift {
            Thrift::Thrifty => Self::Thrifty,
            Thrift::Generous => Self::Generous,
        }
    }
}

/// What the author says about one content.
#[derive(Debug, Args)]
pub(crate) struct Author {
    /// A TOML file with title, chapters and rules; see docs/publishing.md.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,

    /// Priority of a stretch of time, from 0 to 7 (3 where nothing is said): 0:00-0:30=7. May be repeated.
    #[arg(long, value_name = "TIME-TIME=N")]
    pub(crate) priority: Vec<String>,

    /// A stretch of time to transfer only with spare capacity: 1:20:00-. May be repeated.
    #[arg(long, value_name = "TIME-TIME")]
    pub(crate) background: Vec<String>,

    /// What the content is called. Default: what the rules or the file say, or else the file's name.
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,

    /// An HTTPS address at which the file lies, with FILE.tree beside it at the same address and .tree; `,N` behind it is
    /// its weight. It is checked before it is named. FILE.tree is written if it is missing. May be repeated.
    #[arg(long, value_name = "URL[,WEIGHT]")]
    pub(crate) mirror: Vec<String>,

    /// What viewers take from mirrors: at the start and what no peer delivers in time; only the latter; or everything
    /// where no peer can be reached.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mirror_policy: Policy,

    /// Where `--http` is reached from outside, such as https://films.example.org behind a proxy. The manifest then names it
    /// as a mirror.
    #[arg(long, value_name = "URL")]
    pub(crate) http_url: Option<String>,
}

/// `--mirror-policy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    /// The first groups, and what no peer will deliver in time.
    #[default]
    Assist,
    /// Only what no peer will deliver in time.
    Rescue,
    /// As assist, and also background where no peer can be reached.
    Full,
}

impl From<Policy> for MirrorPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Assist => Self::Assist,
            Policy::Rescue => Self::Rescue,
            Policy::Full => Self::Full,
        }
    }
}

/// `list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    pub(crate) data: Data,
}

/// `remove`.
#[derive(Debug, Args)]
pub struct Remove {
    /// The file, a link, a swarm id or the first 8 digits of one. Those from before a file changed remove that title alone.
    #[arg(value_name = "FILE|LINK|SWARMID")]
    pub(crate) content: String,

    /// Only here: its tracker goes on knowing it. For a tracker that is gone for good.
    #[arg(long = "local")]
    pub(crate) is_local: bool,

    #[command(flatten)]
    pub(crate) signing: Signing,

    #[command(flatten)]
    pub(crate) data: Data,
}

/// `fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    #[command(flatten)]
    pub(crate) flags: FlagFile,

    /// A link such as http://HOST:PORT/#SWARMID, or a swarm id together with --tracker.
    #[arg(value_name = "LINK|SWARMID")]
    pub(crate) content: String,

    /// Where the peers meet, such as ws://HOST:PORT/v1/swarm; default: what the link says.
    #[arg(long, value_name = "URL")]
    pub(crate) tracker: Option<String>,

    #[command(flatten)]
    pub(crate) access: Access,

    /// Where the content goes. Until it is complete it is in FILE.part.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Read like a player, at the media's rate, and report start and stalls.
    #[arg(long)]
    pub(crate) play: bool,

    /// Take nothing from the mirrors that the publisher names.
    #[arg(long = "no-mirrors")]
    pub(crate) is_without_mirrors: bool,

    /// Go on serving others when the content is complete.
    #[arg(long)]
    pub(crate) stay: bool,

    #[command(flatten)]
    pub(crate) upload: Upload,

    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// `tree`.
#[derive(Debug, Args)]
pub struct Tree {
    /// The file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Where the tree goes. Default: FILE.tree.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) data: Data,
}

/// `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A file, or a link such as http://HOST:PORT/#SWARMID.
    #[arg(value_name = "FILE|LINK")]
    pub(crate) content: String,

    #[command(flatten)]
    pub(crate) access: Access,

    #[command(flatten)]
    pub(crate) signing: Signing,
    #[command(flatten)]
    pub(crate) author: Author,
    #[command(flatten)]
    pub(crate) data: Data,
}

/// `--token`.
#[derive(Debug, Args)]
pub(crate) struct Access {
    /// Permission to use a closed tracker. Default: what the link says.
    #[arg(long, value_name = "TEXT", env = "TRIBUTARY_TOKEN", hide_env_values = true, value_parser = viewer_token)]
    pub(crate) token: Option<String>,
}

fn viewer_token(text: &str) -> Result<String, &'static str> {
    fault_in_link(text).map_or(Ok(text.to_owned()), Err)
}

pub(crate) fn publish_token(text: &str) -> Result<String, &'static str> {
    fault_in_header(text).map_or(Ok(text.to_owned()), Err)
}

/// How much to upload.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// Most to upload, in bits a second over all peers: 800K, 8M, 1.5G; `off` for nothing. Default: no limit.
    #[arg(long = "upload-limit", value_name = "BITS")]
    pub(crate) limit: Option<String>,
}

/// Where things are kept between starts.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// Where hash trees and manifests are kept, so that the next start is fast and the link stays the same.
    /// Default: the platform's directory for data, such as ~/.local/share/tributary.
    #[arg(long = "data-dir", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn limits_say_that_they_are_bits_a_second() {
        for name in ["seed", "fetch"] {
            let mut command = Cli::command();
            let help = command.find_subcommand_mut(name).unwrap().render_help().to_string();
            assert!(help.replace('\n', " ").contains("bits a second"), "{help}");
        }
    }

    #[test]
    fn a_token_that_links_or_requests_change_is_a_mistake() {
        for flag in ["--token=", "--publish-token= ", "--publish-token=a\nb", "--token=a&b"] {
            assert!(Cli::try_parse_from(["seeder", "seed", "f", flag]).is_err(), "{flag}");
        }
    }

    #[test]
    fn the_documented_command_lines_are_understood() {
        for line in [
            "seeder seed a b --tracker ws://h:1/v1/swarm --list --upload-limit 8M --data-dir d --json",
            "seeder seed a --tracker ws://h:1/v1/swarm --economy generous --uplink 20M",
            "seeder fetch http://h:1/#00 -o f --play --stay --upload-limit 8M --json",
            "seeder seed a --tracker ws://h:1/v1/swarm --udp-port 7000 --external-ip 203.0.113.7",
            "seeder fetch 00 --tracker ws://h:1/v1/swarm -o f -vv",
            "seeder inspect f --json",
            "seeder doctor --tracker ws://h:1/v1/swarm --udp-port 7000 --stun s:3478 --json",
            "seeder seed f --rules f.toml --priority 0:00-0:30=7 --background 1:20:00- --tracker ws://h:1/v1/swarm",
            "seeder seed",
            "seeder seed f --tracker ws://h:1/v1/swarm --tracker ws://i:1/v1/swarm",
            "seeder seed f --tracker ws://h:1/v1/swarm --key k --publish-token p --token t",
            "seeder key show --key k",
            "seeder key new --data-dir d --json",
            "seeder fetch http://h:1/#00 -o f --token t",
            "seeder list --json",
            "seeder seed f --tracker ws://h:1/v1/swarm --http 0.0.0.0:8000 --http-url https://h/m --http-limit 20M",
            "seeder tree f --out t --data-dir d --json",
            "seeder fetch 00 --tracker ws://h:1/v1/swarm -o f --no-mirrors",
            "seeder seed f --tracker ws://h:1/v1/swarm --mirror https://m/f,3 --mirror https://n/f --mirror-policy full",
            "seeder remove f --data-dir d",
            "seeder inspect f --rules f.toml --title T",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
    }
}
