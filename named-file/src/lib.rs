//! Files that people name: how much of them is read, and of which kind they may be.
//!
//! ```
//! let read = |path: &str| named_file::ordinary(path.as_ref()).map_err(|error| error.to_string());
//! assert!(read("/").unwrap_err().contains("name a file"));
//! ```
//! A device is without end, so each file has a greatest length. One that is read several times must be an ordinary file: a pipe
//! gives its bytes once, and opening it can wait for ever.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Greatest length of such a file, bytes: keys and certificates have a few KiB, a thousand rules some hundred.
pub const BYTES_MAX: u64 = 1024 * 1024;

/// What an ordinary file holds, and its properties. Never waits for another program.
pub fn ordinary(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let text = "it is not an ordinary file, but a pipe, a device or a folder; name a file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok((bounded(file)?, metadata))
}

/// What a file holds that is read once. It may be a pipe.
pub fn any(path: &Path) -> io::Result<Vec<u8>> {
    bounded(File::open(path)?)
}

/// The same as text.
pub fn text(bytes: Vec<u8>) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8");
    String::from_utf8(bytes).map_err(not_text)
}

/// What an open file holds.
pub fn bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use super::*;

    #[cfg(unix)]
    #[test]
    fn devices_and_long_files_are_refused_and_not_read_to_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("long");
        File::create(&long).unwrap().set_len(1 << 40).unwrap();
        for path in [&long, Path::new("/dev/zero")] {
            let error = any(path).unwrap_err().to_string();
            assert!(error.contains("longer than 1 MiB"), "{error}");
        }
        assert!(ordinary(&long).is_err());
        std::fs::write(&long, [0xff]).unwrap();
        let (bytes, _) = ordinary(&long).unwrap();
        assert!(text(bytes).unwrap_err().to_string().contains("UTF-8"));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_read_again_is_an_ordinary_file_and_a_pipe_does_not_hold_it_up() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        // Nobody writes to it.
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            let error = ordinary(path).unwrap_err().to_string();
            assert!(error.contains("not an ordinary file"), "{}: {error}", path.display());
        }
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(ordinary(&link).unwrap().0, b"text", "secrets of containers are links");
    }
}
