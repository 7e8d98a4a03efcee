//! Manifests, the catalogue, health and the page.

use anyhow::Context;
use swarm_core::manifest::swarm_id_of;
use swarm_core::publisher::Action;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracker_server::access::AllowedOrigins;

use tracker_server::Page;
use tracker_server::page::PageFile;

use crate::harness::{POSTER, Server, Socket, key, manifest, manifest_with_poster, request};

#[tokio::test]
async fn a_manifest_is_kept_and_given_to_anybody() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (swarm, bytes) = manifest("film")?;
    let path = format!("/v1/manifests/{swarm}");
    let missing = server.get(&path).await?;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.text(), format!("no content {swarm} is published here\n"));
    assert_eq!(server.put(&path, bytes.clone()).await?.status, 201);
    assert_eq!(server.put(&path, bytes.clone()).await?.status, 200);
    let answer = server.get(&path).await?;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &bytes[..]));
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert!(answer.header("cache-control").contains("immutable"));
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    Ok(())
}

#[tokio::test]
async fn a_manifest_that_is_not_what_its_address_says_is_refused_in_one_line() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (swarm, mut bytes) = manifest("film")?;
    bytes[20] ^= 1;
    let answer = server.put(&format!("/v1/manifests/{swarm}"), bytes.clone()).await?;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.text(), format!("the manifest hashes to {}, not to {swarm}\n", swarm_id_of(&bytes)));
    let garbage = b"anything".to_vec();
    let answer = server.put(&format!("/v1/manifests/{}", swarm_id_of(&garbage)), garbage).await?;
    assert_eq!((answer.status.as_u16(), answer.text().lines().count()), (400, 1));
    let answer = server.put("/v1/manifests/short", bytes).await?;
    assert_eq!(
        (answer.status.as_u16(), &answer.text()[..]),
        (400, "a swarm id must be 64 hexadecimal digits\n")
    );
    let answer = server.put(&format!("/v1/manifests/{swarm}"), vec![0; 1024 * 1024 + 1]).await?;
    assert_eq!(answer.status, 413);
    assert_eq!(server.get("/v1/swarms").await?.text(), r#"{"swarms":[]}"#);
    Ok(())
}

#[tokio::test]
async fn a_poster_is_given_as_the_picture_that_it_is_and_nothing_else() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (swarm, bytes) = manifest_with_poster("image/webp", POSTER)?;
    let path = format!("/v1/manifests/{swarm}");
    assert_eq!(server.get(&format!("{path}/poster")).await?.status, 404);
    assert_eq!(server.act(&key(), Action::List, swarm, bytes).await?.status, 201);
    let answer = server.get(&format!("{path}/poster")).await?;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, POSTER));
    assert_eq!(answer.header("content-type"), "image/webp");
    assert_eq!(answer.header("content-length"), POSTER.len().to_string());
    assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(server.put(&format!("{path}/poster"), "a picture").await?.status, 405);
    let catalogue: serde_json::Value = serde_json::from_slice(&server.get("/v1/swarms").await?.body)?;
    assert_eq!(catalogue["swarms"][0]["has_poster"], true);

    let plain = server.publish("no poster").await?;
    let answer = server.get(&format!("/v1/manifests/{plain}/poster")).await?;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (404, format!("no poster of {plain} is published here\n"))
    );
    assert_eq!(server.get("/v1/manifests/short/poster").await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn a_poster_that_could_be_a_program_or_is_too_large_is_refused_with_its_manifest() -> anyhow::Result<()>
{
    let server = Server::start().await?;
    // Our own encoder refuses such types; a hostile publisher writes them into bytes that were good.
    for hostile in ["image/svg+xml", "text/html", "image/jpeg\r\nset-cookie: a=b", ""] {
        let (_, bytes) = manifest_with_poster("image/jpeg", POSTER)?;
        let from = [&[10][..], b"image/jpeg"].concat();
        let to = [&[u8::try_from(hostile.len())?][..], hostile.as_bytes()].concat();
        let bytes = replaced(&bytes, &from, &to);
        let swarm = swarm_id_of(&bytes);
        let answer = server.put(&format!("/v1/manifests/{swarm}"), bytes).await?;
        assert_eq!(answer.status, 400, "{hostile}");
        assert!(answer.text().starts_with("the manifest breaks a rule: a "), "{}", answer.text());
        assert_eq!(server.get(&format!("/v1/manifests/{swarm}/poster")).await?.status, 404);
    }
    let limit = swarm_core::limits::POSTER_BYTES_MAX;
    let padded = |bytes: usize| [POSTER, &vec![0; bytes - POSTER.len()]].concat();
    assert!(manifest_with_poster("image/webp", &padded(limit)).is_ok());
    assert!(manifest_with_poster("image/webp", &padded(limit + 1)).is_err());
    assert!(manifest_with_poster("image/webp", b"<script>").is_err());
    Ok(())
}

/// Bytes with one part of them exchanged.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap_or(bytes.len());
    let (before, after) = (&bytes[..at], bytes.get(at + from.len()..).unwrap_or_default());
    [before, to, after].concat()
}

