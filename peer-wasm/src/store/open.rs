//! Asks the browser for files: folder, lock, quota.
//!
//! ```text
//! tributary/SWARM/{content, index0, index1, about}
//! ```
//!
//! One tab has the files of a content, the one with the lock of its swarm; a worker's locks end with it. A page that was
//! reloaded may start before the worker of the page before it has ended, so it waits a while. Where there is no such file
//! system (private windows of some browsers, old ones) or the lock is another tab's, there are no files.

use js_sys::{Function, Promise, Reflect};
use swarm_core::SwarmId;
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{
    AbortSignal, DedicatedWorkerGlobalScope, FileSystemDirectoryHandle, FileSystemFileHandle,
    FileSystemGetDirectoryOptions, FileSystemGetFileOptions, FileSystemRemoveOptions,
    FileSystemSyncAccessHandle, StorageManager,
};

use super::about::{ABOUT_BYTES_MAX, About, Stored, giving_way, room};
use super::disk::{Files, Given};
use super::file::File;

/// The folder of all contents.
const FOLDER: &str = "tributary";

/// Of the quota, contents take at most one part in so many: other things of the site need some, too…
const QUOTA_SHARE: u64 = 10;
/// …and at most this: about four films.
const STORED_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// How long a reloaded page waits for the page before it to let go, ms.
const RELOAD_PATIENCE_MS: u32 = 4000;
/// How long any other page waits, ms: a tab of the same content may have the lock for hours.
const PATIENCE_MS: u32 = 250;

/// The worker of the page before may let go of its lock some ms before its files. How often they are asked for, and how long
/// after one another, ms: two seconds.
const FILE_ATTEMPTS: u32 = 100;
const FILE_PAUSE_MS: i32 = 20;

/// Contents that are listed at most.
const FOLDERS_MAX: usize = 1000;

/// The files of a content, and what they hold.
pub(crate) struct Storage {
    pub(super) given: Given,
    folder: FileSystemDirectoryHandle,
    swarm: SwarmId,
    others: Vec<Stored>,
    total_bytes_max: u64,
}

impl Storage {
    /// The stored manifest, as bytes.
    pub(crate) fn manifest(&self) -> Option<Vec<u8>> {
        self.given.saved.as_ref().map(|index| index.manifest.clone())
    }

    /// Removes other contents for one of this length; those that are open in other tabs stay.
    pub(crate) fn make_room(&mut self, length_bytes: u64) -> impl Future<Output = ()> + use<> {
        let needed_bytes = length_bytes.min(self.given.cap_bytes);
        let folders = giving_way(self.total_bytes_max, needed_bytes, std::mem::take(&mut self.others));
        let folder = self.folder.clone();
        async move {
            let options = FileSystemRemoveOptions::new();
            options.set_recursive(true);
            for name in folders {
                let _ = JsFuture::from(folder.remove_entry_with_options(&name, &options)).await;
            }
        }
    }
}

impl From<Storage> for Given {
    fn from(storage: Storage) -> Self {
        storage.given
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("swarm", &self.swarm).finish_non_exhaustive()
    }
}

#[wasm_bindgen]
extern "C" {
    /// `navigator.locks`, which web-sys has only among what is not stable.
    type Locks;

    #[wasm_bindgen(method, catch)]
    fn request(this: &Locks, name: &str, options: &JsValue, granted: &Function) -> Result<Promise, JsValue>;
}

/// The files of a content, if this tab gets them.
pub(crate) async fn open(
    scope: DedicatedWorkerGlobalScope,
    swarm: SwarmId,
    is_reload: bool,
) -> Option<Storage> {
    let navigator = scope.navigator();
    let device = property(&navigator, "storage").filter(|device| has_function(device, "getDirectory"))?;
    let locks = property(&navigator, "locks").filter(|locks| has_function(locks, "request"))?;
    let patience_ms = if is_reload { RELOAD_PATIENCE_MS } else { PATIENCE_MS };
    if !is_locked(&locks.unchecked_into(), &format!("tributary {swarm}"), patience_ms).await {
        return None;
    }
    let device: StorageManager = device.unchecked_into();
    open_content(&scope, &device, swarm).await.ok()
}

