//! A tracker for tests: it introduces everybody to everybody and can be told to misbehave.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use peer_native::address::TrackerAddress;
use peer_native::publications::{Credentials, Wish, fetch_manifest, publish_manifest};
use swarm_core::peer::FetchError;
use swarm_core::tracker_message::{
    ErrorCode, PeerRequest, PeerRequestBody, Role, TRACKER_VERSION, TrackerMessage, TrackerMessageBody,
};
use swarm_core::{Challenge, PeerId, SwarmId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

/// How it misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Manner {
    /// Not at all.
    #[default]
    Proper,
    /// It speaks a later version of the protocol.
    OtherVersion,
    /// It answers with another manifest than it was asked for.
    OtherManifest,
}

#[derive(Default)]
struct State {
    manner: Manner,
    manifests: HashMap<String, Vec<u8>>,
    members: HashMap<PeerId, (SwarmId, Role, mpsc::Sender<TrackerMessage>)>,
    last_peer: u64,
}

/// A running tracker; it stops with the runtime.
pub(crate) struct TestTracker {
    pub(crate) address: TrackerAddress,
    state: Arc<Mutex<State>>,
}

impl TestTracker {
    pub(crate) async fn start(manner: Manner) -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap(), manner).await
    }

    pub(crate) async fn listen(at: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = format!("ws://{}/v1/swarm", listener.local_addr().unwrap()).parse().unwrap();
        let state = Arc::new(Mutex::new(State { manner, ..State::default() }));
        let own = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, own.clone()));
            }
        });
        Self { address, state }
    }

    pub(crate) fn member_count(&self) -> usize {
        self.state.lock().unwrap().members.len()
    }
}

/// A WebSocket or one HTTP request.
async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut head = [0; 12];
    while stream.peek(&mut head).await.unwrap_or(head.len()) < head.len() {}
    if head.starts_with(b"GET /v1/swar") {
        return serve_socket(stream, state).await;
    }
    let mut request = Vec::new();
    let body_at = loop {
        if let Some(at) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let text = String::from_utf8_lossy(&request[..body_at]).into_owned();
    let mut words = text.split_whitespace();
    let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
    let length = text
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split_whitespace().next().unwrap().parse().unwrap());
    let (status, body) = if method == "PUT" {
        while request.len() < body_at + length {
            stream.read_buf(&mut request).await.unwrap();
        }
        state.lock().unwrap().manifests.insert(path, request[body_at..].to_vec());
        ("204 No Content", Vec::new())
    } else {
        let state = state.lock().unwrap();
        match state.manifests.get(&path) {
            Some(_) if state.manner == Manner::OtherManifest => {
                ("200 OK", [b"TRB2 something else".as_slice(), &[0; 64]].concat())
            }
            Some(manifest) => ("200 OK", manifest.clone()),
            None if path == "/v1/challenge" => ("200 OK", Challenge::default().to_string().into_bytes()),
            None => ("404 Not Found", Vec::new()),
        }
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(&[head.into_bytes(), body].concat()).await.unwrap();
}

async fn serve_socket(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let (sender, mut outgoing) = mpsc::channel::<TrackerMessage>(1000);
    let peer = {
        let mut state = state.lock().unwrap();
        state.last_peer += 1;
        PeerId(state.last_peer)
    };
    loop {
        tokio::select! {
            Some(message) = outgoing.recv() => {
                if socket.send(Message::text(message.encode())).await.is_err() {
                    break;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let answers = answer(&state, peer, &sender, PeerRequest::decode(&text).unwrap());
                    for (receiver, message) in answers {
                        let _ = receiver.try_send(message);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
    }
    state.lock().unwrap().members.remove(&peer);
}

type Answers = Vec<(mpsc::Sender<TrackerMessage>, TrackerMessage)>;

fn answer(
    state: &Mutex<State>,
    peer: PeerId,
    sender: &mpsc::Sender<TrackerMessage>,
    request: PeerRequest,
) -> Answers {
    let mut state = state.lock().unwrap();
    let reply = |body| (sender.clone(), TrackerMessage { id: Some(request.id), body });
    match request.body {
        PeerRequestBody::Hello { .. } if state.manner == Manner::OtherVersion => {
            let (code, text) = (ErrorCode::UnsupportedVersion, "version 9 is spoken here".into());
            vec![reply(TrackerMessageBody::Error { code, text, retry_after_ms: None })]
        }
        PeerRequestBody::Hello { .. } => vec![reply(TrackerMessageBody::Welcome {
            version: TRACKER_VERSION,
            peer,
            resume: peer.to_string(),
            challenge: Challenge::default(),
            ice_servers: Vec::new(),
            report_interval_ms: 1000,
        })],
        PeerRequestBody::Join { swarm, role, .. } => {
            let mut answers = vec![reply(TrackerMessageBody::Swarm {
                seeders: 1,
                leechers: 1,
                at_risk: Vec::new(),
                share: None,
                scarcity: None,
            })];
            for (other, (_, other_role, other_sender)) in
                state.members.iter().filter(|(_, (other_swarm, ..))| *other_swarm == swarm)
            {
                let connect = |peer, role, offer| {
                    TrackerMessage::notice(TrackerMessageBody::Connect { peer, role, offer })
                };
                answers.push((sender.clone(), connect(*other, *other_role, true)));
                answers.push((other_sender.clone(), connect(peer, role, false)));
            }
            state.members.insert(peer, (swarm, role, sender.clone()));
            answers
        }
        PeerRequestBody::Signal { to, signal } => {
            let receiver = state.members.get(&to).map(|(.., sender)| sender.clone());
            let message = TrackerMessage::notice(TrackerMessageBody::Signal { from: peer, signal });
            receiver.map(|receiver| (receiver, message)).into_iter().collect()
        }
        PeerRequestBody::Leave => {
            state.members.remove(&peer);
            vec![reply(TrackerMessageBody::Ok)]
        }
        PeerRequestBody::Have { .. } | PeerRequestBody::Want { .. } | PeerRequestBody::Report { .. } => {
            vec![reply(TrackerMessageBody::Ok)]
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_is_put_and_got_over_http() {
    let tracker = TestTracker::start(Manner::Proper).await;
    let address = tracker.address.clone();
    let (found, missing) = tokio::task::spawn_blocking(move || {
        let none = Credentials::default();
        publish_manifest(&address, SwarmId([1; 32]), b"a manifest", Wish::default(), &none).unwrap();
        (fetch_manifest(&address, SwarmId([1; 32]), &none), fetch_manifest(&address, SwarmId([2; 32]), &none))
    })
    .await
    .unwrap();
    assert_eq!(found.unwrap()[..], *b"a manifest");
    assert_eq!(missing, Err(FetchError::NotFound));
}

#[test]
fn an_absent_tracker_is_told_in_words() {
    let address: TrackerAddress = "ws://127.0.0.1:9/v1/swarm".parse().unwrap();
    let Err(FetchError::Failed(reason)) = fetch_manifest(&address, SwarmId([1; 32]), &Credentials::default())
    else {
        panic!()
    };
    assert!(reason.contains("127.0.0.1:9") && reason.contains("nothing listens"), "{reason}");
}