#[tokio::test]
async fn a_publish_token_is_asked_of_publishers_only() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.publish_token = Some("let me".into())).await?;
    let (swarm, bytes) = manifest("film")?;
    let path = format!("/v1/manifests/{swarm}");
    assert_eq!(server.put(&path, bytes.clone()).await?.status, 401);
    let headers = [("authorization", "Bearer let me")];
    assert_eq!(request(server.address, "PUT", &path, &headers, bytes.into()).await?.status, 201);
    assert_eq!(server.get(&path).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_catalogue_counts_who_is_there() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let _viewer = Socket::enter(server.address, swarm, &[]).await?;
    let answer = server.get("/v1/swarms").await?;
    let catalogue: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let expected = serde_json::json!({"swarms": [{
        "swarm": swarm.to_string(), "name": "film", "title": null, "media_type": "video/mp4",
        "length_bytes": 400_000, "duration_ms": 5000, "has_poster": false, "seeders": 0, "leechers": 1, "created_s": 1,
    }]});
    assert_eq!(catalogue, expected);
    Ok(())
}

#[tokio::test]
async fn what_did_not_ask_to_be_listed_is_not() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (swarm, bytes) = manifest("film")?;
    let path = format!("/v1/manifests/{swarm}");
    assert_eq!(server.put(&path, bytes).await?.status, 201);
    assert_eq!(server.get("/v1/swarms").await?.text(), r#"{"swarms":[]}"#);
    assert_eq!(server.get(&path).await?.status, 200, "who has the link finds it");
    Ok(())
}

