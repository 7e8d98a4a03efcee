//! What other sites are told, and what readers of the catalogue ask.

use anyhow::Context;
use tracker_server::CATALOGUE_LOOKS_PER_REQUEST;
use tracker_server::Page;
use tracker_server::access::AllowedOrigins;
use tracker_server::decision::Rate;
use tracker_server::page::PageFile;

use crate::harness::{POSTER, Server, manifest_with_poster, request};

#[tokio::test]
async fn the_player_may_be_embedded_where_the_operator_says_and_its_script_read_everywhere()
-> anyhow::Result<()> {
    let files: &'static [PageFile] = &[
        PageFile { path: "index.html", plain: b"page", brotli: None },
        PageFile { path: "embed.html", plain: b"player", brotli: None },
        PageFile { path: "embed.js", plain: b"script", brotli: None },
    ];
    let server = Server::start_with(|config| {
        config.page = Page::Inside(files);
        config.embed_origins = AllowedOrigins::parse(["https://blog.example"]).unwrap();
    })
    .await?;
    let ask = async |path: &str| {
        request(server.address, "GET", path, &[("origin", "https://x.example")], Vec::new().into()).await
    };
    let player = ask("/embed?start=3").await?;
    assert_eq!(player.text(), "player");
    let policy = player.header("content-security-policy").to_owned();
    assert!(policy.ends_with("frame-ancestors 'self' https://blog.example"), "{policy}");
    let page = ask("/").await?;
    assert!(page.header("content-security-policy").ends_with("frame-ancestors 'self'"));
    let script = ask("/embed.js").await?;
    assert_eq!(script.header("access-control-allow-origin"), "*");
    assert_eq!(page.header("access-control-allow-origin"), "");
    Ok(())
}

#[tokio::test]
async fn readers_of_links_are_told_a_title_a_picture_and_a_frame() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (swarm, bytes) = manifest_with_poster("image/webp", POSTER)?;
    server.put(&format!("/v1/manifests/{swarm}"), bytes).await?;
    let link = format!("http://{}/", server.address).replace(':', "%3A").replace('/', "%2F");
    let answer = server.get(&format!("/oembed?url={link}%23{swarm}&maxwidth=320")).await?;
    let said: serde_json::Value = serde_json::from_str(&answer.text())?;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        (&said["version"], &said["width"], &said["height"]),
        (&"1.0".into(), &320.into(), &180.into())
    );
    let frame = format!("<iframe src=\"http://{}/embed#{swarm}\" width=\"320\"", server.address);
    assert!(said["html"].as_str().unwrap().starts_with(&frame), "{said}");
    for (query, status) in [
        (String::new(), 400),
        (format!("url={link}%23{swarm}&format=xml"), 501),
        (format!("url=https%3A%2F%2Fevil.example%2F%23{swarm}"), 404),
        (format!("url={link}%23{}", "0".repeat(64)), 404),
    ] {
        assert_eq!(server.get(&format!("/oembed?{query}")).await?.status, status, "{query}");
    }
    let preview = server.get(&format!("/watch/{swarm}")).await?;
    let text = preview.text();
    assert!(text.contains("application/json+oembed") && text.contains(&format!("../#{swarm}")), "{text}");
    assert!(preview.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(server.get("/watch/short").await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn the_catalogue_is_searched_and_sorted() -> anyhow::Result<()> {
    let server = Server::start().await?;
    for name in ["b river", "a river", "a sea"] {
        server.publish(name).await?;
    }
    let names = async |query: &str| {
        let answer = server.get(&format!("/v1/swarms?{query}")).await?;
        let said: serde_json::Value = serde_json::from_str(&answer.text())?;
        let names = said["swarms"].as_array().context("no list")?.iter();
        anyhow::Ok(
            names.map(|entry| entry["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(names("").await?.len(), 3);
    assert_eq!(names("q=RIVER&sort=name").await?, ["a river", "b river"]);
    assert_eq!(names("q=river+a").await?, ["a river"]);
    assert_eq!(names("q=mountain").await?, [""; 0]);
    assert_eq!(server.get("/v1/swarms?sort=size").await?.status, 400);
    assert_eq!(server.get(&format!("/v1/swarms?q={}", "x".repeat(201))).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn searches_of_one_address_are_counted_by_what_they_cost() -> anyhow::Result<()> {
    // To publish takes two requests.
    let published = u32::try_from(CATALOGUE_LOOKS_PER_REQUEST)?;
    let burst = 2 * published + 100;
    let server = Server::start_with(|config| config.requests = Rate { per_s: 1, burst }).await?;
    for number in 0..published {
        server.publish(&format!("film {number}")).await?;
    }
    let mut answers = Vec::new();
    for _ in 0..40 {
        answers.push(server.get("/v1/swarms?q=a+b+c+d+e+f+g+h").await?);
        if answers.last().is_some_and(|answer| answer.status == 429) {
            break;
        }
    }
    let refused = answers.last().context("nothing was asked")?;
    assert_eq!(refused.status, 429, "40 searches of 8 words passed as 40 requests");
    assert!(refused.text().contains("too many searches from your address"), "{}", refused.text());
    Ok(())
}
