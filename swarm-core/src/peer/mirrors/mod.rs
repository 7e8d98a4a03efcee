//! Mirrors: HTTP servers as neighbours of another kind. Owns the fetches from each, and which mirrors are still used.
//!
//! `receive` decides which groups are requested from a mirror. Its ledger counts them like requests of a link: each mirror has
//! a [`LinkId`] there. The tree verifies a group that came, with pages of the tree file that are fetched beside it. A failure
//! ends all fetches of its mirror, which is not asked for a while. A mirror that sends wrong bytes is not used any more.

mod error;
mod server;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use error::{AnswerHead, MirrorError};
use server::Server;

use super::chance::Chance;
use super::content::Content;
use super::input::MirrorUse;
use super::sorted::Sorted;
use super::stats::{MirrorState, MirrorStats};
use super::tuning::{FETCH_TIMEOUT_MAX, FETCH_TIMEOUT_MIN, MIRROR_ALONE_AFTER, MIRROR_BACKGROUND_AFTER};
use crate::group::{Geometry, GroupRange};
use crate::id::LinkId;
use crate::limits::FRAME_GROUPS_MAX;
use crate::manifest::{Manifest, MirrorPolicy};
use crate::time::Timestamp;
use crate::tree::{Proof, Verified, sidecar};

/// Names one fetch from a mirror, towards the driver only. Never reused within one `Peer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// One range of one file over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeFetch {
    /// Its id, which the answer repeats.
    pub fetch: FetchId,
    /// Address of the file.
    pub url: Arc<str>,
    /// Range of bytes of the file; never empty.
    pub bytes: Range<u64>,
    /// Length of the whole file.
    pub file_bytes: u64,
    /// After this long the answer is no longer waited for.
    pub timeout: Duration,
}

/// The purpose of a fetch.
#[derive(Debug)]
enum Part {
    /// Groups, with their bytes once these have come and wait for the tree.
    Groups(GroupRange, Option<Bytes>),
    /// Pages of the tree.
    Pages(GroupRange),
}

/// A fetch that is under way, or whose bytes wait for the tree.
#[derive(Debug)]
struct Fetch {
    server: usize,
    part: Part,
    length: u64,
    expires_at: Timestamp,
}

/// What follows from an answer.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Groups that came, each with the mirror that sent them.
    pub(crate) verified: Vec<(LinkId, Verified)>,
    /// Groups that do not come after all.
    pub(crate) missed: Vec<(LinkId, GroupRange)>,
    /// Fetches that are given up.
    pub(crate) aborted: Vec<FetchId>,
    /// A mirror that sent wrong bytes, with its host.
    pub(crate) liar: Option<String>,
}

/// All mirrors of a content.
#[derive(Debug)]
pub(crate) struct Mirrors {
    policy: MirrorPolicy,
    servers: Vec<Server>,
    fetches: Sorted<FetchId, Fetch>,
    last_fetch: u64,
    /// Since when no link has been open.
    alone_since: Option<Timestamp>,
    /// The peer left: no fetch begins any more.
    has_left: bool,
}

impl Mirrors {
    /// The mirrors that the manifest names, as far as they are to be used.
    pub(crate) fn new(manifest: &Manifest, used: MirrorUse) -> Self {
        let is_used = |local: bool| match used {
            MirrorUse::Off => false,
            MirrorUse::Public => !local,
            MirrorUse::All => true,
        };
        let named = manifest.mirrors.servers.iter().filter(|mirror| is_used(mirror.is_local()));
        let servers = (0..).zip(named).map(|(place, mirror)| Server::new(LinkId::of_mirror(place), mirror));
        Self {
            policy: manifest.mirrors.policy,
            servers: servers.collect(),
            fetches: Sorted::new(),
            last_fetch: 0,
            alone_since: None,
            has_left: false,
        }
    }

    pub(crate) const fn policy(&self) -> MirrorPolicy {
        self.policy
    }

