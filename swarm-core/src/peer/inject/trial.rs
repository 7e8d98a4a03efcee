//! How much of an announced uplink counts.
//!
//! A viewer can announce any number as its uplink. An uplink of a few medians is believed, because honest viewers differ by
//! that much. A larger one is believed at first and tried. Groups that left for such a viewer only must reach the other
//! viewers. For each of them, the groups that it announced are counted; at least half of the others must have announced a
//! small part. So the viewer itself, and viewers that confirm one another's claims, change nothing while they are fewer than
//! half. An uplink that fails the trial counts as those few medians.

use std::collections::BTreeMap;

use crate::group::GroupRange;
use crate::id::LinkId;
use crate::peer::sorted::ByLink;
use crate::peer::tuning::{BELIEVED_TIMES, TRIAL_GROUPS, TRIAL_GROUPS_MAX, TRIAL_SHARE, UPLINK_GUESS};

/// The trial of one viewer that announces a large uplink.
#[derive(Debug, Default)]
struct Trial {
    /// Number of groups that left for it only.
    given: u32,
    /// How many of them each other viewer announced.
    gained: ByLink<u32>,
    is_unproven: bool,
}

/// All viewers that announce much.
#[derive(Debug, Default)]
pub(super) struct Trials {
    by_viewer: ByLink<Trial>,
    /// Groups that left for one of them only.
    only: BTreeMap<u32, LinkId>,
    /// Largest uplink that is believed without a trial, bytes a second.
    believed: u64,
}

impl Trials {
    /// Judges all trials again, by the known uplinks that linked viewers announce, the number of linked viewers, and how many
    /// of them lack something. Returns the third quartile of the believed uplinks, bytes a second.
    pub(super) fn judge(&mut self, known: &mut [(u64, LinkId)], linked: u64, lacking: u64) -> u64 {
        known.sort_unstable();
        let median = known.get(known.len() / 2).map_or(UPLINK_GUESS, |(uplink, _)| *uplink);
        // While few viewers know their uplinks, the median says little about the others.
        let is_known = known.len() as u64 * 2 >= linked.max(1);
        let scale = median.max(if is_known { 1000 } else { UPLINK_GUESS });
        self.believed = scale.saturating_mul(BELIEVED_TIMES);
        let needed = lacking.saturating_sub(1).div_ceil(2);
        for trial in self.by_viewer.values_mut() {
            let has_part = |gained: &u32| u64::from(*gained) * TRIAL_SHARE >= u64::from(trial.given);
            let witnesses = trial.gained.values().iter().filter(|gained| has_part(gained)).count() as u64;
            trial.is_unproven = trial.given >= TRIAL_GROUPS && witnesses < needed;
        }
        known.iter_mut().for_each(|(uplink, link)| *uplink = self.believed(*link, *uplink));
        known.sort_unstable();
        known.get(known.len() * 3 / 4).map_or(UPLINK_GUESS, |(uplink, _)| *uplink)
    }

    /// How much of an announced uplink counts, bytes a second.
    pub(super) fn believed(&self, link: LinkId, announced: u64) -> u64 {
        let is_unproven = self.by_viewer.get(link).is_some_and(|trial| trial.is_unproven);
        if is_unproven { announced.min(self.believed) } else { announced }
    }

    /// Groups left for a viewer only, which announces this uplink.
    pub(super) fn given(&mut self, link: LinkId, range: GroupRange, announced: u64) {
        if announced <= self.believed {
            return;
        }
        let trial = self.by_viewer.entry(link, Trial::default);
        trial.given = trial.given.saturating_add(range.len());
        // The past counts less, and memory is bounded.
        if trial.given > TRIAL_GROUPS_MAX {
            trial.given /= 2;
            trial.gained.values_mut().iter_mut().for_each(|gained| *gained /= 2);
            self.only.retain(|_, receiver| *receiver != link);
        }
        self.only.extend(range.iter().map(|group| (group, link)));
    }

    /// Groups leave again: they say nothing more about their first receiver.
    pub(super) fn repeated(&mut self, range: GroupRange) {
        self.only.extract_if(range.start..range.end, |_, _| true).for_each(drop);
    }

    /// A viewer announced groups.
    pub(super) fn announced(&mut self, witness: LinkId, gained: &[GroupRange]) {
        for range in gained {
            for (_, receiver) in self.only.range(range.start..range.end.max(range.start)) {
                if *receiver != witness
                    && let Some(trial) = self.by_viewer.value_mut(*receiver)
                {
                    *trial.gained.entry(witness, || 0) += 1;
                }
            }
        }
    }

