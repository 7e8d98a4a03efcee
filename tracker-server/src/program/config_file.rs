//! The file of `--config`: flags by their names, as TOML. The command line and the environment win.
//!
//! The file becomes arguments that are read together with those that were given, so that each is checked and explained
//! in one place.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, bail};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command};
use toml::Value;

/// The arguments of `given`, and behind them those of the file that `given` names, if it names one. `command`, or the
/// subcommand that `given` chooses, knows the flags.
pub fn with_file(command: &Command, given: Vec<OsString>) -> anyhow::Result<Vec<OsString>> {
    // What is wrong with the arguments themselves is said when they are read for good.
    let Ok(matches) = command.clone().try_get_matches_from(&given) else { return Ok(given) };
    let (command, matches) = chosen(command, &matches);
    let Ok(Some(path)) = matches.try_get_one::<std::path::PathBuf>("config") else { return Ok(given) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("--config {} cannot be read", path.display()))?;
    let more = arguments(command, matches, path, &text)?;
    Ok(given.into_iter().chain(more).collect())
}

/// The innermost subcommand.
fn chosen<'a>(command: &'a Command, matches: &'a ArgMatches) -> (&'a Command, &'a ArgMatches) {
    let below = matches.subcommand().and_then(|(name, below)| Some((command.find_subcommand(name)?, below)));
    below.map_or((command, matches), |(command, matches)| chosen(command, matches))
}

fn arguments(
    command: &Command,
    matches: &ArgMatches,
    path: &Path,
    text: &str,
) -> anyhow::Result<Vec<OsString>> {
    let place = path.display();
    let table: toml::Table = text.parse().with_context(|| format!("{place} is no TOML"))?;
    let mut arguments = Vec::new();
    for (name, value) in &table {
        let flag = command
            .get_arguments()
            .find(|flag| flag.get_long() == Some(name) && name != "config" && name != "help");
        let Some(flag) = flag else { bail!("{place}: there is no flag --{name}") };
        let source = matches.value_source(flag.get_id().as_str());
        if matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        let is_switch = matches!(flag.get_action(), ArgAction::SetTrue | ArgAction::Count);
        if is_switch {
            let Value::Boolean(is_on) = value else { bail!("{place}: {name} must be true or false") };
            arguments.extend(is_on.then(|| format!("--{name}").into()));
            continue;
        }
        let is_repeatable = matches!(flag.get_action(), ArgAction::Append);
        let list = value.as_array().filter(|_| is_repeatable);
        let values = list.map_or(std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            arguments.push(format!("--{name}={}", one(value, name, path)?).into());
        }
    }
    Ok(arguments)
}

/// One value as it would be written on the command line.
fn one(value: &Value, name: &str, path: &Path) -> anyhow::Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(_) | Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            bail!("{}: {name} must be a text or a whole number", path.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::Options;
    use super::*;
    use clap::CommandFactory;

    fn read(text: &str, given: &[&str]) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("tracker.toml");
        std::fs::write(&path, text)?;
        let path = path.display().to_string();
        let given = [&["tracker-server", "--config", &path], given].concat();
        let all = with_file(&Options::command(), given.iter().map(OsString::from).collect())?;
        Ok(all[given.len()..].iter().map(|argument| argument.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn a_file_says_what_flags_say() {
        let text = "listen = \"127.0.0.1:0\"\nconnections-max = 100\nbehind-proxy = true\n\
                    allow-origin = [\"https://a\", \"https://b\"]\nturn-url = \"turn:t\"\n";
        let mut arguments = read(text, &[]).unwrap();
        arguments.sort();
        assert_eq!(
            arguments,
            [
                "--allow-origin=https://a",
                "--allow-origin=https://b",
                "--behind-proxy",
                "--connections-max=100",
                "--listen=127.0.0.1:0",
                "--turn-url=turn:t",
            ]
        );
    }

    #[test]
    fn a_file_is_found_behind_a_subcommand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tracker.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:0\"").unwrap();
        let program = Command::new("program").subcommand(Options::command().name("tracker"));
        let given = ["program".into(), "tracker".into(), "--config".into(), path.into_os_string()];
        let all = with_file(&program, given.to_vec()).unwrap();
        assert_eq!(all.last().unwrap(), "--listen=127.0.0.1:0");
        assert_eq!(with_file(&program, given[..1].to_vec()).unwrap(), given[..1]);
    }

    #[test]
    fn the_command_line_wins() {
        let text = "listen = \"127.0.0.1:1\"\nallow-origin = [\"https://a\"]\nbehind-proxy = false\n";
        let given = ["--listen", "127.0.0.1:2", "--allow-origin", "https://b"];
        assert_eq!(read(text, &given).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_said_with_the_name_of_the_file() {
        for (text, word) in [
            ("listne = \"x\"", "there is no flag --listne"),
            ("config = \"x\"", "there is no flag --config"),
            ("listen = [", "is no TOML"),
            ("behind-proxy = \"yes\"", "must be true or false"),
            ("listen = 1.5", "must be a text or a whole number"),
        ] {
            let error = format!("{:#}", read(text, &[]).unwrap_err());
            assert!(error.contains(word) && error.contains("tracker.toml"), "{text}: {error}");
        }
    }
}
