//! Tables in documents: the text between two marks is made by a command, the rest is written by people.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// A document and the name of its two marks, `<!-- NAME begin -->` and `<!-- NAME end -->`.
pub(crate) struct Table {
    pub(crate) path: &'static str,
    pub(crate) name: &'static str,
}

impl Table {
    /// Replaces the text between the marks.
    pub(crate) fn write(&self, workspace: &Workspace, text: &str) -> Result<()> {
        let path = workspace.root().join(self.path);
        let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", self.path))?;
        fs::write(&path, self.replaced(&page, text)?).with_context(|| format!("cannot write {}", self.path))
    }

    fn replaced(&self, page: &str, text: &str) -> Result<String> {
        let Self { path, name } = self;
        let (begin, end) = (format!("<!-- {name} begin -->\n"), format!("<!-- {name} end -->\n"));
        let (before, rest) =
            page.split_once(&begin).with_context(|| format!("{path} has no line `{}`", begin.trim_end()))?;
        let (_, after) =
            rest.split_once(&end).with_context(|| format!("{path} has no line `{}`", end.trim_end()))?;
        ensure!(!after.contains(&begin), "{path} has the line `{}` twice", begin.trim_end());
        Ok(format!("{before}{begin}{text}{end}{after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_between_the_marks_is_replaced() {
        let table = Table { path: "a.md", name: "x" };
        let page = "a\n<!-- x begin -->\nold\n<!-- x end -->\nb\n<!-- y begin -->\n";
        let replaced = "a\n<!-- x begin -->\nnew\n<!-- x end -->\nb\n<!-- y begin -->\n";
        assert_eq!(table.replaced(page, "new\n").unwrap(), replaced);
        assert!(table.replaced("no marks", "new").is_err());
        assert!(table.replaced(&page.repeat(2), "new").is_err());
    }
}