#[tokio::test]
async fn the_catalogue_comes_in_pages_and_a_page_that_is_known_is_not_sent_again() -> anyhow::Result<()> {
    let server = Server::start().await?;
    for index in 0..120 {
        server.publish(&format!("film {index}")).await?;
    }
    let (mut path, mut names) = ("/v1/swarms".to_owned(), Vec::new());
    let tag = server.get(&path).await?.header("etag").to_owned();
    loop {
        let answer = server.get(&path).await?;
        assert!(answer.body.len() <= 64 * 1024, "{} bytes", answer.body.len());
        let page: serde_json::Value = serde_json::from_slice(&answer.body)?;
        let entries = page["swarms"].as_array().context("no list")?;
        names.extend(entries.iter().map(|entry| entry["name"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/swarms?after={next}");
    }
    let expected: Vec<_> = (0..120).rev().map(|index| format!("\"film {index}\"")).collect();
    assert_eq!(names, expected);
    let headers = [("if-none-match", tag.as_str())];
    let known = request(server.address, "GET", "/v1/swarms", &headers, bytes::Bytes::new()).await?;
    assert_eq!((known.status.as_u16(), known.body.len(), known.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(server.get("/v1/swarms?after=x").await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_unless_the_operator_allows_them() -> anyhow::Result<()> {
    let server = Server::start_with(|config| {
        config.allowed_origins = AllowedOrigins::parse(["https://films.example"]).unwrap_or_default();
    })
    .await?;
    let ask = async |path: &str, method: &str, headers: &[(&str, &str)]| {
        request(server.address, method, path, headers, bytes::Bytes::new()).await
    };
    let foreign = ask("/v1/swarms", "GET", &[("origin", "https://evil.example")]).await?;
    assert_eq!((foreign.status.as_u16(), foreign.header("access-control-allow-origin")), (403, ""));
    assert!(foreign.text().contains("--allow-origin https://evil.example"), "{}", foreign.text());
    let upgrade = [
        ("origin", "https://evil.example"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(ask("/v1/swarm", "GET", &upgrade).await?.status, 403);
    let own = format!("http://{}", server.address);
    assert_eq!(ask("/v1/swarms", "GET", &[("origin", &own)]).await?.status, 200);
    let allowed = ask("/v1/swarms", "GET", &[("origin", "https://films.example")]).await?;
    assert_eq!(
        (allowed.status.as_u16(), allowed.header("access-control-allow-origin")),
        (200, "https://films.example")
    );
    let preflight = ask("/v1/swarms", "OPTIONS", &[("origin", "https://films.example")]).await?;
    assert_eq!(preflight.status, 204);
    assert!(
        ask("/", "GET", &[])
            .await?
            .header("content-security-policy")
            .contains("form-action 'none'; frame-ancestors 'self' https://films.example")
    );
    Ok(())
}

#[tokio::test]
async fn a_name_that_was_pointed_at_this_machine_is_not_served() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let ask = async |host: &str| {
        let mut stream = TcpStream::connect(server.address).await?;
        let head = format!("GET /v1/swarms HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let rebound = ask("rebound.evil.example").await?;
    assert!(rebound.starts_with("HTTP/1.1 421"), "{rebound}");
    assert!(rebound.contains("--allow-origin http://rebound.evil.example"), "{rebound}");
    for host in ["localhost", "127.0.0.1", "films.local"] {
        assert!(ask(host).await?.starts_with("HTTP/1.1 200"), "{host}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_published_is_there_after_a_restart() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let start = || Server::start_with(|config| config.data_dir = Some(folder.path().join("data")));
    let server = start().await?;
    let swarm = server.publish("film").await?;
    let (quiet, bytes) = manifest("quiet")?;
    assert_eq!(server.put(&format!("/v1/manifests/{quiet}"), bytes).await?.status, 201);
    server.stop().await?;
    let server = start().await?;
    for swarm in [swarm, quiet] {
        assert_eq!(server.get(&format!("/v1/manifests/{swarm}")).await?.status, 200);
        Socket::enter(server.address, swarm, &[]).await?;
    }
    let catalogue = server.get("/v1/swarms").await?.text();
    assert!(catalogue.contains(&swarm.to_string()) && !catalogue.contains(&quiet.to_string()), "{catalogue}");
    Ok(())
}

#[tokio::test]
async fn a_manifest_that_the_tracker_forgot_is_brought_back_by_whoever_has_it() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (swarm, bytes) = manifest("film")?;
    let mut viewer = Socket::open(server.address).await?;
    viewer.hello(None).await?;
    assert!(viewer.join(swarm, &[]).await.is_err(), "nobody has published it");
    assert_eq!(server.put(&format!("/v1/manifests/{swarm}"), bytes).await?.status, 201);
    viewer.join(swarm, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn health_and_metrics_are_told() -> anyhow::Result<()> {
    let server = Server::start().await?;
    assert_eq!(server.get("/healthz").await?.text(), "ok\n");
    assert_eq!(server.get("/readyz").await?.status, 200);
    let mut socket = Socket::open(server.address).await?;
    socket.hello(None).await?;
    assert_eq!(server.get("/metrics").await?.status, 404, "metrics are not for everybody");
    let metrics = server.metrics().await?.text();
    for line in ["tributary_tracker_connections 1", "tributary_tracker_requests_total{type=\"hello\"} 1"] {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn the_address_for_websockets_says_so_to_others() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let answer = server.get("/v1/swarm").await?;
    assert_eq!(answer.status, 400);
    assert!(answer.text().starts_with("this address is for WebSockets"));
    Ok(())
}

#[tokio::test]
async fn a_page_that_is_not_built_says_how_to_build_it() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let answer = server.get("/").await?;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.text(),
        "the page is not there: name the directory of a built page with --www, or make it with `cargo xtask page`\n"
    );
    Ok(())
}

#[tokio::test]
async fn the_page_is_served_compressed_and_checked_for_freshness() -> anyhow::Result<()> {
    let www = tempfile::tempdir()?;
    std::fs::write(www.path().join("index.html"), "<!doctype html>")?;
    std::fs::write(www.path().join("peer.wasm"), "plain")?;
    std::fs::write(www.path().join("peer.wasm.br"), "small")?;
    let directory = www.path().to_owned();
    let server = Server::start_with(|config| config.page = Page::Directory(directory)).await?;
    let index = server.get("/").await?;
    assert_eq!((&index.text()[..], index.header("cache-control")), ("<!doctype html>", "no-cache"));
    assert_eq!(index.header("x-content-type-options"), "nosniff");
    let headers = [("accept-encoding", "gzip, br")];
    let wasm = request(server.address, "GET", "/peer.wasm", &headers, bytes::Bytes::new()).await?;
    assert_eq!((&wasm.text()[..], wasm.header("content-encoding")), ("small", "br"));
    assert_eq!(wasm.header("content-type"), "application/wasm");
    assert_eq!(server.get("/peer.wasm").await?.text(), "plain");
    let missing = server.get("/nothing").await?;
    assert_eq!((missing.status.as_u16(), &missing.text()[..]), (404, "there is no such page\n"));
    let outside = server.get("/../Cargo.toml").await?;
    assert_eq!(outside.status, 404);
    Ok(())
}

const INSIDE: &[PageFile] = &[
    PageFile { path: "index.html", plain: b"<!doctype html>", brotli: None },
    PageFile { path: "app/main.js", plain: b"plain", brotli: Some(b"small") },
    PageFile { path: "peer.wasm", plain: b"wasm", brotli: None },
];

#[tokio::test]
async fn a_page_inside_the_program_is_served_like_one_in_a_directory() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.page = Page::Inside(INSIDE)).await?;
    let index = server.get("/").await?;
    assert_eq!((&index.text()[..], index.header("cache-control")), ("<!doctype html>", "no-cache"));
    assert_eq!(index.header("content-type"), "text/html");
    assert!(index.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(server.get("/peer.wasm").await?.header("content-type"), "application/wasm");
    let ask = async |headers: &[(&'static str, &str)]| {
        request(server.address, "GET", "/app/main.js", headers, bytes::Bytes::new()).await
    };
    let plain = ask(&[]).await?;
    assert_eq!((&plain.text()[..], plain.header("vary")), ("plain", "accept-encoding"));
    let compressed = ask(&[("accept-encoding", "gzip, br")]).await?;
    assert_eq!((&compressed.text()[..], compressed.header("content-encoding")), ("small", "br"));
    assert_eq!(compressed.header("content-type"), "text/javascript");
    // A browser that has it already is told so; a tag of the other form does not count.
    let tag = plain.header("etag").to_owned();
    assert_eq!(ask(&[("if-none-match", &tag)]).await?.status, 304);
    assert_eq!(ask(&[("if-none-match", &tag), ("accept-encoding", "br")]).await?.text(), "small");
    let missing = server.get("/nothing").await?;
    assert_eq!((missing.status.as_u16(), &missing.text()[..]), (404, "there is no such page\n"));
    let posted = request(server.address, "POST", "/", &[], bytes::Bytes::new()).await?;
    assert_eq!(posted.status, 405);
    Ok(())
}

#[tokio::test]
async fn a_program_without_a_page_says_how_to_get_one() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.page = Page::Inside(&[])).await?;
    let answer = server.get("/").await?;
    assert_eq!(answer.status, 404);
    assert!(answer.text().starts_with("this program was built without the page"), "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn a_path_with_two_slashes_leads_to_no_other_host() -> anyhow::Result<()> {
    let www = tempfile::tempdir()?;
    std::fs::create_dir(www.path().join("app"))?;
    let directory = www.path().to_owned();
    let server = Server::start_with(|config| config.page = Page::Directory(directory.clone())).await?;
    let below = Server::start_with(|config| {
        config.page = Page::Directory(directory);
        config.base_path = "/films".parse().unwrap();
    })
    .await?;
    for (server, path) in
        [(&server, "//app"), (&server, "///app"), (&below, "/films//app"), (&below, "//films/app")]
    {
        let answer = server.get(path).await?;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (404, ""), "{path}");
    }
    assert_eq!(server.get("/app").await?.header("location"), "/app/");
    Ok(())
}
