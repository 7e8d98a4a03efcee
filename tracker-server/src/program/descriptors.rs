//! The limit on open files. Each connection takes one; many systems start programs with a soft limit of 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files beside connections: listeners, the page, the store on disk, the runtime.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit to what is allowed, and warns if that does not suffice for so many connections.
pub(crate) fn raise(connections_max: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!("the limit on open files cannot be raised: {error}");
            limit.current
        }
    };
    let needed = u64::try_from(connections_max).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    if current.is_some_and(|current| current < needed) {
        tracing::warn!(
            "the limit on open files is {}, but --connections-max {connections_max} needs {needed}: raise it \
             (LimitNOFILE= of systemd, ulimit -Hn)",
            current.unwrap_or_default()
        );
    }
}
