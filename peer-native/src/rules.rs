//! How authors write down what they want: a TOML file beside the content, or flags.
//!
//! ```toml
//! title = "The river"
//!
//! [[chapter]]
//! time = "0:20"
//! name = "The sea"
//!
//! [[rule]]
//! time = "0:00-0:10"     # or bytes = "0-65536", kind = "keyframe", chapter = "The sea"
//! priority = 7
//! period = "start"
//! ```
//!
//! Every mistake is found before anything is published, and named with its line and column. Whether a rule names
//! something that is there is known only with the content: [`Statement::check`].

mod file;
mod span;

use std::path::Path;

use serde::{Deserialize, Serialize};
use swarm_core::manifest::{Chapter, Mirror, Mirrors, PRIORITY_MAX, Period};
use swarm_core::segmentation::{RULES_MAX, Rule, Scope, Structure};
use swarm_core::{ContentRoot, Geometry, GroupRange};

/// A mistake of the author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {text}")]
pub struct RuleError {
    /// Where it is: `film.toml:3:8` or a flag.
    place: String,
    /// What it is and what to write instead.
    text: String,
}

/// A rule and where it was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stated {
    rule: Rule,
    place: String,
}

/// What an author says about a content beyond its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What the content is called; otherwise what it calls itself.
    pub title: Option<String>,
    /// Who publishes it.
    pub author: Option<String>,
    chapters: Vec<Chapter>,
    rules: Vec<Stated>,
    /// Addresses of the trackers at which it is served, if there are several.
    #[serde(default)]
    pub trackers: Vec<String>,
    /// Servers that have the content. Not a part of rules files: they belong to a place, not to a film.
    #[serde(default)]
    pub mirrors: Mirrors,
    /// Where this seeder is itself one: the address in front of a content's digest, with a slash at its end.
    #[serde(default)]
    pub own_mirror: Option<String>,
}

impl Statement {
    /// Reads a rules file.
    pub fn read(path: &Path) -> Result<Self, RuleError> {
        let name = path.display().to_string();
        let error = |text: String| RuleError { place: name.clone(), text };
        let read = named_file::ordinary(path).and_then(|(bytes, _)| named_file::text(bytes));
        let text = read.map_err(|source| error(format!("cannot be read: {source}")))?;
        Self::parse(&name, &text)
    }

