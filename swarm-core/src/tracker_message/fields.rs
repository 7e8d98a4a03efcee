//! How a message of a tracker is read: into one struct that has the fields of all messages.
//!
//! serde reads an enum whose tag stands among its fields into a buffer of values of any kind, and makes the enum from that. The
//! code for it is large, and a browser loads it before the first frame.

use serde::Deserialize;

use super::{
    ErrorCode, IceServer, PeerEntry, Role, Scarcity, SegmentRun, Share, Signal, TrackerMessage,
    TrackerMessageBody,
};
use crate::id::{Challenge, PeerId};

/// A message lacks a field that its type requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("missing field `{0}`")]
pub(crate) struct Missing(pub(super) &'static str);

/// The type of a message: a variant of [`TrackerMessageBody`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Welcome,
    Swarm,
    Peers,
    Connect,
    Unlink,
    Assign,
    Signal,
    Gone,
    Move,
    Ok,
    Error,
}

/// The fields of all messages. A name has the same form in each of them.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    id: Option<u32>,
    #[serde(rename = "type")]
    kind: Kind,
    version: Option<u16>,
    peer: Option<PeerId>,
    resume: Option<String>,
    challenge: Option<Challenge>,
    ice_servers: Option<Vec<IceServer>>,
    report_interval_ms: Option<u32>,
    seeders: Option<u32>,
    leechers: Option<u32>,
    #[serde(default)]
    at_risk: Vec<SegmentRun>,
    share: Option<Share>,
    scarcity: Option<Scarcity>,
    providing: Option<Vec<PeerEntry>>,
    looking: Option<Vec<PeerEntry>>,
    role: Option<Role>,
    offer: Option<bool>,
    segments: Option<Vec<SegmentRun>>,
    source: Option<PeerId>,
    lease_ms: Option<u32>,
    from: Option<PeerId>,
    signal: Option<Signal>,
    to: Option<String>,
    code: Option<ErrorCode>,
    text: Option<String>,
    retry_after_ms: Option<u32>,
}

impl TryFrom<Fields> for TrackerMessage {
    type Error = Missing;

