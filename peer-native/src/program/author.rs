//! What the author says, from the rules file and the flags.

use crate::rules::Statement;
use swarm_core::limits::TEXT_BYTES_MAX;

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
    Ok(statement)
}
