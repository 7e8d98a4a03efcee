//! A file as the store sees it, and the one that browsers give to workers.

use wasm_bindgen::JsValue;
use web_sys::{FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

/// A failed operation on a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FileError {
    /// Write elsewhere; what is stored stays.
    #[error("the browser gives this site no more storage")]
    Full,
    /// The file is of no use any more; in the browser's words.
    #[error("{0}")]
    Failed(String),
}

/// A file that is open here and nowhere else.
pub(crate) trait File {
    /// Reads from `at` on; how many bytes there were.
    fn read(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError>;
    /// Writes all of `bytes` at `at`.
    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), FileError>;
    /// Its length, bytes.
    fn size(&self) -> Result<u64, FileError>;
    /// Cuts or extends it.
    fn truncate(&self, size: u64) -> Result<(), FileError>;
    /// Sees to it that what was written outlasts a crash.
    fn flush(&self) -> Result<(), FileError>;
    /// Lets go of it.
    fn close(&self);
}

impl File for FileSystemSyncAccessHandle {
    fn read(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
        let read = self.read_with_u8_array_and_options(into, &options(at)).map_err(failed)?;
        Ok((read as usize).min(into.len()))
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        let written = self.write_with_u8_array_and_options(bytes, &options(at)).map_err(failed)?;
        // A browser may write what still fits.
        if (written as usize) < bytes.len() { Err(FileError::Full) } else { Ok(()) }
    }

    fn size(&self) -> Result<u64, FileError> {
        Ok(self.get_size().map_err(failed)? as u64)
    }

    fn truncate(&self, size: u64) -> Result<(), FileError> {
        self.truncate_with_f64(size as f64).map_err(failed)
    }

    fn flush(&self) -> Result<(), FileError> {
        Self::flush(self).map_err(failed)
    }

    fn close(&self) {
        Self::close(self);
    }
}

fn options(at: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at_f64(at as f64);
    options
}

/// What a browser's exception means.
pub(crate) fn failed(error: JsValue) -> FileError {
    let text = |name: &str| js_sys::Reflect::get(&error, &name.into()).ok()?.as_string();
    match text("name").as_deref() {
        Some("QuotaExceededError") => FileError::Full,
        _ => FileError::Failed(text("message").unwrap_or_else(|| format!("{error:?}"))),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use super::*;

    type Files = BTreeMap<&'static str, Vec<u8>>;

    /// Files in memory that share a quota, forget what was not flushed in a crash, and can be damaged.
    #[derive(Clone, Default)]
    pub(crate) struct Disk {
        files: Rc<RefCell<Files>>,
        flushed: Rc<RefCell<Files>>,
        quota: Rc<Cell<u64>>,
        pub(crate) is_gone: Rc<Cell<bool>>,
    }

    /// One file of a [`Disk`].
    pub(crate) struct DiskFile {
        disk: Disk,
        name: &'static str,
    }

    impl Disk {
        pub(crate) fn new(quota: u64) -> Self {
            let disk = Self::default();
            disk.quota.set(quota);
            disk
        }

        pub(crate) fn file(&self, name: &'static str) -> DiskFile {
            self.files.borrow_mut().entry(name).or_default();
            DiskFile { disk: self.clone(), name }
        }

        /// What was not flushed is lost.
        pub(crate) fn crash(&self) {
            self.files.borrow_mut().clone_from(&self.flushed.borrow());
        }

        pub(crate) fn set_quota(&self, quota: u64) {
            self.quota.set(quota);
        }

        pub(crate) fn used(&self) -> u64 {
            self.files.borrow().values().map(|file| file.len() as u64).sum()
        }

        pub(crate) fn change(&self, name: &'static str, change: impl FnOnce(&mut Vec<u8>)) {
            change(self.files.borrow_mut().entry(name).or_default());
        }
    }

    impl DiskFile {
        fn check(&self) -> Result<(), FileError> {
            if self.disk.is_gone.get() { Err(FileError::Failed("the file is gone".into())) } else { Ok(()) }
        }
    }

    impl File for DiskFile {
        fn read(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
            self.check()?;
            let files = self.disk.files.borrow();
            let bytes = files[self.name].get(usize::try_from(at).unwrap()..).unwrap_or_default();
            let length = bytes.len().min(into.len());
            into[..length].copy_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn write(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
            self.check()?;
            let (start, used) = (usize::try_from(at).unwrap(), self.disk.used());
            let mut files = self.disk.files.borrow_mut();
            let file = files.get_mut(self.name).unwrap();
            let end = start + bytes.len();
            if used + (end.saturating_sub(file.len())) as u64 > self.disk.quota.get() {
                return Err(FileError::Full);
            }
            if file.len() < end {
                file.resize(end, 0);
            }
            file[start..end].copy_from_slice(bytes);
            Ok(())
        }

        fn size(&self) -> Result<u64, FileError> {
            self.check()?;
            Ok(self.disk.files.borrow()[self.name].len() as u64)
        }

        fn truncate(&self, size: u64) -> Result<(), FileError> {
            self.check()?;
            self.disk.change(self.name, |file| file.resize(usize::try_from(size).unwrap(), 0));
            Ok(())
        }

        fn flush(&self) -> Result<(), FileError> {
            self.check()?;
            let bytes = self.disk.files.borrow()[self.name].clone();
            self.disk.flushed.borrow_mut().insert(self.name, bytes);
            Ok(())
        }

        fn close(&self) {}
    }
}