    /// The names of the mirrors in the ledger.
    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> + '_ {
        self.servers.iter().map(|server| server.link)
    }

    /// The peer leaves: ends all fetches and begins no more.
    pub(crate) fn leave(&mut self) -> Vec<FetchId> {
        self.has_left = true;
        std::mem::take(&mut self.fetches).keys().to_vec()
    }

    /// Notes whether a link is open. Returns for how long none has been.
    pub(crate) fn alone_for(&mut self, now: Timestamp, is_alone: bool) -> Duration {
        if !is_alone {
            self.alone_since = None;
            return Duration::ZERO;
        }
        now.since(*self.alone_since.get_or_insert(now))
    }

    /// The mirror to ask next: among those that may be asked, the one that was asked for least in proportion to its weight.
    pub(crate) fn choose(&self, now: Timestamp) -> Option<LinkId> {
        let has_room = |place: usize, server: &Server| {
            let open = self.fetches.values().iter().filter(|fetch| fetch.server == place);
            open.filter(|fetch| matches!(fetch.part, Part::Groups(..))).count() < server.fetches_max()
        };
        let free = self.askable(now).filter(|(place, server)| has_room(*place, server));
        free.min_by_key(|(place, server)| (server.load(), *place)).map(|(_, server)| server.link)
    }

    /// A mirror that may be asked, perhaps only after its present fetches.
    pub(crate) fn usable(&self, now: Timestamp) -> Option<LinkId> {
        self.askable(now).min_by_key(|(_, server)| server.load()).map(|(_, server)| server.link)
    }

    /// The mirrors that may be asked: those that failed lately only if there are no others.
    fn askable(&self, now: Timestamp) -> impl Iterator<Item = (usize, &Server)> {
        let usable = move |server: &Server| server.is_usable(now) && !self.has_left;
        let is_sure = self.servers.iter().any(|server| usable(server) && !server.is_doubted(now));
        let servers = self.servers.iter().enumerate();
        servers.filter(move |(_, server)| usable(server) && (!is_sure || !server.is_doubted(now)))
    }

    /// Requests groups from a mirror, with the pages of the tree that they need, at an expected rate in bytes a second.
    pub(crate) fn begin(
        &mut self,
        now: Timestamp,
        (link, rate): (LinkId, u64),
        range: GroupRange,
        content: &Content,
    ) -> Vec<RangeFetch> {
        let Some(place) = self.servers.iter().position(|server| server.link == link) else {
            return Vec::new();
        };
        let geometry = content.geometry();
        let mut begun = Vec::new();
        let lacks_pages = !content.tree().knows_groups(range) && !self.is_fetching_pages(place, range);
        let pages = sidecar::covered(geometry, range);
        let parts = lacks_pages.then_some(Part::Pages(pages)).into_iter().chain([Part::Groups(range, None)]);
        for part in parts {
            let (bytes, file_bytes) = part.place(geometry);
            let length = bytes.end - bytes.start;
            self.last_fetch += 1;
            let fetch = FetchId(self.last_fetch);
            let Some(server) = self.servers.get_mut(place) else { continue };
            server.asked(length);
            let url = match part {
                Part::Groups(..) => &server.file_url,
                Part::Pages(_) => &server.tree_url,
            };
            let expected = Duration::from_micros(length * 1_000_000 / rate.max(1));
            let timeout = (expected * 4).clamp(FETCH_TIMEOUT_MIN, FETCH_TIMEOUT_MAX);
            begun.push(RangeFetch { fetch, url: Arc::clone(url), bytes, file_bytes, timeout });
            let begin = || Fetch { server: place, part, length, expires_at: now + timeout };
            self.fetches.entry(fetch, begin);
        }
        begun
    }

    fn is_fetching_pages(&self, place: usize, range: GroupRange) -> bool {
        let own = self.fetches.values().iter().filter(|fetch| fetch.server == place);
        own.filter_map(|fetch| match fetch.part {
            Part::Pages(pages) => Some(pages),
            Part::Groups(..) => None,
        })
        .any(|pages| pages.and(range) == range)
    }

    /// A fetch was answered. Only verified bytes leave this component.
    pub(crate) fn fetched(
        &mut self,
        now: Timestamp,
        (id, result): (FetchId, Result<Bytes, MirrorError>),
        content: &mut Content,
        chance: &mut Chance,
    ) -> Outcome {
        // A fetch that was given up may still be answered.
        let Some(fetch) = self.fetches.value_mut(id) else { return Outcome::default() };
        let place = fetch.server;
        let result = result.and_then(|bytes| {
            let came = bytes.len() as u64;
            let expected = fetch.length;
            if came == expected { Ok(bytes) } else { Err(MirrorError::Short { expected, came }) }
        });
        let result = result.and_then(|bytes| match &mut fetch.part {
            Part::Groups(_, body) => {
                *body = Some(bytes);
                Ok(false)
            }
            Part::Pages(pages) => {
                content.learn_pages(*pages, &bytes).map(|()| true).map_err(|_| MirrorError::Corrupt)
            }
        });
        match result {
            Ok(is_done) => {
                if is_done {
                    self.fetches.remove(id);
                }
                self.verify(now, place, content, chance)
            }
            Err(error) => self.failed(now, place, error, chance),
        }
    }

    /// Verifies the groups from a mirror that need no further page.
    fn verify(
        &mut self,
        now: Timestamp,
        place: usize,
        content: &mut Content,
        chance: &mut Chance,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(link) = self.servers.get(place).map(|server| server.link) else { return outcome };
        let is_ready = |fetch: &Fetch| match &fetch.part {
            Part::Groups(range, Some(_)) => fetch.server == place && content.tree().knows_groups(*range),
            Part::Groups(_, None) | Part::Pages(_) => false,
        };
        let ready: Vec<FetchId> =
            self.fetches.iter().filter(|(_, fetch)| is_ready(fetch)).map(|(id, _)| id).collect();
        for id in ready {
            let Some(Fetch { part: Part::Groups(range, Some(body)), .. }) = self.fetches.remove(id) else {
                continue;
            };
            for start in range.iter().step_by(FRAME_GROUPS_MAX as usize) {
                let part = GroupRange::new(start, start.saturating_add(FRAME_GROUPS_MAX)).and(range);
                match verified(content, range, part, &body) {
                    Some(verified) => outcome.verified.push((link, verified)),
                    None => {
                        let rest = GroupRange::new(start, range.end);
                        let mut failed = self.failed(now, place, MirrorError::Corrupt, chance);
                        failed.missed.push((link, rest));
                        failed.verified = outcome.verified;
                        return failed;
                    }
                }
            }
            if let Some(server) = self.servers.get_mut(place) {
                server.delivered(content.geometry().len_bytes(range));
            }
        }
        outcome
    }

    /// A mirror failed: all its fetches are given up.
    fn failed(&mut self, now: Timestamp, place: usize, error: MirrorError, chance: &mut Chance) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(server) = self.servers.get_mut(place) else { return outcome };
        if error == MirrorError::Corrupt {
            outcome.liar = Some(server.host.clone());
        }
        server.failed(now, error, chance);
        let link = server.link;
        let own = self.fetches.iter().filter(|(_, fetch)| fetch.server == place);
        outcome.aborted = own.map(|(id, _)| id).collect();
        for id in &outcome.aborted {
            if let Some(Fetch { part: Part::Groups(range, _), .. }) = self.fetches.remove(*id) {
                outcome.missed.push((link, range));
            }
        }
        outcome
    }

    /// Fetches that took too long fail.
    pub(crate) fn expire(&mut self, now: Timestamp, chance: &mut Chance) -> Vec<Outcome> {
        let mut late: Vec<usize> = self
            .fetches
            .values()
            .iter()
            .filter(|fetch| now >= fetch.expires_at)
            .map(|fetch| fetch.server)
            .collect();
        late.dedup();
        late.into_iter().map(|place| self.failed(now, place, MirrorError::Slow, chance)).collect()
    }

    /// Gives up the fetches of a mirror for which no group is awaited any more.
    pub(crate) fn give_up(&mut self, link: LinkId, is_awaited: impl Fn(GroupRange) -> bool) -> Vec<FetchId> {
        let Some(place) = self.servers.iter().position(|server| server.link == link) else {
            return Vec::new();
        };
        let is_idle = |fetch: &Fetch| match fetch.part {
            Part::Groups(range, _) => fetch.server == place && !is_awaited(range),
            Part::Pages(_) => false,
        };
        let idle: Vec<FetchId> =
            self.fetches.iter().filter(|(_, fetch)| is_idle(fetch)).map(|(id, _)| id).collect();
        idle.iter().for_each(|id| drop(self.fetches.remove(*id)));
        idle
    }

    /// When the next deadline is.
    pub(crate) fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        if self.has_left {
            return None;
        }
        let expiries = self.fetches.values().iter().map(|fetch| fetch.expires_at);
        let resumptions = self.servers.iter().filter_map(|server| server.resumes_at(now));
        let since = self.alone_since.filter(|_| !self.servers.is_empty());
        let stages =
            since.into_iter().flat_map(|since| [since + MIRROR_ALONE_AFTER, since + MIRROR_BACKGROUND_AFTER]);
        expiries.chain(resumptions).chain(stages.filter(|at| *at > now)).min()
    }

    /// The statistics of each mirror. `rate`: its measured rate, bytes a second.
    pub(crate) fn stats(&self, rate: impl Fn(LinkId) -> Option<u64>) -> Vec<MirrorStats> {
        let is_open = |place| self.fetches.values().iter().any(|fetch| fetch.server == place);
        let state = |(place, server): (usize, &Server)| match server {
            _ if server.is_lost => MirrorState::Lost,
            _ if server.word.is_some() => MirrorState::Failing,
            _ if is_open(place) => MirrorState::Fetching,
            _ => MirrorState::Idle,
        };
        let told = |(place, server): (usize, &Server)| MirrorStats {
            host: server.host.clone(),
            state: state((place, server)),
            received: server.received_bytes,
            rate: rate(server.link).unwrap_or(0),
            word: server.word.as_ref().map(ToString::to_string),
        };
        self.servers.iter().enumerate().map(told).collect()
    }
}

impl Part {
    /// The bytes of its file, and the length of that.
    fn place(&self, geometry: Geometry) -> (Range<u64>, u64) {
        match self {
            Self::Groups(range, _) => (geometry.bytes(*range), geometry.length_bytes()),
            Self::Pages(pages) => (sidecar::span(geometry, *pages), sidecar::file_bytes(geometry)),
        }
    }
}

/// A part of a range whose groups' nodes are known, if its bytes are the content's.
fn verified(content: &mut Content, range: GroupRange, part: GroupRange, body: &Bytes) -> Option<Verified> {
    let geometry = content.geometry();
    let from = geometry.offset(range.start);
    let bytes = geometry.bytes(part);
    let at = |offset: u64| usize::try_from(offset - from).ok();
    let (start, end) = (at(bytes.start)?, at(bytes.end)?);
    let bytes = (end <= body.len()).then(|| body.slice(start..end))?;
    content.verify(part, &Proof { top: 0, hashes: Vec::new() }, bytes).ok()
}

#[cfg(test)]
mod tests;
