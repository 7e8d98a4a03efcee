//! Relays (TURN servers) that a tracker gives to peers that joined.
//!
//! They travel in the field `relays` beside the other fields of `swarm`, the answer to `join` and `report`. Credentials
//! are worth something, so nobody gets them for a mere `hello`; and they expire, so they come again in time.

use serde::{Deserialize, Serialize};

use crate::limits::{ICE_SERVERS_MAX, TRACKER_MESSAGE_BYTES_MAX};
use crate::tracker_message::{IceServer, TrackerMessage};

/// The field as it is written and found in a text frame.
const FIELD: &str = "\"relays\"";

/// Relays as a tracker gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relays {
    /// The relays.
    pub servers: Vec<IceServer>,
    /// Whether connections must go through them, so that no peer sees the network address of another.
    pub is_required: bool,
}

impl Relays {
    /// Takes the relays that a tracker gives now. What was required stays so: the publisher names further trackers, and none of them may
    /// show addresses to peers that the first one hides.
    pub fn update(&mut self, given: Self) {
        let is_required = self.is_required || given.is_required;
        *self = Self { is_required, ..given };
    }
}

/// The text frame of `message`, with `relays`.
pub fn encode_with(message: &TrackerMessage, relays: &Relays) -> String {
    #[derive(Serialize)]
    struct With<'a> {
        #[serde(flatten)]
        message: &'a TrackerMessage,
        relays: &'a [IceServer],
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        relays_required: bool,
    }
    let Relays { servers, is_required } = relays;
    // These types have string keys only, so that serialisation cannot fail.
    serde_json::to_string(&With { message, relays: servers, relays_required: *is_required })
        .unwrap_or_default()
}

/// The relays in a text frame, of at most 8 URLs together; `None` if it has no such field. Entries that no connection can use are left
/// out: browsers refuse a whole configuration for one of them.
pub fn of(text: &str) -> Option<Relays> {
    #[derive(Deserialize)]
    struct Only {
        relays: Option<Vec<IceServer>>,
        #[serde(default)]
        relays_required: bool,
    }
    if text.len() > TRACKER_MESSAGE_BYTES_MAX || !text.contains(FIELD) {
        return None;
    }
    let Only { relays, relays_required } = serde_json::from_str(text).ok()?;
    let mut servers = relays?;
    servers.retain(is_usable);
    bound(&mut servers);
    Some(Relays { servers, is_required: relays_required })
}

/// Leaves the first 8 URLs, whichever entries have them. A peer sends packets to each for each link, and a tracker may name any address.
pub(crate) fn bound(servers: &mut Vec<IceServer>) {
    let mut left = ICE_SERVERS_MAX;
    servers.retain_mut(|server| {
        server.urls.truncate(left);
        left -= server.urls.len();
        !server.urls.is_empty()
    });
}

fn is_usable(server: &IceServer) -> bool {
    let is_relay = |url: &String| url.starts_with("turn:") || url.starts_with("turns:");
    let has_login = server.username.is_some() && server.credential.is_some();
    has_login && !server.urls.is_empty() && server.urls.iter().all(is_relay)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::tracker_message::TrackerMessageBody;

    fn given(servers: Vec<IceServer>) -> Relays {
        Relays { servers, is_required: false }
    }

    fn relay(url: &str) -> IceServer {
        IceServer { urls: vec![url.into()], username: Some("u".into()), credential: Some("c".into()) }
    }

    #[test]
    fn relays_travel_beside_a_message_and_are_ignored_by_who_does_not_know_them() {
        let body = TrackerMessageBody::Swarm {
            seeders: 1,
            leechers: 4,
            at_risk: vec![],
            share: None,
            scarcity: None,
        };
        let message = TrackerMessage { id: Some(2), body };
        let text = encode_with(&message, &given(vec![relay("turn:t:3478")]));
        let expected = r#"{"id":2,"type":"swarm","seeders":1,"leechers":4,"relays":[{"urls":["turn:t:3478"],"username":"u","credential":"c"}]}"#;
        assert_eq!(text, expected);
        assert_eq!(TrackerMessage::decode(&text).unwrap(), message);
        assert_eq!(of(&text), Some(given(vec![relay("turn:t:3478")])));
        let required = Relays { is_required: true, ..given(vec![relay("turn:t:3478")]) };
        let text = encode_with(&message, &required);
        assert!(text.ends_with(r#","relays_required":true}"#), "{text}");
        assert_eq!(of(&text), Some(required));
        assert_eq!(of(&message.encode()), None);
    }

    #[test]
    fn urls_are_bounded_over_all_entries() {
        let many =
            |count: usize| (0..count).map(|number| format!("turn:192.0.2.1:{number}")).collect::<Vec<_>>();
        let entry = |count| IceServer { urls: many(count), ..relay("") };
        let message = TrackerMessage { id: None, body: TrackerMessageBody::Ok };
        let counts = |servers| {
            let found = of(&encode_with(&message, &given(servers))).unwrap().servers;
            found.iter().map(|server| server.urls.len()).collect::<Vec<_>>()
        };
        assert_eq!(counts(vec![entry(300)]), [8]);
        assert_eq!(counts(vec![entry(3), entry(3), entry(3), entry(3)]), [3, 3, 2]);
        assert_eq!(counts(vec![entry(1); 12]), [1; 8]);
    }

    #[test]
    fn another_tracker_does_not_lift_the_rule_that_relays_are_required() {
        let mut relays = Relays::default();
        relays.update(given(vec![relay("turn:a")]));
        assert!(!relays.is_required);
        relays.update(Relays { is_required: true, ..given(vec![relay("turn:a")]) });
        relays.update(given(vec![relay("turn:b")]));
        assert_eq!(relays, Relays { is_required: true, ..given(vec![relay("turn:b")]) });
    }

    #[test]
    fn what_no_connection_can_use_is_left_out() {
        let body = TrackerMessageBody::Ok;
        let message = TrackerMessage { id: Some(2), body };
        let bare = IceServer { username: None, ..relay("turn:t") };
        let none = IceServer { urls: vec![], ..relay("turn:t") };
        let many = vec![relay("turns:t:443?transport=tcp"); 20];
        let relays = [vec![bare, none, relay("stun:t"), relay("http://t")], many].concat();
        let read = of(&encode_with(&message, &given(relays))).unwrap();
        assert_eq!(read.servers, vec![relay("turns:t:443?transport=tcp"); 8]);
        assert_eq!(of(r#"{"relays":7}"#), None);
        assert_eq!(of("\"relays\""), None);
    }
}
