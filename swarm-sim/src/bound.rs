//! The fluid bound: no schedule can give everything to every viewer before this time.
//!
//! The content is a fluid; delays and overheads are zero. F is the length of the content, us the publisher's uplink. A
//! viewer i joins at a_i and has the uplink u_i and the downlink d_i. T is the time, from the start of the run, at
//! which every viewer has everything. The bound is the largest of these lower bounds on T:
//!
//! 1. **Publisher.** Every bit leaves the publisher at least once, and nobody receives before the first join a_1:
//!    T ≥ a_1 + F/us.
//! 2. **Downlink.** For every viewer T ≥ a_i + F/d_i.
//! 3. **Supply.** Choose a set A of viewers and a time s. At s a viewer of A holds at most F, at most what its
//!    downlink carried since it joined, d_i·(s − a_i), and at most what the publisher sent since the first join,
//!    us·(s − a_1). The rest must reach A between s and T. At any moment the rate at which A receives is at most
//!
//!    * the sum of the uplinks present, S(t) = us + Σ u_j over all viewers that have joined, members of A or not. If A
//!      is a single viewer, its own uplink does not count, because a viewer does not serve itself;
//!    * the sum of the downlinks present, D(t) = Σ d_i over the members of A that have joined.
//!
//!    So T is at least the least time at which |A|·F − (held at s) ≤ ∫ min(S(t), D(t)) dt, from s to T.
//!
//! The third bound holds for every A and s. The code tries those that bind in practice:
//!
//! * A = the viewers whose second bound is at least θ, s = the first join among them, for every θ. Where downlinks
//!   are fast, these are the last k viewers to join: they need k·F, and supply from before their joins does not help
//!   them;
//! * A = the viewers with a downlink of at most δ, for every δ (the largest gives all viewers) and every join s.
//!
//! If all viewers join at time 0, the bound is max{F/us, F/dmin, N·F/(us + Σu)} (Kumar and Ross, "Peer-assisted
//! file distribution", 2006): with all viewers in A and s = 0, the third bound is the larger of N·F/(us + Σu) and N·F/Σd,
//! no set gives more than that and F/dmin, and N·F/Σd ≤ F/dmin.
//!
//! With joins the bound is not always reachable, because it ignores that a viewer can pass on only what it holds and
//! others lack.

/// Most values of θ, and most times s, that are tried: the work grows with the square.
const TRIED_MAX: usize = 1000;

/// The properties of a viewer that the bound depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Viewer {
    pub(crate) joins_at_s: f64,
    pub(crate) up_mbps: f64,
    pub(crate) down_mbps: f64,
}

/// The publisher and all viewers.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) content_mbit: f64,
    pub(crate) publisher_mbps: f64,
    /// In the order in which they join.
    pub(crate) viewers: Vec<Viewer>,
}

impl Crowd {
    /// The fluid bound, s.
    pub(crate) fn bound_s(&self) -> f64 {
        let first_join_s = self.viewers.first().map_or(0.0, |viewer| viewer.joins_at_s);
        let publisher_s = first_join_s + self.content_mbit / self.publisher_mbps;
        let own_ends = distinct(self.viewers.iter().map(|viewer| self.own_end_s(viewer)));
        let downlinks = distinct(self.viewers.iter().map(|viewer| viewer.down_mbps));
        let joins = distinct(self.viewers.iter().map(|viewer| viewer.joins_at_s));
        let late = tried(&own_ends).map(|theta| {
            let is_late = |viewer: &Viewer| self.own_end_s(viewer) >= theta;
            let from_s =
                self.viewers.iter().find(|viewer| is_late(viewer)).map_or(0.0, |first| first.joins_at_s);
            self.supplied_at_s(is_late, from_s)
        });
        let slow = downlinks.iter().flat_map(|delta| {
            tried(&joins).map(|from_s| self.supplied_at_s(|viewer| viewer.down_mbps <= *delta, from_s))
        });
        late.chain(slow).chain(own_ends.iter().copied()).fold(publisher_s, f64::max)
    }

    /// The second bound of a viewer: when its own downlink has carried everything.
    fn own_end_s(&self, viewer: &Viewer) -> f64 {
        viewer.joins_at_s + self.content_mbit / viewer.down_mbps
    }

    /// The third bound: the least time at which the members can have been supplied with what they lack at `from_s`.
    fn supplied_at_s(&self, is_member: impl Fn(&Viewer) -> bool, from_s: f64) -> f64 {
        let members = || self.viewers.iter().filter(|viewer| is_member(viewer));
        let is_alone = members().nth(1).is_none();
        let mut lacking: f64 =
            members().map(|viewer| self.content_mbit - self.held_max(viewer, from_s)).sum();
        let (mut supply, mut downlinks, mut now_s) = (self.publisher_mbps, 0.0, from_s);
        for viewer in &self.viewers {
            if viewer.joins_at_s > now_s {
                let received = f64::min(supply, downlinks) * (viewer.joins_at_s - now_s);
                if received >= lacking {
                    break;
                }
                lacking -= received;
                now_s = viewer.joins_at_s;
            }
            let is_member = is_member(viewer);
            supply += if is_member && is_alone { 0.0 } else { viewer.up_mbps };
            downlinks += if is_member { viewer.down_mbps } else { 0.0 };
        }
        if lacking > 0.0 { now_s + lacking / f64::min(supply, downlinks) } else { now_s }
    }

