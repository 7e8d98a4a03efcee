//! The file of `--config`: flags by their names, as TOML. The command line and the environment win.
//!
//! The file becomes arguments that are read together with those that were given, so that each is checked and explained
//! in one place. Which command lines take such a file is theirs: they have a flag `--config`. They also share how an error
//! is [put into words](in_words) and [told](to_stderr).

mod words;

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::Value;
use toml::de::DeTable;

pub use words::{in_words, to_stderr};

/// Why a file of flags is not used. Each is for a person, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlagFileError {
    /// Name another file, or make this one readable.
    #[error("--config {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Correct the file at this line.
    #[error("{}:{line}: {text}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong.
        text: String,
    },
}

/// The arguments of `given`, and those of the file that `given` names, if it names one. `command`, or the
/// subcommand that `given` chooses, knows the flags. `warn` hears, in one line, that others can read a file with a secret
/// in it: a flag whose value help texts hide ([`Arg::hide_env_values`]).
pub fn with_file(
    command: &Command,
    mut given: Vec<OsString>,
    warn: impl FnOnce(&str),
) -> Result<Vec<OsString>, FlagFileError> {
    let mut command = relaxed(command.clone());
    // What is wrong with the arguments themselves is said when they are read for good.
    let Ok(matches) = command.try_get_matches_from_mut(&given) else { return Ok(given) };
    let (command, matches) = chosen(&command, &matches);
    let Ok(Some(path)) = matches.try_get_one::<PathBuf>("config") else { return Ok(given) };
    let unreadable = |error| FlagFileError::Unreadable { path: path.clone(), error };
    // It may be a pipe: a shell's `<(…)`.
    let file = File::open(path).map_err(unreadable)?;
    let is_exposed = is_exposed(&file.metadata().map_err(unreadable)?);
    let text = named_file::bounded(file).and_then(named_file::text).map_err(unreadable)?;
    let source = Source { path, text: &text };
    let more = source.arguments(command, matches)?;
    if let Some(secret) = source.secret(command).filter(|_| is_exposed) {
        let path = path.display();
        warn(&format!("others can read {path}, which has --{secret} in it; run `chmod o= {path}`"));
    }
    // What stands behind `--` are files.
    let end = given.iter().position(|argument| argument == "--").unwrap_or(given.len());
    given.splice(end..end, more);
    Ok(given)
}

/// A command that misses nothing: what it requires may be in the file.
fn relaxed(command: Command) -> Command {
    command.mut_args(|argument| argument.required(false)).mut_subcommands(relaxed)
}

/// The innermost subcommand.
fn chosen<'a>(command: &'a Command, matches: &'a ArgMatches) -> (&'a Command, &'a ArgMatches) {
    let below = matches.subcommand().and_then(|(name, below)| Some((command.find_subcommand(name)?, below)));
    below.map_or((command, matches), |(command, matches)| chosen(command, matches))
}

/// Says on stderr, in one line, what is not as it should be.
pub fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// Whether users can read a file that are neither its owner nor of its group.
#[cfg(unix)]
pub fn is_exposed(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o007 != 0
}

/// Whether users can read a file that are neither its owner nor of its group. Not known on this platform.
#[cfg(not(unix))]
pub const fn is_exposed(_: &Metadata) -> bool {
    false
}

