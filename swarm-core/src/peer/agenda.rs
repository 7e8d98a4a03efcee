//! Which decisions have to be made again after an input.
//!
//! Most inputs change little: a neighbour gained a group, a ping came. To examine all links after each of them would cost
//! more than everything else together, so the handler of an input notes which decisions depend on it. A timeout examines
//! everything, because time alone changes some decisions, too.

use std::time::Duration;

use crate::id::LinkId;
use crate::time::Timestamp;

/// An initial peer surveys its swarm again after this long even if no neighbour changed, because its own uplink changes.
const SURVEY_INTERVAL: Duration = Duration::from_millis(100);
/// With more links than this, a survey waits a little for further changes: each survey examines all links, and each link
/// changes about once a second.
const SURVEYED_AT_ONCE_MAX: u32 = 128;
/// Wait for each link. A survey of a thousand links takes about a hundredth of its wait.
const SURVEY_WAIT_PER_LINK: Duration = Duration::from_micros(50);

/// The links at which new requests may be possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Asking {
    /// None.
    #[default]
    Nothing,
    /// This one: it gained groups, or has room. `true`: players may need some of them soon.
    Link(LinkId, bool),
    /// All.
    Everything,
}

/// The decisions to make again.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    asking: Asking,
    is_serving: bool,
    is_surveying: bool,
    next_survey: Timestamp,
    surveyed_at: Timestamp,
}

impl Agenda {
    /// Everything is.
    pub(crate) const fn everything(&mut self) {
        self.asking = Asking::Everything;
        self.is_serving = true;
    }

    /// New requests may be possible at any link.
    pub(crate) const fn asking(&mut self) {
        self.asking = Asking::Everything;
    }

    /// New requests may be possible at one link. `is_needed`: also for groups that players need soon.
    pub(crate) fn asking_of(&mut self, link: LinkId, is_needed: bool) {
        self.asking = match self.asking {
            Asking::Nothing => Asking::Link(link, is_needed),
            Asking::Link(other, was_needed) if other == link => Asking::Link(link, is_needed || was_needed),
            Asking::Link(..) | Asking::Everything => Asking::Everything,
        };
    }

    /// The knowledge about the swarm has changed.
    pub(crate) const fn surveying(&mut self) {
        self.is_surveying = true;
    }

    /// Whether to survey the swarm now, with this many links.
    pub(crate) fn take_surveying(&mut self, now: Timestamp, links: u32) -> bool {
        let wait = if links > SURVEYED_AT_ONCE_MAX { SURVEY_WAIT_PER_LINK * links } else { Duration::ZERO };
        let is_due = (self.is_surveying && now >= self.surveyed_at + wait) || now >= self.next_survey;
        if is_due {
            self.is_surveying = false;
            self.surveyed_at = now;
            self.next_survey = now + SURVEY_INTERVAL;
        }
        is_due
    }

    /// Another frame may leave.
    pub(crate) const fn serving(&mut self) {
        self.is_serving = true;
    }

    /// Takes the links at which requests may be possible: the caller examines them now.
    pub(crate) fn take_asking(&mut self) -> Asking {
        std::mem::take(&mut self.asking)
    }

    /// Takes whether a frame may leave: the caller examines it now.
    pub(crate) fn take_serving(&mut self) -> bool {
        std::mem::take(&mut self.is_serving)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_swarm_of_many_links_is_surveyed_a_few_times_a_second_however_often_they_change() {
        let surveys = |links: u32| {
            let mut agenda = Agenda::default();
            let is_due = |ms| {
                agenda.surveying();
                agenda.take_surveying(Timestamp::from_millis(ms), links)
            };
            (1..=1000).map(is_due).filter(|is_due| *is_due).count()
        };
        assert_eq!((surveys(100), surveys(1000)), (1000, 20));
    }

    #[test]
    fn what_two_links_stir_is_everything_and_is_looked_at_once() {
        let mut agenda = Agenda::default();
        agenda.asking_of(LinkId(1), false);
        agenda.asking_of(LinkId(1), true);
        agenda.asking_of(LinkId(1), false);
        assert_eq!(agenda.take_asking(), Asking::Link(LinkId(1), true));
        agenda.asking_of(LinkId(1), false);
        agenda.asking_of(LinkId(2), false);
        assert_eq!(agenda.take_asking(), Asking::Everything);
        assert_eq!((agenda.take_asking(), agenda.take_serving()), (Asking::Nothing, false));
        agenda.everything();
        assert_eq!((agenda.take_asking(), agenda.take_serving()), (Asking::Everything, true));
    }
}
