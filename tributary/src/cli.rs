//! The command line. Kept stable: scripts and other programs rely on it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use peer_native::program::Output;
use tracker_server::program::{TokenOptions, TrackerOptions};

use crate::share::Share;

/// Shares films with everybody who opens their links; every viewer passes on what it receives.
///
/// `tributary share film.mp4` is all it takes on one machine. The other commands are its parts, for publishers, viewers and
/// trackers on machines of their own.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, about)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Share films from this machine: page, tracker and seeder at once.
    Share(Box<Share>),
    #[command(flatten)]
    Peer(peer_native::program::Command),
    /// Run a tracker, which introduces peers to one another and serves the page they watch on.
    Tracker(Box<TrackerOptions>),
    /// Make a permission to watch one content, on a tracker that asks for one.
    Token(TokenOptions),
    /// Print a script that completes command lines: put it where your shell looks for such scripts.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write one for each command.
    Man {
        /// Folder for the manual pages, made if it is missing.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

impl Cli {
    /// Reads arguments. The error says what is wrong with them, or is the help.
    pub(crate) fn read(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        let mut cli = Self::try_parse_from(arguments)?;
        let has_events = matches!(cli.command, Command::Share(_) | Command::Peer(_));
        if cli.output.json && !has_events {
            let text = "--json is for the commands that report events: share, seed, list, remove, fetch, tree, inspect, doctor, key";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, text));
        }
        // `tributary -v tracker` means the same as `tributary tracker -v`.
        if let Command::Tracker(options) = &mut cli.command {
            options.verbose = options.verbose.max(cli.output.verbose);
        }
        Ok(cli)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        Cli::read(line.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_command_lines_are_understood() {
        for line in [
            "tributary share film.mp4",
            "tributary share film.mp4 films --listen 127.0.0.1:0 --www dist --json -v",
            "tributary share film.mp4 --economy generous --uplink 20M --upload-limit 8M --title T --data-dir d",
            "tributary share film.mp4 --rules r.toml --udp-port 7000 --external-ip 203.0.113.7 --key k",
            "tributary seed film.mp4 --tracker ws://h:1/v1/swarm --list",
            "tributary fetch http://h:1/#00 -o f --json",
            "tributary inspect film.mp4",
            "tributary list --json",
            "tributary doctor --tracker wss://h/v1/swarm --udp-port 7000",
            "tributary remove film.mp4",
            "tributary key show",
            "tributary tracker --listen 127.0.0.1:0 --www dist --metrics-listen 127.0.0.1:0",
            "tributary tracker --domain films.example.org --data-dir d --redirect-listen 0.0.0.0:80",
            "tributary share film.mp4 --certificate c.pem --certificate-key k.pem --key k",
            "tributary tracker --trust-proxy 10.0.0.0/8,2001:db8::7 --proxy-protocol --base-path /films --open",
            "tributary share film.mp4 --base-path /films",
            "tributary completions bash",
            "tributary man --dir d",
        ] {
            assert!(read(line).is_ok(), "{line}: {}", read(line).unwrap_err());
        }
        let token = format!("tributary token --key k=f --swarm {}", "ab".repeat(32));
        assert!(read(&token).is_ok(), "{token}");
    }

    #[test]
    fn a_tracker_says_more_wherever_it_is_asked_to() {
        for line in ["tributary -v tracker", "tributary tracker -v"] {
            let Command::Tracker(options) = read(line).unwrap().command else { panic!("{line}") };
            assert_eq!(options.verbose, 1, "{line}");
        }
    }

    #[test]
    fn what_reports_no_events_takes_no_json() {
        for line in ["tributary tracker --json", "tributary --json completions bash", "tributary man --json"]
        {
            assert_eq!(read(line).unwrap_err().kind(), ErrorKind::ArgumentConflict, "{line}");
        }
        assert_eq!(read("tributary share").unwrap_err().kind(), ErrorKind::MissingRequiredArgument);
    }
}
