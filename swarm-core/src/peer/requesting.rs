//! Asking: goes through what is needed, class by class, and requests it of the links that the picker names.

use std::time::Duration;

use super::demand::Need;
use super::input::Appetite;
use super::link::Link;
use super::output::Output;
use super::picker::View;
use super::{Demand, Holdings, Peer};
use crate::group::GroupRange;
use crate::id::LinkId;
use crate::limits::{GROUP_BYTES, NEED_RANGES_MAX, REQUEST_GROUPS_MAX};
use crate::manifest::{PRIORITY_DEFAULT, Period};
use crate::peer_message::{Class, PeerMessage, Serving};
use crate::time::Timestamp;

/// One window pick in this many takes the rarest group instead of the earliest, so that neighbours who
/// play the same part have something to give one another.
const RAREST_EVERY: u32 = 4;
/// Needs that last are told again after this long.
const NEED_INTERVAL: Duration = Duration::from_millis(500);
/// Of a viewer's budget this share lies ahead of the playhead; the rest is what was played, for others.
const AHEAD_SHARE: (u64, u64) = (3, 4);

impl Peer {
    /// Requests whatever is needed and can be asked for now.
    pub(super) fn request_more(&mut self, now: Timestamp) {
        self.advice.pass(now);
        let Some(demand) = self.demand.as_ref().filter(|_| !self.is_complete_told) else { return };
        let needs = demand.needs(now);
        self.look_for(now, &needs);
        if !self.links.values().any(|link| link.is_provider()) {
            return;
        }
        needs.iter().for_each(|need| self.hasten(need));
        needs.iter().for_each(|need| self.release_late(now, need));
        self.request_needed(now, &needs);
        if self.has_room(Class::Window) {
            self.request_marked(now);
            // Costs a look at everything that all neighbours hold, and concerns initial peers only.
            let mut spared = None;
            let ids: Vec<LinkId> = self.links.keys().copied().collect();
            ids.into_iter().for_each(|id| self.request_background(now, id, &mut spared));
        }
    }

    /// Something may be asked of one link that could not be asked before; `is_needed`: perhaps what is needed soon.
    pub(super) fn request_of(&mut self, now: Timestamp, id: LinkId, is_needed: bool) {
        let Some(demand) = self.demand.as_ref().filter(|_| !self.is_complete_told) else { return };
        let size = u64::from(GROUP_BYTES);
        let is_open =
            |link: &Link, class| link.is_provider() && link.serves(class) && link.room_bytes(class) >= size;
        if !self.links.get(&id).is_some_and(|link| is_open(link, Class::Urgent)) {
            return;
        }
        if is_needed && demand.has_readers() {
            self.request_needed(now, &demand.needs(now));
        }
        if self.links.get(&id).is_some_and(|link| is_open(link, Class::Window)) {
            self.request_marked(now);
            self.request_background(now, id, &mut None);
        }
    }

    /// What readers need soon.
    fn request_needed(&mut self, now: Timestamp, all: &[Need]) {
        let mut needs = Vec::new();
        for need in all {
            if self.config.policy.has_urgent {
                self.request_urgent(now, need, &mut needs);
            }
            let window = if self.config.policy.has_urgent { need.window } else { need.all() };
            self.request_window(now, window, Some(need));
        }
        self.tell_needs(now, needs);
    }

    fn has_room(&self, class: Class) -> bool {
        let size = u64::from(GROUP_BYTES);
        self.links.values().any(|link| link.is_provider() && link.room_bytes(class) >= size)
    }

    /// The groups that this peer wants at all.
    pub(super) fn wanted(&self, holdings: &Holdings) -> GroupRange {
        let geometry = holdings.geometry();
        match self.config.appetite {
            Appetite::Viewer { budget_bytes } if geometry.length_bytes() > budget_bytes => {
                let start = self.demand.as_ref().and_then(Demand::playhead).unwrap_or(0);
                let ahead = budget_bytes / AHEAD_SHARE.1 * AHEAD_SHARE.0 / u64::from(GROUP_BYTES);
                let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
                GroupRange::new(start, start.saturating_add(ahead)).and(geometry.all())
            }
            Appetite::Viewer { .. } | Appetite::Everything => geometry.all(),
        }
    }

