//! Opens and writes files whose names others may have taken: by a link, a pipe or a file of theirs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Opens a file of that name and never one that a link of that name points at: in a folder that others can write to, a
/// link could make us write to any file of ours.
pub(super) fn not_following(options: &mut OpenOptions) -> &mut OpenOptions {
    not_waiting(options, false)
}

/// Opens a pipe at once, so that it can be refused. Otherwise opening would wait until a program writes to it.
pub(super) fn not_waiting(options: &mut OpenOptions, follows_links: bool) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let link = if follows_links { OFlags::empty() } else { OFlags::NOFOLLOW };
        options.custom_flags((OFlags::NONBLOCK | link).bits().cast_signed());
    }
    options
}

pub(super) fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = not_following(OpenOptions::new().read(true)).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is a pipe, a device or a folder"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes a file where none is; one that is there, or a link, goes.
pub(super) fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().write(true).create_new(true).open(path)
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes a file so that it is either as it was or as it is to be.
pub(crate) fn write_atomically(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    write_atomically_with(path, |file| parts.iter().try_for_each(|part| file.write_all(part)))
}

/// The same for a file that is written in several steps.
pub(crate) fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let new = with_suffix(path, &format!(".{}.new", std::process::id()));
    let written = create_anew(&new).and_then(|mut file| {
        write(&mut file)?;
        file.sync_data()
    });
    written.and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        // What could not be written is of no use; that it cannot be removed either is no news.
        let _ = fs::remove_file(&new);
    })
}
