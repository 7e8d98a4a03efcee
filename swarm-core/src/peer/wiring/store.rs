//! What follows when the store is open: the content, and what neighbours and the tracker are told of it.

use crate::group_set::GroupSet;
use crate::id::LinkId;
use crate::limits::RUNS_MAX;
use crate::peer::content::Content;
use crate::peer::inject::Inject;
use crate::peer::mirrors::Mirrors;
use crate::peer::output::{Event, Output};
use crate::peer::receive::Receive;
use crate::peer::tracker::Advice;
use crate::peer::{Live, Peer};
use crate::peer_message::PeerMessage;
use crate::time::Timestamp;
use crate::tracker_message::Role;
use crate::tree::HashTree;

impl Peer {
    pub(in crate::peer) fn store_ready(&mut self, now: Timestamp, held: &GroupSet, tree: HashTree) {
        let Some(manifest) = self.manifest.manifest.clone().filter(|_| self.live.is_none()) else { return };
        let geometry = manifest.geometry();
        if tree.root() != manifest.root || tree.geometry() != geometry {
            self.event(Event::Failed("the store holds another content than the manifest names".to_owned()));
            return;
        }
        let count = geometry.group_count();
        let is_initial = self.config.role == Role::Initial;
        self.tracker.advice = Advice::new(count);
        self.live = Some(Live {
            receive: Receive::new(&manifest),
            mirrors: Mirrors::new(&manifest, self.config.mirrors),
            content: Content::new(manifest, held, tree),
            inject: is_initial.then(|| Inject::new(count, self.config.economy)),
        });
        if let Some(live) = &mut self.live {
            live.mirrors.links().for_each(|mirror| live.receive.mirror_known(now, mirror));
        }
        self.tracker.note_segments();
        for link in self.neighbours.set_geometry(geometry) {
            self.ban(now, link, "it announced groups that do not exist".to_owned());
        }
        let runs = self.live.as_ref().map_or_else(Vec::new, |live| live.content.announced());
        let open: Vec<LinkId> = self.neighbours.open().map(|(id, _)| id).collect();
        for id in open {
            self.account_for(now, id);
            for gained in runs.chunks(RUNS_MAX) {
                let have = PeerMessage::Have { gained: gained.to_vec(), dropped: Vec::new() };
                self.outputs.push_back(Output::Control(id, have));
            }
        }
        self.note_neighbours();
        // `settle` tells neighbours that this peer can store pushes now.
    }
}