async fn open_content(
    scope: &DedicatedWorkerGlobalScope,
    device: &StorageManager,
    swarm: SwarmId,
) -> Result<Storage, JsValue> {
    // Each answer of the browser takes some ms, and playback waits for the last: what can be asked at once is.
    let estimate = device.estimate()?;
    let root: FileSystemDirectoryHandle = JsFuture::from(device.get_directory()).await?.dyn_into()?;
    let root = folder_in(&root, FOLDER).await?;
    let name = swarm.to_string();
    let own = folder_in(&root, &name).await?;
    // Who has the first file has them all. If all were asked for at once while a page before has them, each would fail.
    let content = first_file(scope, &own).await?;
    let rest = ["index0", "index1", "about"].map(|name| open_file(own.clone(), name));
    let others = stored_in(&root, &name).await;
    let quota_bytes = quota_bytes(estimate).await;
    let [index0, index1, about] = rest;
    let (index0, index1, about) = (opened(index0).await, opened(index1).await, opened(about).await);
    let (others, quota_bytes, index, about) = match (others, quota_bytes, index0, index1, about) {
        (Ok(others), Ok(quota_bytes), Ok(index0), Ok(index1), Ok(about)) => {
            (others, quota_bytes, [index0, index1], about)
        }
        (_, _, index0, index1, about) => {
            // A file that is not closed stays open for as long as the browser likes.
            [Ok(content), index0, index1, about].into_iter().flatten().for_each(|file| file.close());
            return Err("the files of this content cannot be opened".into());
        }
    };
    let is_kept = about_of(&*about).is_some_and(|about| about.is_kept);
    let files = Files { content, index, about };
    let saved = files.saved();
    let total_bytes_max = (quota_bytes / QUOTA_SHARE).min(STORED_BYTES_MAX);
    let cap_bytes = room(total_bytes_max, &others);
    let given = Given { files, saved, cap_bytes, is_kept };
    Ok(Storage { given, folder: root, swarm, others, total_bytes_max })
}

fn about_of(file: &dyn File) -> Option<About> {
    let length = file.size().ok()?.min(ABOUT_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read(0, &mut bytes).ok()?;
    About::read(&bytes)
}

async fn quota_bytes(estimate: Promise) -> Result<u64, JsValue> {
    let estimate = JsFuture::from(estimate).await?;
    let quota = Reflect::get(&estimate, &"quota".into())?.as_f64().unwrap_or(0.0);
    Ok(quota as u64)
}

/// The other contents that are stored.
async fn stored_in(root: &FileSystemDirectoryHandle, own: &str) -> Result<Vec<Stored>, JsValue> {
    let mut others = Vec::new();
    let names = root.keys();
    for _ in 0..FOLDERS_MAX {
        let step = JsFuture::from(names.next()?).await?;
        let Some(name) = Reflect::get(&step, &"value".into())?.as_string() else { break };
        if name != own {
            // One that cannot be read now takes what it takes.
            others.extend(stored(root, &name).await.ok());
        }
    }
    Ok(others)
}

async fn stored(root: &FileSystemDirectoryHandle, name: &str) -> Result<Stored, JsValue> {
    let folder: FileSystemDirectoryHandle =
        JsFuture::from(root.get_directory_handle(name)).await?.dyn_into()?;
    let mut bytes = 0;
    for file in ["content", "index0", "index1"] {
        bytes += read_file(&folder, file).await.map_or(0, |file| size_of(&file));
    }
    let about = match read_file(&folder, "about").await {
        Ok(file) => {
            let text: Function = Reflect::get(&file, &"text".into())?.dyn_into()?;
            let text = JsFuture::from(text.call0(&file)?.dyn_into::<Promise>()?).await?;
            text.as_string().and_then(|text| About::read(text.as_bytes()))
        }
        Err(_) => None,
    };
    let about = about.unwrap_or_default();
    Ok(Stored { folder: name.to_owned(), bytes, watched_ms: about.watched_ms, is_kept: about.is_kept })
}

fn size_of(file: &JsValue) -> u64 {
    Reflect::get(file, &"size".into()).ok().and_then(|size| size.as_f64()).unwrap_or(0.0) as u64
}

/// A file as it is now, to be read.
async fn read_file(folder: &FileSystemDirectoryHandle, name: &str) -> Result<JsValue, JsValue> {
    let handle: FileSystemFileHandle = JsFuture::from(folder.get_file_handle(name)).await?.dyn_into()?;
    JsFuture::from(handle.get_file()).await
}

async fn folder_in(
    parent: &FileSystemDirectoryHandle,
    name: &str,
) -> Result<FileSystemDirectoryHandle, JsValue> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    JsFuture::from(parent.get_directory_handle_with_options(name, &options)).await?.dyn_into()
}