    /// Reads the text of a rules file. `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, RuleError> {
        file::parse(name, text)
    }

    /// Adds `--priority RANGE=N`.
    pub fn add_priority(&mut self, text: &str) -> Result<(), RuleError> {
        let place = format!("--priority {text}");
        let error = |text: &str| RuleError { place: place.clone(), text: text.into() };
        let (range, priority) = text
            .split_once('=')
            .ok_or_else(|| error("write a time range and a priority, such as 0:00-0:30=7"))?;
        let priority = priority.trim().parse().ok().filter(|priority| *priority <= PRIORITY_MAX);
        let priority = priority.ok_or_else(|| error("the priority is a number from 0 to 7"))?;
        let scope = span::time_range(range).map_err(|text| error(&text))?;
        self.add(Rule { scope, priority: Some(priority), period: None }, place)
    }

    /// Adds `--background RANGE`.
    pub fn add_background(&mut self, text: &str) -> Result<(), RuleError> {
        let place = format!("--background {text}");
        let scope = span::time_range(text).map_err(|text| RuleError { place: place.clone(), text })?;
        self.add(Rule { scope, priority: None, period: Some(Period::Background) }, place)
    }

    fn add(&mut self, rule: Rule, place: String) -> Result<(), RuleError> {
        if self.rules.len() >= RULES_MAX {
            return Err(RuleError { place, text: "more than 1,024 rules; make do with fewer".into() });
        }
        self.rules.push(Stated { rule, place });
        Ok(())
    }

    /// The same, served at these trackers.
    pub fn served_at(self, trackers: Vec<String>) -> Self {
        Self { trackers, ..self }
    }

    /// Whether any mirror is named.
    pub(crate) const fn has_mirrors(&self) -> bool {
        !self.mirrors.is_empty() || self.own_mirror.is_some()
    }

    /// All mirrors of the content with this digest.
    pub(crate) fn mirrors_of(&self, root: ContentRoot) -> Mirrors {
        let own = self.own_mirror.iter().map(|base| Mirror::new(format!("{base}{root}")));
        let servers = self.mirrors.servers.iter().cloned().chain(own).collect();
        Mirrors { servers, ..self.mirrors }
    }

    /// The rules, in order.
    pub fn rules(&self) -> Vec<Rule> {
        self.rules.iter().map(|stated| stated.rule.clone()).collect()
    }

    /// Chapters that the author named here, which stand for all that the content has.
    pub fn chapters(&self) -> &[Chapter] {
        &self.chapters
    }

    /// What the statement comes to, in bytes that are equal for equal statements wherever they were written.
    pub(crate) fn digest_input(&self) -> impl Serialize {
        (self.title.clone(), self.author.clone(), self.chapters.clone(), self.rules())
    }

    /// Whether each rule names something that is there. An error is a rule that cannot mean this content; the texts
    /// are of those that only have no effect.
    pub fn check(&self, geometry: Geometry, structure: &Structure) -> Result<Vec<String>, RuleError> {
        let mut idle = Vec::new();
        for Stated { rule, place } in &self.rules {
            let error = |text: String| Err(RuleError { place: place.clone(), text });
            let named: Option<GroupRange> = structure.groups(geometry, &rule.scope);
            match &rule.scope {
                Scope::Kind(_) => {}
                Scope::Chapter(name) if !structure.chapters.iter().any(|chapter| chapter.name == *name) => {
                    return error(format!("there is no chapter `{name}`{}", names(&structure.chapters)));
                }
                Scope::Time { .. } | Scope::Chapter(_) if structure.keyframes.is_empty() => {
                    return error("nothing is known of times in this content; name bytes instead".into());
                }
                Scope::Time { .. } | Scope::Chapter(_) | Scope::Bytes(_) if named.is_none() => {
                    idle.push(format!("{place}: the content ends before this, so it has no effect"));
                }
                Scope::Time { .. } | Scope::Chapter(_) | Scope::Bytes(_) => {}
            }
        }
        Ok(idle)
    }
}