/// A file of flags.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn arguments(&self, command: &Command, matches: &ArgMatches) -> Result<Vec<OsString>, FlagFileError> {
        let wrong = |error: toml::de::Error| {
            // Some messages have several lines.
            let text = error.message().lines().collect::<Vec<_>>().join("; ");
            self.wrong(error.span().unwrap_or_default().start, format!("this is no TOML: {text}"))
        };
        let mut table: toml::Table = toml::from_str(self.text).map_err(wrong)?;
        let names = DeTable::parse(self.text).map_err(wrong)?;
        let mut arguments = Vec::new();
        for key in names.get_ref().keys() {
            let (name, start) = (key.get_ref().as_ref(), key.span().start);
            let Some(flag) = command.get_arguments().find(|flag| is_settable(flag, name)) else {
                return Err(self.wrong(start, format!("there is no flag --{name}")));
            };
            let source = matches.value_source(flag.get_id().as_str());
            let is_given = matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable));
            if let Some(value) = table.remove(name) {
                let of_file = as_given(flag, name, value).map_err(|text| self.wrong(start, text))?;
                arguments.extend(of_file.into_iter().filter(|_| !is_given));
            }
        }
        Ok(arguments)
    }

    /// The first secret that the file holds.
    fn secret<'a>(&self, command: &'a Command) -> Option<&'a str> {
        let names: toml::Table = toml::from_str(self.text).ok()?;
        let mut secrets = command.get_arguments().filter(|flag| flag.is_hide_env_values_set());
        secrets.find_map(|flag| flag.get_long().filter(|name| names.contains_key(*name)))
    }

    fn wrong(&self, start: usize, text: String) -> FlagFileError {
        let line = self.text.get(..start).unwrap_or_default().matches('\n').count() + 1;
        FlagFileError::Wrong { path: self.path.to_owned(), line, text }
    }
}

/// Whether a file may set this flag, and calls it `name`.
fn is_settable(flag: &Arg, name: &str) -> bool {
    let is_flag = matches!(
        flag.get_action(),
        ArgAction::Set | ArgAction::Append | ArgAction::SetTrue | ArgAction::Count
    );
    is_flag && name != "config" && flag.get_long() == Some(name)
}

/// A flag as it would be written on the command line.
fn as_given(flag: &Arg, name: &str, value: Value) -> Result<Vec<OsString>, String> {
    if matches!(flag.get_action(), ArgAction::SetTrue | ArgAction::Count) {
        let Value::Boolean(is_on) = value else { return Err(format!("{name} must be true or false")) };
        return Ok(is_on.then(|| format!("--{name}").into()).into_iter().collect());
    }
    let is_repeatable = matches!(flag.get_action(), ArgAction::Append);
    let values = if is_repeatable && let Value::Array(values) = value { values } else { vec![value] };
    let argument = |value| Ok(format!("--{name}={}", one(value, name)?).into());
    values.into_iter().map(argument).collect()
}

