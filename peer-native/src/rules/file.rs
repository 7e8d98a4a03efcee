//! The rules file: its form, and where in it a mistake is.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use swarm_core::limits::{CHAPTERS_MAX, TEXT_BYTES_MAX};
use swarm_core::manifest::{Chapter, Mirrors, PRIORITY_MAX, Period};
use swarm_core::segmentation::{Kind, RULES_MAX, Rule, Scope};
use toml::Spanned;

use crate::rules::{RuleError, Stated, Statement, span};

/// Reads the text of a rules file.
pub(super) fn parse(name: &str, text: &str) -> Result<Statement, RuleError> {
    let source = Source { name, text };
    let written: Written =
        toml::from_str(text).map_err(|error| source.error(error.span().unwrap_or(0..0), error.message()))?;
    source.check_text(written.title.as_ref())?;
    source.check_text(written.author.as_ref())?;
    source.check_count("rule", written.rule.get(RULES_MAX).map(Spanned::span), RULES_MAX)?;
    source.check_count("chapter", written.chapter.get(CHAPTERS_MAX).map(Spanned::span), CHAPTERS_MAX)?;
    let rules = written.rule.iter().map(|rule| source.rule(rule)).collect::<Result<_, _>>()?;
    let mut chapters =
        written.chapter.iter().map(|chapter| source.chapter(chapter)).collect::<Result<Vec<_>, _>>()?;
    chapters.sort_by_key(|chapter| chapter.time_ms);
    let (title, author) = (written.title.map(Spanned::into_inner), written.author.map(Spanned::into_inner));
    Ok(Statement {
        title,
        author,
        chapters,
        rules,
        trackers: Vec::new(),
        mirrors: Mirrors::default(),
        own_mirror: None,
    })
}

/// A rules file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: Option<Spanned<String>>,
    author: Option<Spanned<String>>,
    #[serde(default)]
    chapter: Vec<Spanned<WrittenChapter>>,
    #[serde(default)]
    rule: Vec<Spanned<WrittenRule>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenChapter {
    time: Spanned<String>,
    name: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    time: Option<Spanned<String>>,
    bytes: Option<Spanned<String>>,
    kind: Option<Spanned<String>>,
    chapter: Option<Spanned<String>>,
    priority: Option<Spanned<i64>>,
    period: Option<Spanned<String>>,
}

/// A file that is being read.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn error(self, span: Range<usize>, text: impl fmt::Display) -> RuleError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        // Some messages of the parser have several lines, of which the first says what is wrong.
        let text = text.to_string().lines().collect::<Vec<_>>().join("; ");
        RuleError { place: format!("{}:{line}:{column}", self.name), text }
    }

    fn check_text(self, text: Option<&Spanned<String>>) -> Result<(), RuleError> {
        match text.filter(|text| text.get_ref().len() > TEXT_BYTES_MAX) {
            Some(text) => Err(self.error(text.span(), "is longer than 1,024 bytes; shorten it")),
            None => Ok(()),
        }
    }

    fn check_count(self, what: &str, excess: Option<Range<usize>>, max: usize) -> Result<(), RuleError> {
        match excess {
            Some(span) => Err(self.error(span, format!("more than {max} of [[{what}]]; make do with fewer"))),
            None => Ok(()),
        }
    }

    fn chapter(self, chapter: &Spanned<WrittenChapter>) -> Result<Chapter, RuleError> {
        let chapter = chapter.get_ref();
        self.check_text(Some(&chapter.name))?;
        let time = &chapter.time;
        let time_ms = span::time_ms(time.get_ref()).map_err(|text| self.error(time.span(), text))?;
        Ok(Chapter { time_ms, name: chapter.name.get_ref().clone() })
    }

    fn rule(self, rule: &Spanned<WrittenRule>) -> Result<Stated, RuleError> {
        let (written, span) = (rule.get_ref(), rule.span());
        let mut scopes = Vec::new();
        if let Some(time) = &written.time {
            let scope = span::time_range(time.get_ref());
            scopes.push((scope.map_err(|text| self.error(time.span(), text))?, time.span()));
        }
        if let Some(bytes) = &written.bytes {
            let scope = span::byte_range(bytes.get_ref());
            scopes.push((scope.map_err(|text| self.error(bytes.span(), text))?, bytes.span()));
        }
        if let Some(kind) = &written.kind {
            scopes.push((Scope::Kind(self.kind(kind)?), kind.span()));
        }
        if let Some(chapter) = &written.chapter {
            scopes.push((Scope::Chapter(chapter.get_ref().clone()), chapter.span()));
        }
        let mut scopes = scopes.into_iter();
        let Some((scope, at)) = scopes.next() else {
            let text = "the rule does not say what it is about; add one of time, bytes, kind or chapter";
            return Err(self.error(span, text));
        };
        if let Some((_, second)) = scopes.next() {
            let text = "a rule is about one thing; make a [[rule]] each of time, bytes, kind or chapter";
            return Err(self.error(second, text));
        }
        let priority = written.priority.as_ref().map(|priority| self.priority(priority)).transpose()?;
        let period = written.period.as_ref().map(|period| self.period(period)).transpose()?;
        if priority.is_none() && period.is_none() {
            return Err(self.error(span, "the rule does not say what is wanted; add a priority or a period"));
        }
        let place = self.error(at, "").place;
        Ok(Stated { rule: Rule { scope, priority, period }, place })
    }

    fn priority(self, priority: &Spanned<i64>) -> Result<u8, RuleError> {
        let number = u8::try_from(*priority.get_ref()).ok().filter(|number| *number <= PRIORITY_MAX);
        number.ok_or_else(|| self.error(priority.span(), "a priority is a number from 0 (least) to 7"))
    }

    fn period(self, period: &Spanned<String>) -> Result<Period, RuleError> {
        match period.get_ref().as_str() {
            "start" => Ok(Period::Start),
            "playback" => Ok(Period::Playback),
            "background" => Ok(Period::Background),
            other => {
                let text = format!("`{other}` is no period; there are start, playback and background");
                Err(self.error(period.span(), text))
            }
        }
    }

    fn kind(self, kind: &Spanned<String>) -> Result<Kind, RuleError> {
        match kind.get_ref().as_str() {
            "header" => Ok(Kind::Header),
            "index" => Ok(Kind::Index),
            "keyframe" => Ok(Kind::Keyframe),
            "chapter" => Ok(Kind::Chapter),
            other => {
                let text = format!("`{other}` is no kind; there are header, index, keyframe and chapter");
                Err(self.error(kind.span(), text))
            }
        }
    }
}