    /// A viewer left.
    pub(super) fn closed(&mut self, link: LinkId) {
        self.by_viewer.remove(link);
        self.by_viewer.values_mut().iter_mut().for_each(|trial| _ = trial.gained.remove(link));
        self.only.retain(|_, receiver| *receiver != link);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const BOAST: u64 = u64::MAX;
    const BOASTER: LinkId = LinkId(1);

    /// Eight viewers of 100,000 bytes a second and the boaster.
    fn known() -> Vec<(u64, LinkId)> {
        [(BOAST, BOASTER)].into_iter().chain((2..=9).map(|link| (100_000, LinkId(link)))).collect()
    }

    /// They, after groups left for the boaster only.
    fn trial(groups: u32) -> Trials {
        let mut trials = Trials::default();
        trials.judge(&mut known(), 9, 9);
        (0..groups).for_each(|group| trials.given(BOASTER, GroupRange::one(group), BOAST));
        trials
    }

    fn believed(trials: &mut Trials) -> u64 {
        trials.judge(&mut known(), 9, 9);
        trials.believed(BOASTER, BOAST)
    }

    #[test]
    fn a_boast_is_believed_until_it_was_tried_and_then_for_four_medians() {
        assert_eq!(believed(&mut trial(TRIAL_GROUPS - 1)), BOAST);
        let mut trials = trial(TRIAL_GROUPS);
        trials.announced(BOASTER, &[GroupRange::new(0, TRIAL_GROUPS)]);
        assert_eq!(believed(&mut trials), 400_000, "its own word does not count");
        assert_eq!(trials.believed(BOASTER, 90_000), 90_000);
        assert_eq!(trials.believed(LinkId(2), BOAST), BOAST, "another was not given anything");
    }

    #[test]
    fn half_of_the_others_must_have_got_a_part_and_a_few_that_vouch_for_each_other_do_not_suffice() {
        let mut trials = trial(2 * TRIAL_GROUPS);
        (2..=4).for_each(|witness| trials.announced(LinkId(witness), &[GroupRange::new(0, TRIAL_GROUPS)]));
        trials.announced(LinkId(5), &[GroupRange::one(0)]);
        assert_eq!(believed(&mut trials), 400_000, "three of eight, however much; one group is too little");
        trials.announced(LinkId(5), &[GroupRange::one(1)]);
        assert_eq!(believed(&mut trials), BOAST);
        trials.closed(LinkId(5));
        assert_eq!(believed(&mut trials), 400_000);
        // If few viewers lack anything, few can announce the groups.
        trials.judge(&mut known(), 9, 5);
        assert_eq!(trials.believed(BOASTER, BOAST), BOAST);
    }

    #[test]
    fn groups_that_left_again_say_nothing_and_what_is_kept_is_bounded() {
        let mut trials = trial(TRIAL_GROUPS);
        trials.repeated(GroupRange::new(0, TRIAL_GROUPS));
        (2..=9).for_each(|witness| trials.announced(LinkId(witness), &[GroupRange::new(0, TRIAL_GROUPS)]));
        assert_eq!(believed(&mut trials), 400_000);
        (0..100_000).for_each(|group| trials.given(BOASTER, GroupRange::one(group), BOAST));
        assert!(trials.only.len() <= TRIAL_GROUPS_MAX as usize, "{}", trials.only.len());
        trials.closed(BOASTER);
        assert!(trials.only.is_empty() && trials.by_viewer.is_empty());
    }

    #[test]
    fn who_stops_passing_on_is_found_out() {
        let mut trials = trial(TRIAL_GROUPS);
        (2..=9).for_each(|witness| trials.announced(LinkId(witness), &[GroupRange::new(0, TRIAL_GROUPS)]));
        assert_eq!(believed(&mut trials), BOAST);
        (1000..3000).for_each(|group| trials.given(BOASTER, GroupRange::one(group), BOAST));
        assert_eq!(believed(&mut trials), 400_000);
    }

    #[test]
    fn where_few_know_their_uplinks_the_scale_is_a_usual_one() {
        let mut trials = Trials::default();
        for (known, linked, scale) in
            [(&[1_000][..], 9, UPLINK_GUESS), (&[], 0, UPLINK_GUESS), (&[0, 0], 2, 1000)]
        {
            let mut known: Vec<_> = known.iter().map(|uplink| (*uplink, BOASTER)).collect();
            trials.judge(&mut known, linked, linked);
            assert_eq!(trials.believed, scale * BELIEVED_TIMES);
        }
    }
}