fn one(value: Value, name: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(_) | Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            Err(format!("{name} must be a text or a whole number"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name);
        let config = flag("config").value_parser(clap::value_parser!(PathBuf));
        let work = Command::new("work")
            .arg(Arg::new("file").action(ArgAction::Append))
            .arg(config)
            .arg(flag("output").required(true))
            .arg(flag("token").env("FLAG_FILE_TEST_TOKEN").hide_env_values(true))
            .arg(flag("origin").action(ArgAction::Append))
            .arg(flag("open").action(ArgAction::SetTrue));
        let json = flag("json").action(ArgAction::SetTrue).global(true);
        Command::new("program").version("1").arg(json).subcommand(work).subcommand(Command::new("rest"))
    }

    /// What a file adds to the arguments that are given behind `work --config FILE`.
    fn added(text: impl AsRef<[u8]>, given: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flags.toml");
        std::fs::write(&path, text).unwrap();
        let path = path.display().to_string();
        let given = [&["program", "work", "--config", &path], given].concat();
        let all = with_file(&program(), given.iter().map(OsString::from).collect(), |_| ());
        let all = all.map_err(|error| error.to_string())?;
        let parsed = program().try_get_matches_from(&all).map_err(|error| error.to_string())?;
        assert_eq!(parsed.subcommand_name(), Some("work"));
        let all = all.into_iter().map(|argument| argument.into_string().unwrap());
        Ok(all.filter(|argument| !given.contains(&&argument[..])).collect())
    }

    #[test]
    fn a_file_says_what_flags_say_those_required_and_those_of_the_program_too() {
        let text = "output = 'o'\norigin = [\"https://a\", \"https://b\"]\nopen = true\njson = true\ntoken = \"-x y\"\n";
        let expected =
            ["--json", "--open", "--origin=https://a", "--origin=https://b", "--output=o", "--token=-x y"];
        assert_eq!(added(text, &[]).unwrap(), expected);
        assert_eq!(
            added("output = 7\norigin = 'a'\nopen = false", &[]).unwrap(),
            ["--origin=a", "--output=7"]
        );
    }

    #[test]
    fn the_command_line_wins() {
        let text = "output = 'o'\norigin = ['a', 'b']\ntoken = 't'\n";
        assert_eq!(added(text, &["--output", "x", "--origin", "y"]).unwrap(), ["--token=t"]);
    }

    #[test]
    fn files_that_look_like_flags_stay_files() {
        assert_eq!(added("output = 'o'", &["--", "--film"]).unwrap(), ["--output=o"]);
    }

    #[test]
    fn marks_and_line_ends_of_other_systems_do_not_matter() {
        assert_eq!(added("\u{feff}# made elsewhere\r\noutput = 'o'\r\n", &[]).unwrap(), ["--output=o"]);
    }

    #[test]
    fn what_is_wrong_is_one_line_with_file_and_line() {
        for (text, words) in [
            ("output = 'o'\nlistne = \"x\"", "flags.toml:2: there is no flag --listne"),
            ("config = \"x\"", "flags.toml:1: there is no flag --config"),
            ("help = true", ":1: there is no flag --help"),
            ("file = 'x'", ":1: there is no flag --file"),
            ("[work]\noutput = 'o'", "there is no flag --work"),
            ("\noutput = [", ":2: this is no TOML"),
            ("output = 'a'\noutput = 'b'", ":2: this is no TOML: duplicate key"),
            ("open = \"yes\"", ":1: open must be true or false"),
            ("output = 1.5", "output must be a text or a whole number"),
            ("output = ['a', 'b']", "output must be a text or a whole number"),
            ("origin = [['a']]", "origin must be a text or a whole number"),
        ] {
            let error = added(text, &["--origin", "z"]).unwrap_err();
            assert!(error.contains(words) && error.lines().count() == 1, "{text}: {error}");
        }
        let error = added(b"output = '\xff'", &[]).unwrap_err();
        assert!(error.contains("flags.toml cannot be read: it is not text in UTF-8"), "{error}");
        let error = added(" ".repeat(named_file::BYTES_MAX as usize + 1), &[]).unwrap_err();
        assert!(error.contains("is longer than"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn who_leaves_a_secret_where_others_read_it_is_warned() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flags.toml");
        let warning = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let given = ["program".into(), "work".into(), "--config".into(), path.clone().into()];
            let mut warning = None;
            with_file(&program(), given.to_vec(), |text| warning = Some(text.to_owned())).unwrap();
            warning
        };
        let text = warning("output = 'o'\ntoken = 't'", 0o644).unwrap();
        assert!(text.contains("--token") && text.contains("chmod o= ") && !text.contains('\n'), "{text}");
        assert_eq!(warning("output = 'o'\ntoken = 't'", 0o640), None);
        assert_eq!(warning("output = 'o'", 0o644), None);
    }

    #[test]
    fn what_cannot_be_read_is_named_and_commands_without_a_file_are_left_alone() {
        let given = |arguments: &[&str]| arguments.iter().map(OsString::from).collect::<Vec<_>>();
        for (path, word) in [("no-such-file.toml", "No such file"), ("/", "directory")] {
            let error =
                with_file(&program(), given(&["program", "work", "--config", path]), |_| ()).unwrap_err();
            assert!(error.to_string().starts_with(&format!("--config {path} cannot be read: ")), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
        for other in [&["program"][..], &["program", "rest"], &["program", "nothing"], &["program", "--help"]]
        {
            assert_eq!(with_file(&program(), given(other), |_| ()).unwrap(), given(other));
        }
    }
}