    /// Most that a viewer can hold at a time, Mbit.
    fn held_max(&self, viewer: &Viewer, at_s: f64) -> f64 {
        let first_join_s = self.viewers.first().map_or(0.0, |first| first.joins_at_s);
        let injected = self.publisher_mbps * (at_s - first_join_s).max(0.0);
        let carried = viewer.down_mbps * (at_s - viewer.joins_at_s).max(0.0);
        self.content_mbit.min(injected).min(carried)
    }
}

/// The values in ascending order, each once.
fn distinct(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// At most [`TRIED_MAX`] of the values, evenly chosen. Leaving some out makes the bound lower, never wrong.
fn tried(values: &[f64]) -> impl Iterator<Item = f64> + '_ {
    values.iter().copied().step_by(values.len().div_ceil(TRIED_MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 Mbit from a publisher, to viewers given as (join, uplink, downlink).
    fn bound_s(publisher_mbps: f64, viewers: &[(f64, f64, f64)]) -> f64 {
        let viewer =
            |&(joins_at_s, up_mbps, down_mbps): &(f64, f64, f64)| Viewer { joins_at_s, up_mbps, down_mbps };
        let viewers = viewers.iter().map(viewer).collect();
        Crowd { content_mbit: 100.0, publisher_mbps, viewers }.bound_s()
    }

    fn near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
    }

    #[test]
    fn it_is_the_published_formula_where_all_are_present_at_the_start() {
        for (publisher_mbps, ups, downs) in [
            (10.0, [10.0, 10.0, 10.0, 10.0], [100.0, 100.0, 100.0, 100.0]),
            (200.0, [0.1, 0.1, 0.1, 0.1], [100.0, 100.0, 100.0, 100.0]),
            (200.0, [1.0, 2.0, 5.0, 50.0], [4.0, 100.0, 5.0, 60.0]),
            (1.0, [50.0, 50.0, 50.0, 50.0], [100.0, 50.0, 100.0, 50.0]),
            (30.0, [0.1, 0.1, 5.0, 0.1], [10.0, 10.0, 10.0, 12.0]),
        ] {
            let viewers: Vec<_> = ups.into_iter().zip(downs).map(|(up, down)| (0.0, up, down)).collect();
            let slowest = downs.into_iter().fold(f64::INFINITY, f64::min);
            let shared = 400.0 / (publisher_mbps + ups.iter().sum::<f64>());
            let formula = f64::max(100.0 / publisher_mbps, 100.0 / slowest).max(shared);
            near(bound_s(publisher_mbps, &viewers), formula);
        }
    }

    #[test]
    fn supply_from_before_a_join_is_no_use_to_those_who_join() {
        // The first viewer is done at 10 s, the second is served from 20 s on.
        near(bound_s(10.0, &[(0.0, 0.0, 100.0), (20.0, 0.0, 100.0)]), 30.0);
        // The last two together: 200 Mbit from 20 s on, from the publisher and three uplinks of 5.
        let viewers = [(0.0, 5.0, 100.0), (20.0, 5.0, 100.0), (20.0, 5.0, 100.0)];
        near(bound_s(10.0, &viewers), 20.0 + 200.0 / 25.0);
    }

    #[test]
    fn an_uplink_counts_from_its_join_on() {
        // 200 Mbit: 10 Mbit/s for 10 s, then 10 + 40 + 40 Mbit/s would take 1.1 s more, but the second viewer needs
        // 100 Mbit from the publisher and the first: 2 s.
        near(bound_s(10.0, &[(0.0, 40.0, 1000.0), (10.0, 40.0, 1000.0)]), 12.0);
    }

    #[test]
    fn a_lone_viewer_cannot_use_more_than_its_downlink() {
        // 10 Mbit/s in the first second, 20 in the next, then 20 of which the uplink is the limit: 270 Mbit more.
        near(bound_s(20.0, &[(0.0, 0.0, 10.0), (1.0, 0.0, 10.0), (2.0, 0.0, 10.0)]), 2.0 + 270.0 / 20.0);
    }

    #[test]
    fn nobody_holds_more_than_the_publisher_has_sent() {
        // At 9 s the first two hold 90 Mbit each at most, although the uplinks could have carried all 200.
        let viewers = [(0.0, 50.0, 100.0), (0.0, 50.0, 100.0), (9.0, 0.0, 100.0), (9.0, 0.0, 100.0)];
        near(bound_s(10.0, &viewers), 9.0 + (400.0 - 180.0) / 110.0);
    }

    #[test]
    fn a_slow_viewer_that_joins_late_sets_the_bound_alone() {
        near(bound_s(100.0, &[(0.0, 10.0, 100.0), (5.0, 10.0, 4.0)]), 30.0);
    }
}