    pub(super) fn view(&self) -> Option<View<'_>> {
        let holdings = self.holdings.as_ref()?;
        Some(View {
            holdings,
            links: &self.links,
            copies: &self.copies,
            wanted: self.wanted(holdings),
            advice: &self.advice,
            at_risk: &self.at_risk,
        })
    }

    /// What was asked for as background and is needed by now is asked for again, under the same name.
    fn hasten(&mut self, need: &Need) {
        let (Some(holdings), Some(demand)) = (&self.holdings, &self.demand) else { return };
        let geometry = holdings.geometry();
        for (id, link) in &mut self.links {
            let late =
                link.asks().iter().filter(|(_, ask)| ask.class == Class::Background && !ask.is_released);
            let late = late.filter_map(|(request, ask)| {
                let first = ask.missing().find(|group| need.all().has(*group))?;
                Some((*request, ask.range, first))
            });
            for (request, range, first) in late.collect::<Vec<_>>() {
                let class = if need.urgent.has(first) { Class::Urgent } else { Class::Window };
                link.hasten(geometry, request, class);
                let remaining_ms = millis(demand.time_left(need, first));
                let again = PeerMessage::Request { id: request, range, class, remaining_ms };
                self.outputs.push_back(Output::Control(*id, again));
            }
        }
    }

    /// Earliest first. What no link can send, an initial peer that injects hears of, or else the tracker.
    fn request_urgent(&mut self, now: Timestamp, need: &Need, needs: &mut Vec<GroupRange>) {
        let mut at = need.urgent;
        while let Some(view) = self.view() {
            let Some(group) = view.open(Class::Urgent, at).next() else { break };
            let link = view.provider(group, Class::Urgent);
            self.request_at(now, link, group, &mut at, (Class::Urgent, Some(need)));
        }
        let Some(view) = self.view() else { return };
        let sourceless = view.sourceless(need.urgent).filter(|group| view.has_injector(*group));
        sourceless.for_each(|group| add_need(needs, group));
    }

    /// Earliest first, one pick in four the rarest.
    fn request_window(&mut self, now: Timestamp, window: GroupRange, need: Option<&Need>) {
        let mut at = window;
        while let Some(view) = self.view() {
            let is_rarest_turn = self.window_picks % RAREST_EVERY == RAREST_EVERY - 1;
            let earliest = || view.open(Class::Window, at).next();
            let pick = if is_rarest_turn { view.rarest(Class::Window, at) } else { earliest() };
            let Some(group) = pick else { return };
            let link = view.provider(group, Class::Window);
            if is_rarest_turn || link.is_some() {
                self.window_picks = self.window_picks.wrapping_add(1);
            }
            if !is_rarest_turn || link.is_some() {
                self.request_at(now, link, group, &mut at, (Class::Window, need));
            }
        }
    }

    /// Requests the run from `first` on, of a link if there is one; if not, the search goes on behind it.
    fn request_at(
        &mut self,
        now: Timestamp,
        link: Option<LinkId>,
        first: u32,
        region: &mut GroupRange,
        (class, need): (Class, Option<&Need>),
    ) {
        match link {
            Some(link) => {
                let time_left = self.time_left(need, first);
                self.request_run(now, link, first, *region, class, time_left);
            }
            None => region.start = first + 1,
        }
    }

    fn time_left(&self, need: Option<&Need>, group: u32) -> Option<Duration> {
        Some(self.demand.as_ref()?.time_left(need?, group))
    }

    /// What the author marked: period `start`, or a priority above the default. Asked for like the window.
    fn request_marked(&mut self, now: Timestamp) {
        let Some(holdings) = &self.holdings else { return };
        let wanted = self.wanted(holdings);
        let marked = holdings.tiers().iter().filter(|tier| match tier.period {
            Period::Start => true,
            Period::Playback => tier.priority > PRIORITY_DEFAULT,
            Period::Background => false,
        });
        let runs: Vec<GroupRange> = marked.flat_map(|tier| tier.groups.runs(wanted)).collect();
        for run in runs {
            self.request_window(now, run, None);
        }
    }

    /// Fills a link that has room. `spared`: what initial peers are not asked for, once it is worked out.
    fn request_background(&mut self, now: Timestamp, id: LinkId, spared: &mut Option<Vec<u64>>) {
        loop {
            let mut chance = self.chance.clone();
            let Some((view, link)) = self.view().zip(self.links.get(&id)) else { return };
            let room = link.room_bytes(Class::Background) / u64::from(GROUP_BYTES);
            if room == 0 || !link.is_provider() {
                return;
            }
            let spared: &[u64] =
                if link.is_spared() { spared.get_or_insert_with(|| view.spared()) } else { &[] };
            let groups_max = link.size.groups(link.rate.bytes_per_s(), None);
            let groups_max = groups_max.min(u32::try_from(room).unwrap_or(u32::MAX));
            let order = self.config.policy.order;
            let pick = view.background(link, spared, groups_max, order, &mut chance);
            self.chance = chance;
            match pick {
                Some(range) => self.request(now, id, range, Class::Background, None),
                None if self.relieve(now, id) => {}
                None => return,
            }
        }
    }

    /// Requests the run of free groups that starts at `first`, as long as the link and the class allow.
    fn request_run(
        &mut self,
        now: Timestamp,
        id: LinkId,
        first: u32,
        region: GroupRange,
        class: Class,
        time_left: Option<Duration>,
    ) {
        let Some((view, link)) = self.view().zip(self.links.get(&id)) else { return };
        let slack = time_left.filter(|_| class == Class::Urgent);
        let groups_max = link.size.groups(link.rate.bytes_per_s(), slack);
        let room = u32::try_from(link.room_bytes(class) / u64::from(GROUP_BYTES)).unwrap_or(u32::MAX).max(1);
        let range = view.extend(link, first, region, groups_max.min(room));
        self.request(now, id, range, class, time_left);
    }

    pub(super) fn request(
        &mut self,
        now: Timestamp,
        id: LinkId,
        range: GroupRange,
        class: Class,
        time_left: Option<Duration>,
    ) {
        let (Some(link), Some(holdings)) = (self.links.get_mut(&id), &mut self.holdings) else { return };
        if range.is_empty() {
            return;
        }
        let remaining_ms = time_left.map_or(u32::MAX, millis);
        let request = link.ask(now, holdings.geometry(), range, class);
        holdings.asked.insert(range);
        self.attend(id);
        self.outputs
            .push_back(Output::Control(id, PeerMessage::Request { id: request, range, class, remaining_ms }));
    }

    /// Initial peers that inject hear what is urgent and held by no other neighbour: when that is more than they
    /// were told, and again while it lasts.
    fn tell_needs(&mut self, now: Timestamp, needs: Vec<GroupRange>) {
        let is_told = |need: &GroupRange| self.needs_told.iter().any(|told| told.and(*need) == *need);
        let is_news = needs.is_empty() != self.needs_told.is_empty() || !needs.iter().all(is_told);
        if !is_news && (needs.is_empty() || now < self.next_need) {
            return;
        }
        self.next_need = now + NEED_INTERVAL;
        for (id, _) in
            self.links.iter().filter(|(_, link)| link.is_open() && link.standing.serving == Serving::Needs)
        {
            self.outputs.push_back(Output::Control(*id, PeerMessage::Need { ranges: needs.clone() }));
        }
        self.needs_told = needs;
    }

    /// A viewer beyond its budget forgets what it played longest ago, then what lies farthest ahead.
    pub(super) fn keep_within_budget(&mut self) {
        let (Appetite::Viewer { budget_bytes }, Some(holdings)) = (self.config.appetite, &mut self.holdings)
        else {
            return;
        };
        let budget = u32::try_from(budget_bytes / u64::from(GROUP_BYTES)).unwrap_or(u32::MAX);
        let geometry = holdings.geometry();
        let playhead = self.demand.as_ref().and_then(Demand::playhead).unwrap_or(0);
        while holdings.held().count() > budget {
            let behind = holdings.held().runs(GroupRange::new(0, playhead)).next();
            let ahead = || holdings.held().runs(geometry.all()).last();
            let Some(run) = behind.or_else(ahead) else { return };
            let excess = holdings.held().count() - budget;
            let range = if run.start < playhead {
                GroupRange::new(run.start, run.start.saturating_add(excess)).and(run)
            } else {
                GroupRange::new(run.end.saturating_sub(excess), run.end).and(run)
            };
            holdings.lose(range);
            self.outputs.push_back(Output::Evict(range));
        }
    }
}

pub(super) fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// Adds a group behind those that are needed already, as far as a message goes.
fn add_need(needs: &mut Vec<GroupRange>, group: u32) {
    let room = NEED_RANGES_MAX - needs.len();
    match needs.last_mut() {
        Some(last) if last.end == group && last.len() < REQUEST_GROUPS_MAX => last.end += 1,
        Some(_) | None if room > 0 => needs.push(GroupRange::one(group)),
        Some(_) | None => {}
    }
}
