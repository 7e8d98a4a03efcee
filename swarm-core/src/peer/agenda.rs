//! What is to be looked at again after an input.
//!
//! Most inputs change little: a neighbour gained a group, a ping came. To weigh all links after each would cost more than
//! everything else together, so the handler of an input notes what depends on it. A timeout looks at everything, so that
//! what time alone changes is found, too.

use std::time::Duration;

use crate::id::LinkId;
use crate::time::Timestamp;

/// An initial peer looks at its swarm again after this long even if no neighbour changed: its own uplink does.
const SURVEY_INTERVAL: Duration = Duration::from_millis(100);
/// With more links than this a survey waits a little for further changes: each looks at all links, and each link changes
/// about once a second.
const SURVEYED_AT_ONCE_MAX: u32 = 128;
/// How long it waits, for each link: a survey of a thousand links takes about a hundredth of this.
const SURVEY_WAIT_PER_LINK: Duration = Duration::from_micros(50);

/// Of which links something may be asked that could not be asked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Asking {
    /// None.
    #[default]
    Nothing,
    /// This one: it gained groups, or has room. Whether any is needed soon is to be looked at, too, if `true`.
    Link(LinkId, bool),
    /// All.
    Everything,
}

/// What is to be looked at again.
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

    /// Any link may be asked for more.
    pub(crate) const fn asking(&mut self) {
        self.asking = Asking::Everything;
    }

    /// One link may be asked for more; `is_needed`: for what is needed soon, too.
    pub(crate) fn asking_of(&mut self, link: LinkId, is_needed: bool) {
        self.asking = match self.asking {
            Asking::Nothing => Asking::Link(link, is_needed),
            Asking::Link(other, was_needed) if other == link => Asking::Link(link, is_needed || was_needed),
            Asking::Link(..) | Asking::Everything => Asking::Everything,
        };
    }

    /// What is known of the swarm has changed.
    pub(crate) const fn surveying(&mut self) {
        self.is_surveying = true;
    }

    /// Whether the swarm is to be looked at; there are so many links.
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

    /// Something more may leave.
    pub(crate) const fn serving(&mut self) {
        self.is_serving = true;
    }

    /// What is to be asked; it is looked at now.
    pub(crate) fn take_asking(&mut self) -> Asking {
        std::mem::take(&mut self.asking)
    }

    /// Whether something may leave; it is looked at now.
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