/// The chapters that there are, for people.
fn names(chapters: &[Chapter]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<&str> = chapters.iter().take(SHOWN).map(|chapter| chapter.name.as_str()).collect();
    let more = if chapters.len() > SHOWN { ", …" } else { "" };
    if shown.is_empty() {
        return "; the content has none. Name them in the rules file with [[chapter]], or use a time".into();
    }
    format!("; there are: {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::fs::File;

    use super::*;

    fn mistake(text: &str) -> String {
        Statement::parse("film.toml", text).unwrap_err().to_string()
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_a_device_or_a_long_file_in_the_place_of_rules_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("long");
        File::create(&long).unwrap().set_len(1 << 40).unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = |path: &Path| Statement::read(path).unwrap_err().to_string();
        assert!(error(&long).contains("longer than 1 MiB"), "{}", error(&long));
        for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
            assert!(error(path).contains("name a file"), "{}", error(path));
        }
    }

    #[test]
    fn a_file_says_title_chapters_and_rules() {
        let text = r#"
            title = "The river"
            [[chapter]]
            time = "0:20"
            name = "The sea"
            [[chapter]]
            time = "0"
            name = "The spring"
            [[rule]]
            chapter = "The sea"
            priority = 6
            [[rule]]
            bytes = "0-65536"
            period = "background"
        "#;
        let statement = Statement::parse("film.toml", text).unwrap();
        assert_eq!(statement.title.as_deref(), Some("The river"));
        assert_eq!(statement.chapters()[0].name, "The spring");
        let rules = statement.rules();
        assert_eq!(rules[0].scope, Scope::Chapter("The sea".into()));
        assert_eq!((rules[1].priority, rules[1].period), (None, Some(Period::Background)));
    }

    #[test]
    fn mistakes_are_named_with_line_and_column_and_what_to_write() {
        let cases = [
            ("[[rule]]\ntime = \"0:0-0:30\"\npriority = 7", "film.toml:2:8: ", "0:05"),
            ("[[rule]]\ntime = \"0:40-0:30\"\npriority = 7", "film.toml:2:8: ", "ends before"),
            ("[[rule]]\nkind = \"keyframes\"\npriority = 7", "film.toml:2:8: ", "header, index, keyframe"),
            ("[[rule]]\nkind = \"header\"\npriority = 8", "film.toml:3:12: ", "0 (least) to 7"),
            ("[[rule]]\nkind = \"header\"\nperiod = \"now\"", "film.toml:3:10: ", "start, playback"),
            ("[[rule]]\nkind = \"header\"", "film.toml:1:1: ", "priority or a period"),
            ("[[rule]]\npriority = 1", "film.toml:1:1: ", "time, bytes, kind or chapter"),
            ("[[rule]]\ntime = \"0-1\"\nbytes = \"0-1\"\npriority = 1", "film.toml:3:9: ", "one thing"),
            ("[[rule]]\nprioity = 1", "film.toml:2:1: ", "unknown field `prioity`"),
            ("[[rule]\n", "film.toml:1:", "]"),
            ("title = 7", "film.toml:1:9: ", "string"),
        ];
        for (text, place, word) in cases {
            let mistake = mistake(text);
            assert!(mistake.starts_with(place) && mistake.contains(word), "{text:?}: {mistake}");
            assert_eq!(mistake.lines().count(), 1, "{mistake}");
        }
    }

    #[test]
    fn flags_are_rules_after_those_of_the_file() {
        let mut statement = Statement::parse("f", "[[rule]]\nkind = \"header\"\npriority = 1").unwrap();
        statement.add_priority("0:00-0:30=7").unwrap();
        statement.add_background("1:20:00-").unwrap();
        let rules = statement.rules();
        assert_eq!(rules[1].scope, Scope::Time { start_ms: 0, end_ms: Some(30_000) });
        assert_eq!(rules[2].scope, Scope::Time { start_ms: 4_800_000, end_ms: None });
        for text in ["0:00-0:30", "0:00-0:30=8", "=7", "0:30=7", "-=7"] {
            let mistake = statement.add_priority(text).unwrap_err().to_string();
            assert!(mistake.starts_with(&format!("--priority {text}: ")), "{mistake}");
        }
    }

    #[test]
    fn a_rule_about_what_is_not_there_is_an_error_or_idle() {
        let geometry = Geometry::new(1_000_000);
        let rule = |scope: &str| Statement::parse("f", &format!("[[rule]]\n{scope}\npriority = 1")).unwrap();
        let nothing = Structure::default();
        let mistake = |scope, structure| rule(scope).check(geometry, structure).unwrap_err().to_string();
        assert!(mistake("time = \"0-1\"", &nothing).starts_with("f:2:8: nothing is known of times"));
        assert!(mistake("chapter = \"A\"", &nothing).contains("has none"));
        assert_eq!(rule("bytes = \"0-1\"").check(geometry, &nothing), Ok(vec![]));
        assert_eq!(rule("bytes = \"1000000-\"").check(geometry, &nothing).unwrap().len(), 1);
        let film = Structure {
            keyframes: vec![swarm_core::segmentation::Keyframe { offset: 0, time_ms: 0 }],
            duration_ms: Some(10_000),
            chapters: vec![Chapter { time_ms: 0, name: "Opening".into() }],
            ..Structure::default()
        };
        assert!(mistake("chapter = \"A\"", &film).contains("there are: Opening"));
        assert_eq!(rule("time = \"20-\"").check(geometry, &film).unwrap().len(), 1);
        assert_eq!(rule("chapter = \"Opening\"").check(geometry, &film), Ok(vec![]));
    }

    #[test]
    fn where_a_rule_was_written_makes_no_difference() {
        let digest = |statement: &Statement| serde_json::to_string(&statement.digest_input()).unwrap();
        let file = Statement::parse("f", "[[rule]]\ntime = \"0-30\"\npriority = 7").unwrap();
        let mut flags = Statement::default();
        assert_ne!(digest(&file), digest(&flags));
        flags.add_priority("0:00-0:30=7").unwrap();
        assert_eq!(digest(&file), digest(&flags));
    }
}