/// Begins to open a file.
fn open_file(folder: FileSystemDirectoryHandle, name: &'static str) -> Promise {
    future_to_promise(async move {
        let options = FileSystemGetFileOptions::new();
        options.set_create(true);
        let handle = JsFuture::from(folder.get_file_handle_with_options(name, &options)).await?;
        let handle: FileSystemFileHandle = handle.dyn_into()?;
        JsFuture::from(handle.create_sync_access_handle()).await
    })
}

/// The file that is opened before the others.
async fn first_file(
    scope: &DedicatedWorkerGlobalScope,
    folder: &FileSystemDirectoryHandle,
) -> Result<Box<dyn File>, JsValue> {
    let mut attempts = 1;
    loop {
        match opened(open_file(folder.clone(), "content")).await {
            Err(error) if attempts < FILE_ATTEMPTS && is_in_use(&error) => {
                attempts += 1;
                let pause = Promise::new(&mut |resolve, _| {
                    _ = scope.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, FILE_PAUSE_MS);
                });
                JsFuture::from(pause).await?;
            }
            answer => return answer,
        }
    }
}

/// Whether a file cannot be opened because it is open elsewhere.
fn is_in_use(error: &JsValue) -> bool {
    let name = Reflect::get(error, &"name".into()).ok().and_then(|name| name.as_string());
    name.as_deref() == Some("NoModificationAllowedError")
}

async fn opened(file: Promise) -> Result<Box<dyn File>, JsValue> {
    Ok(Box::new(JsFuture::from(file).await?.dyn_into::<FileSystemSyncAccessHandle>()?))
}

/// Whether this tab got the lock: at once if it is free, however long the browser takes to answer; else within a time. It
/// has it until its worker ends.
async fn is_locked(locks: &Locks, name: &str, patience_ms: u32) -> bool {
    take_lock(locks, name, ("ifAvailable", JsValue::TRUE)).await
        || take_lock(locks, name, ("signal", AbortSignal::timeout_with_u32(patience_ms).into())).await
}

/// Whether the browser granted the lock with this option.
async fn take_lock(locks: &Locks, name: &str, (option, value): (&str, JsValue)) -> bool {
    let options = js_sys::Object::new();
    let _ = Reflect::set(&options, &option.into(), &value);
    let answer = Promise::new(&mut |resolve, _| {
        let granted = {
            let resolve = resolve.clone();
            // Without a lock if it is not free.
            Closure::once_into_js(move |lock: JsValue| {
                let is_granted = lock.is_object();
                let _ = resolve.call1(&JsValue::NULL, &is_granted.into());
                // Never settles: the lock is held until the worker ends.
                is_granted.then(|| Promise::new(&mut |_, _| {}))
            })
        };
        let denied = Closure::once_into_js(move |_: JsValue| {
            let _ = resolve.call1(&JsValue::NULL, &JsValue::FALSE);
        });
        match locks.request(name, &options, granted.unchecked_ref()) {
            Ok(request) => {
                let then: Result<Function, _> =
                    Reflect::get(&request, &"catch".into()).and_then(|catch| catch.dyn_into());
                if let Ok(catch) = then {
                    let _ = catch.call1(&request, &denied);
                }
            }
            Err(_) => {
                let _ = denied.unchecked_ref::<Function>().call1(&JsValue::NULL, &JsValue::NULL);
            }
        }
    });
    JsFuture::from(answer).await.is_ok_and(|answer| answer.is_truthy())
}

fn property(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &name.into()).ok().filter(|value| value.is_object())
}

fn has_function(object: &JsValue, name: &str) -> bool {
    Reflect::get(object, &name.into()).is_ok_and(|value| value.is_function())
}
