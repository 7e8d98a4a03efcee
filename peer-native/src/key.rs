//! The publisher's key in a file that only its owner reads.
//!
//! One line of text: `tributary-publisher-key-1`, a space, and the secret as 64 hexadecimal digits. Copy the file to
//! every machine that seeds for the same publisher, and keep a copy: whoever has it speaks for all that was published
//! with it, and without it nobody does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use swarm_core::{ContentRoot, SecretKey};

/// What the line begins with.
const HEAD: &str = "tributary-publisher-key-1 ";

/// Bytes of a key file, at most.
const FILE_BYTES_MAX: u64 = 1024;

/// A key that cannot be had. The text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is none.
    #[error("there is no key at {}; `key new --key FILE` makes one", .0.display())]
    Missing(PathBuf),
    /// A link to nothing: the disk with the key may not be there.
    #[error("{} is a link to a file that is not there; bring that back, or name another file", .0.display())]
    Dangling(PathBuf),
    /// A key must not be lost by accident.
    #[error("there is a key at {} already; move it away first, or name another file", .0.display())]
    Exists(PathBuf),
    /// Others can read it.
    #[error("others can read the key at {path}; run `chmod 600 {path}`", path = .0.display())]
    Exposed(PathBuf),
    /// It is a directory, a pipe or a device, which may never end or never answer.
    #[error("{} is not a file; name the file of a key", .0.display())]
    NotAFile(PathBuf),
    /// Something else is in the file.
    #[error("{} holds no publisher's key; it is one line that begins with {HEAD}", .0.display())]
    Malformed(PathBuf),
    /// It cannot be written.
    #[error("no key can be made at {}: {source}; name another place with --data-dir or --key", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The platform refuses.
    #[error("the key at {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads a key.
pub fn read(path: &Path) -> Result<SecretKey, KeyError> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::NotFound {
            let path = path.to_owned();
            return if path.is_symlink() { KeyError::Dangling(path) } else { KeyError::Missing(path) };
        }
        KeyError::Io { path: path.to_owned(), source }
    };
    // Before it is opened: opening a pipe waits for the one who writes.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(KeyError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(failed)?;
    if is_exposed(&file.metadata().map_err(failed)?) {
        return Err(KeyError::Exposed(path.to_owned()));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    // Any identity of 32 bytes in hexadecimal digits reads the same.
    let secret = text.trim_end().strip_prefix(HEAD).and_then(|digits| digits.parse::<ContentRoot>().ok());
    let secret = secret.ok_or_else(|| KeyError::Malformed(path.to_owned()))?;
    Ok(SecretKey::from_bytes(&secret.0))
}

/// Makes a key where none is.
pub fn make(path: &Path) -> Result<SecretKey, KeyError> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            let path = path.to_owned();
            return if path.exists() { KeyError::Exists(path) } else { KeyError::Dangling(path) };
        }
        KeyError::Unwritable { path: path.to_owned(), source }
    };
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| failed(io::Error::other(error.to_string())))?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(failed)?;
    let line = format!("{HEAD}{}\n", ContentRoot(secret));
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a key would stand in the way of a whole one. That it cannot be removed says no more than the first error.
        _ = fs::remove_file(path);
        failed(error)
    })?;
    Ok(SecretKey::from_bytes(&secret))
}

/// Reads a key, or makes it if there is none. Whether it is new.
pub fn read_or_make(path: &Path) -> Result<(SecretKey, bool), KeyError> {
    match read(path) {
        Err(KeyError::Missing(_)) => match make(path) {
            // Another seeder was faster.
            Err(KeyError::Exists(_)) => Ok((read(path)?, false)),
            made => Ok((made?, true)),
        },
        found => Ok((found?, false)),
    }
}

#[cfg(unix)]
fn is_exposed(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
const fn is_exposed(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_by_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data/publisher.key");
        assert!(matches!(read(&path), Err(KeyError::Missing(_))));
        assert!(matches!(read(directory.path()), Err(KeyError::NotAFile(_))));
        #[cfg(unix)]
        assert!(matches!(read(Path::new("/dev/zero")), Err(KeyError::NotAFile(_))));
        let (made, is_new) = read_or_make(&path).unwrap();
        let (found, is_new_again) = read_or_make(&path).unwrap();
        assert_eq!((made.public(), is_new, is_new_again), (found.public(), true, false));
        assert!(matches!(make(&path), Err(KeyError::Exists(_))));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert!(read(&path).unwrap_err().to_string().contains("chmod 600"));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        #[cfg(unix)]
        {
            let link = directory.path().join("link");
            std::os::unix::fs::symlink(directory.path().join("not there"), &link).unwrap();
            assert!(matches!(read(&link), Err(KeyError::Dangling(_))));
            assert!(matches!(make(&link), Err(KeyError::Dangling(_))));
            assert!(matches!(read_or_make(&link), Err(KeyError::Dangling(_))));
        }
        fs::write(&path, "ssh-ed25519 AAAA").unwrap();
        assert!(matches!(read(&path), Err(KeyError::Malformed(_))));
    }
}
