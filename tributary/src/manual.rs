//! What shells and manual readers want to know of the command line.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Cli;

/// Prints the completions of a shell.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tributary", &mut script);
    print(&script, &mut io::stdout().lock())
}

/// Prints the manual page, or writes those of all commands into a folder.
pub(crate) fn pages(folder: Option<&Path>) -> anyhow::Result<()> {
    match folder {
        Some(folder) => {
            let place = folder.display();
            std::fs::create_dir_all(folder).with_context(|| format!("--dir {place} cannot be made"))?;
            clap_mangen::generate_to(Cli::command(), folder)
                .with_context(|| format!("the manual pages cannot be written to {place}"))
        }
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page)?;
            print(&page, &mut io::stdout().lock())
        }
    }
}

fn print(bytes: &[u8], output: &mut impl Write) -> anyhow::Result<()> {
    match output.write_all(bytes).and_then(|()| output.flush()) {
        // A reader that has read enough, such as `head`, is no error.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("the output cannot be written")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_manual_page() {
        let folder = tempfile::tempdir().unwrap();
        pages(Some(&folder.path().join("man"))).unwrap();
        for command in
            ["share", "seed", "fetch", "inspect", "tracker", "key-show", "token", "completions", "man"]
        {
            let page = folder.path().join(format!("man/tributary-{command}.1"));
            let text = std::fs::read_to_string(&page).unwrap();
            assert!(text.contains(".SH SYNOPSIS"), "{}", page.display());
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(pages(Some(&file)).unwrap_err().to_string().contains("cannot be made"));
    }

    #[test]
    fn an_output_that_takes_nothing_is_an_error_unless_its_reader_has_left() {
        struct Refusing(ErrorKind);
        impl Write for Refusing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = print(b"page", &mut Refusing(ErrorKind::StorageFull)).unwrap_err();
        assert_eq!(error.to_string(), "the output cannot be written");
        assert!(print(b"page", &mut Refusing(ErrorKind::BrokenPipe)).is_ok());
    }
}
