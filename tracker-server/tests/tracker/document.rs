//! The examples in docs/protocol.md are what the code reads and writes.

use swarm_core::tracker_message::{PeerRequest, TrackerMessage};

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// The lines of the fenced block that begins with `fence`.
fn examples(fence: &str) -> Vec<&'static str> {
    DOCUMENT.lines().skip_while(|line| *line != fence).skip(1).take_while(|line| *line != "```").collect()
}

#[test]
fn every_request_in_the_document_is_one() -> anyhow::Result<()> {
    let examples = examples("```json request");
    for example in &examples {
        assert_eq!(PeerRequest::decode(example)?.encode(), *example);
    }
    for kind in ["hello", "join", "have", "want", "signal", "report", "leave"] {
        let mark = format!(r#""type":"{kind}""#);
        assert!(examples.iter().any(|example| example.contains(&mark)), "{kind} has no example");
    }
    Ok(())
}

#[test]
fn every_message_of_the_tracker_in_the_document_is_one() -> anyhow::Result<()> {
    let examples = examples("```json answer");
    for example in &examples {
        assert_eq!(TrackerMessage::decode(example)?.encode(), *example);
    }
    for kind in ["welcome", "swarm", "peers", "connect", "unlink", "assign", "signal", "gone", "ok", "error"]
    {
        let mark = format!(r#""type":"{kind}""#);
        assert!(examples.iter().any(|example| example.contains(&mark)), "{kind} has no example");
    }
    Ok(())
}