    fn try_from(fields: Fields) -> Result<Self, Missing> {
        let peer = fields.peer.ok_or(Missing("peer"));
        let role = fields.role.ok_or(Missing("role"));
        let body = match fields.kind {
            Kind::Welcome => TrackerMessageBody::Welcome {
                version: fields.version.ok_or(Missing("version"))?,
                peer: peer?,
                resume: fields.resume.ok_or(Missing("resume"))?,
                challenge: fields.challenge.ok_or(Missing("challenge"))?,
                ice_servers: fields.ice_servers.ok_or(Missing("ice_servers"))?,
                report_interval_ms: fields.report_interval_ms.ok_or(Missing("report_interval_ms"))?,
            },
            Kind::Swarm => TrackerMessageBody::Swarm {
                seeders: fields.seeders.ok_or(Missing("seeders"))?,
                leechers: fields.leechers.ok_or(Missing("leechers"))?,
                at_risk: fields.at_risk,
                share: fields.share,
                scarcity: fields.scarcity,
            },
            Kind::Peers => TrackerMessageBody::Peers {
                providing: fields.providing.ok_or(Missing("providing"))?,
                looking: fields.looking.ok_or(Missing("looking"))?,
            },
            Kind::Connect => TrackerMessageBody::Connect {
                peer: peer?,
                role: role?,
                offer: fields.offer.ok_or(Missing("offer"))?,
            },
            Kind::Unlink => TrackerMessageBody::Unlink { peer: peer? },
            Kind::Assign => TrackerMessageBody::Assign {
                segments: fields.segments.ok_or(Missing("segments"))?,
                source: fields.source.ok_or(Missing("source"))?,
                lease_ms: fields.lease_ms.ok_or(Missing("lease_ms"))?,
            },
            Kind::Signal => TrackerMessageBody::Signal {
                from: fields.from.ok_or(Missing("from"))?,
                signal: fields.signal.ok_or(Missing("signal"))?,
            },
            Kind::Gone => TrackerMessageBody::Gone { peer: peer? },
            Kind::Move => TrackerMessageBody::Move { to: fields.to.ok_or(Missing("to"))? },
            Kind::Ok => TrackerMessageBody::Ok,
            Kind::Error => TrackerMessageBody::Error {
                code: fields.code.ok_or(Missing("code"))?,
                text: fields.text.ok_or(Missing("text"))?,
                retry_after_ms: fields.retry_after_ms,
            },
        };
        Ok(Self { id: fields.id, body })
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// A message of each type with every field, in the form that is on the wire.
    const ALL: [&str; 11] = [
        r#"{"id":1,"type":"welcome","version":2,"peer":"00000000000000ff","resume":"r","challenge":"0202020202020202020202020202020202020202020202020202020202020202","ice_servers":[{"urls":["stun:a"],"username":"u","credential":"c"}],"report_interval_ms":5}"#,
        r#"{"id":2,"type":"swarm","seeders":1,"leechers":4,"at_risk":[[7,2]],"share":{"index":0,"count":2},"scarcity":{"supply_bps":1,"demand_bps":2}}"#,
        r#"{"id":3,"type":"peers","providing":[{"peer":"00000000000000ff","role":"viewer","segments":[[0,1]],"uplink_bps":8,"playhead":4}],"looking":[]}"#,
        r#"{"type":"connect","peer":"00000000000000ff","role":"initial","offer":true}"#,
        r#"{"type":"unlink","peer":"00000000000000ff"}"#,
        r#"{"type":"assign","segments":[[0,1]],"source":"00000000000000ff","lease_ms":9}"#,
        r#"{"type":"signal","from":"00000000000000ff","signal":{"kind":"candidate","candidate":"c","sdp_mid":"0","sdp_m_line_index":0}}"#,
        r#"{"type":"gone","peer":"00000000000000ff"}"#,
        r#"{"type":"move","to":"wss://a/"}"#,
        r#"{"id":4,"type":"ok"}"#,
        r#"{"id":5,"type":"error","code":"full","text":"no","retry_after_ms":5}"#,
    ];

    /// Fields that a message may lack.
    const OPTIONAL: [&str; 5] = ["id", "at_risk", "share", "scarcity", "retry_after_ms"];

    fn read(text: &serde_json::Value) -> Result<TrackerMessage, String> {
        TrackerMessage::decode(&text.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_message_is_read_with_all_of_its_fields() {
        for text in ALL {
            assert_eq!(TrackerMessage::decode(text).unwrap().encode(), text);
        }
    }

    #[test]
    fn a_message_without_a_field_that_its_type_requires_is_refused() {
        for text in ALL {
            let whole: serde_json::Value = serde_json::from_str(text).unwrap();
            for name in whole.as_object().unwrap().keys() {
                let mut part = whole.clone();
                part.as_object_mut().unwrap().remove(name);
                let mut null = whole.clone();
                null[name] = serde_json::Value::Null;
                let is_optional = OPTIONAL.contains(&name.as_str());
                assert_eq!(read(&part).is_ok(), is_optional, "{part}");
                assert_eq!(read(&null).is_ok(), is_optional && name != "at_risk", "{null}");
                if !is_optional {
                    assert!(read(&part).unwrap_err().contains(&format!("missing field `{name}`")), "{part}");
                }
                let mut wrong = whole.clone();
                wrong[name] = serde_json::json!({"a": 1.5});
                assert!(read(&wrong).is_err(), "{wrong}");
            }
        }
    }

    #[test]
    fn only_an_object_of_a_known_type_is_a_message_and_unknown_fields_are_ignored() {
        for text in [r#"{"type":"teapot"}"#, r#"{"id":1}"#, r#"[1,"ok"]"#, "[]", "null", "1", r#""ok""#, ""] {
            assert!(TrackerMessage::decode(text).is_err(), "{text}");
        }
        // serde takes a list for a struct, if it has a value for each field.
        let list = format!(r#"[1,"ok",{}[],{}null]"#, "null,".repeat(8), "null,".repeat(14));
        assert!(serde_json::from_str::<TrackerMessage>(&list).is_ok());
        assert!(TrackerMessage::decode(&list).is_err());
        let later = r#" {"later":[{"type":1}],"type":"ok","other":null} "#;
        assert_eq!(TrackerMessage::decode(later), Ok(TrackerMessage::notice(TrackerMessageBody::Ok)));
        assert!(TrackerMessage::decode(r#"{"type":"ok","type":"ok"}"#).is_err());
    }
}
