//! What other sites read of a content before they show it: oEmbed (<https://oembed.com>), and an address without a `#` whose
//! head has a title and a picture for link previews.
//!
//! A link names its swarm behind the `#`, which no request carries. So the page cannot tell a reader of links where its
//! oEmbed answer is; `watch/SWARM` can, and leads on to the page.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use swarm_core::SwarmId;

use crate::access::Asked;
use crate::http::{refusal_to_show, refuse};
use crate::hub::Hub;
use crate::manifests::CatalogueEntry;

/// The size of a player if its site says nothing, CSS pixels.
const PLAYER: (u32, u32) = (640, 360);

/// The smallest player that still has room for controls, CSS pixels.
const PLAYER_MIN: (u32, u32) = (160, 90);

/// What the frame of a player may do.
const ALLOW: &str = "autoplay; fullscreen; picture-in-picture";

/// What may happen on the page of an address for link previews: nothing.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is asked of the oEmbed endpoint.
#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    url: String,
    format: Option<String>,
    maxwidth: Option<u32>,
    maxheight: Option<u32>,
}

/// An oEmbed answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    version: &'static str,
    r#type: &'static str,
    provider_name: &'static str,
    provider_url: String,
    title: &'a str,
    html: String,
    width: u32,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    has_poster: bool,
}

/// Answers how a content is embedded, for the address of its page, of its embed or of its preview.
pub(crate) async fn oembed(
    State(hub): State<Arc<Hub>>,
    Extension(asked): Extension<Asked>,
    question: Result<Query<Question>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Query(question)) = question else {
        return refuse(StatusCode::BAD_REQUEST, "`url` is the address of a content's page");
    };
    if question.format.as_deref().is_some_and(|format| format != "json") {
        return refuse(StatusCode::NOT_IMPLEMENTED, "this endpoint speaks JSON only");
    }
    let base = hub.config.base_path.to_string();
    let Some((page, swarm)) = content_of(&question.url, &asked.host, &base) else {
        return refuse(StatusCode::NOT_FOUND, "`url` is no address of a content at this tracker");
    };
    if let Some(refusal) = refusal_to_show(&hub, &headers, Some(swarm)) {
        return refusal;
    }
    let Some(entry) = hub.entry(swarm) else {
        return refuse(StatusCode::NOT_FOUND, format_args!("no content {swarm} is published here"));
    };
    let (width, height) = size(question.maxwidth, question.maxheight);
    let answer = Answer {
        version: "1.0",
        r#type: if is_media(&entry.media_type) { "video" } else { "rich" },
        provider_name: "Tributary",
        html: frame(&page, swarm, title(&entry), (width, height)),
        provider_url: page,
        title: title(&entry),
        width,
        height,
        duration_ms: entry.duration_ms,
        has_poster: entry.has_poster,
    };
    let body = serde_json::to_string(&answer).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], body).into_response()
}

/// A page for programs that make previews of links; it leads people on.
pub(crate) async fn preview(
    State(hub): State<Arc<Hub>>,
    Extension(asked): Extension<Asked>,
    Path(swarm): Path<String>,
    headers: HeaderMap,
) -> Response {
    let swarm: SwarmId = match swarm.parse() {
        Ok(swarm) => swarm,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    // Those who may not see the title are led on without it.
    let is_shown = refusal_to_show(&hub, &headers, Some(swarm)).is_none();
    let entry = if is_shown { hub.entry(swarm) } else { None };
    let scheme = if asked.is_https { "https" } else { "http" };
    let page = format!("{scheme}://{}{}/", asked.host, hub.config.base_path);
    let about = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    (about, preview_html(&page, swarm, entry.as_ref())).into_response()
}

/// The address of the page and the swarm in an address of a content at this tracker.
fn content_of(url: &str, host: &str, base: &str) -> Option<(String, SwarmId)> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
    let is_here = authority.eq_ignore_ascii_case(host) && authority.chars().all(is_letter);
    let below = path.strip_prefix(base)?.strip_prefix('/').filter(|_| is_here)?;
    let (before, fragment) = below.split_once('#').unwrap_or((below, ""));
    let name = before.split('?').next().unwrap_or_default();
    let id = match name {
        "" | "embed" => fragment.split('&').next().unwrap_or_default(),
        _ => name.strip_prefix("watch/")?,
    };
    Some((format!("{scheme}://{authority}{base}/"), id.parse().ok()?))
}

/// The largest player of the usual shape within these bounds.
fn size(width_max: Option<u32>, height_max: Option<u32>) -> (u32, u32) {
    let width = width_max.unwrap_or(PLAYER.0).clamp(PLAYER_MIN.0, PLAYER.0);
    let of_width = width * PLAYER.1 / PLAYER.0;
    match height_max.map(|height| height.clamp(PLAYER_MIN.1, PLAYER.1)) {
        Some(height) if height < of_width => (height * PLAYER.0 / PLAYER.1, height),
        Some(_) | None => (width, of_width),
    }
}

fn title(entry: &CatalogueEntry) -> &str {
    entry.title.as_deref().unwrap_or(&entry.name)
}

fn is_media(media_type: &str) -> bool {
    media_type.starts_with("video/") || media_type.starts_with("audio/")
}

fn frame(page: &str, swarm: SwarmId, title: &str, (width, height): (u32, u32)) -> String {
    let (page, title) = (escaped(page), escaped(title));
    format!(
        "<iframe src=\"{page}embed#{swarm}\" width=\"{width}\" height=\"{height}\" title=\"{title}\" \
         allow=\"{ALLOW}\" allowfullscreen style=\"border:0\"></iframe>"
    )
}

fn preview_html(page: &str, swarm: SwarmId, entry: Option<&CatalogueEntry>) -> String {
    let words = escaped(entry.map_or("Tributary", title));
    let here = escaped(page);
    let mut head = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{words}</title>\n\
         <meta http-equiv=\"refresh\" content=\"0; url=../#{swarm}\">\n\
         <meta property=\"og:site_name\" content=\"Tributary\">\n<meta property=\"og:title\" content=\"{words}\">\n\
         <meta property=\"og:url\" content=\"{here}watch/{swarm}\">\n"
    );
    if let Some(entry) = entry {
        let encoded = format!("{page}watch/{swarm}").replace(':', "%3A").replace('/', "%2F");
        // A text always takes more.
        let _ = writeln!(
            head,
            "<link rel=\"alternate\" type=\"application/json+oembed\" href=\"{here}oembed?format=json&amp;url={}\" \
             title=\"{words}\">",
            escaped(&encoded)
        );
        if entry.has_poster {
            let _ =
                writeln!(head, "<meta property=\"og:image\" content=\"{here}v1/manifests/{swarm}/poster\">");
        }
        if is_media(&entry.media_type) {
            let _ = writeln!(head, "<meta property=\"og:type\" content=\"video.other\">");
        }
    }
    format!("{head}</head>\n<body><p><a href=\"../#{swarm}\">{words}</a></p></body>\n</html>\n")
}

/// Text inside HTML, in an attribute or outside of one.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWARM: SwarmId = SwarmId([0xab; 32]);

    fn entry(title: &str, media_type: &str) -> CatalogueEntry {
        CatalogueEntry {
            number: 1,
            swarm: SWARM,
            name: "film.mp4".into(),
            title: Some(title.into()),
            media_type: media_type.into(),
            length_bytes: 1,
            duration_ms: Some(1000),
            has_poster: true,
            seeders: 0,
            leechers: 0,
            created_s: 0,
        }
    }

    #[test]
    fn every_address_of_a_content_is_understood_and_those_of_others_are_not() {
        let id = SWARM.to_string();
        for (url, base, page) in [
            (format!("https://films.example/#{id}"), "", "https://films.example/"),
            (format!("https://films.example/?x=1#{id}&t=2:15"), "", "https://films.example/"),
            (format!("http://FILMS.example/embed?start=3#{id}"), "", "http://FILMS.example/"),
            (format!("https://films.example/a/watch/{id}"), "/a", "https://films.example/a/"),
        ] {
            assert_eq!(content_of(&url, "films.example", base), Some((page.to_owned(), SWARM)), "{url}");
        }
        for url in [
            format!("https://evil.example/#{id}"),
            format!("https://films.example:444/#{id}"),
            format!("https://films.example@evil.example/#{id}"),
            format!("javascript://films.example/#{id}"),
            format!("https://films.example/other#{id}"),
            format!("https://films.example/watch/{id}/x"),
            "https://films.example/#abcd".to_owned(),
            "https://films.example".to_owned(),
            String::new(),
        ] {
            assert_eq!(content_of(&url, "films.example", ""), None, "{url}");
        }
    }

    #[test]
    fn a_player_keeps_its_shape_within_what_a_site_allows() {
        for (width, height, expected) in [
            (None, None, (640, 360)),
            (Some(320), None, (320, 180)),
            (Some(4000), Some(4000), (640, 360)),
            (Some(640), Some(180), (320, 180)),
            (Some(0), Some(0), (160, 90)),
        ] {
            assert_eq!(size(width, height), expected);
        }
    }

    #[test]
    fn no_title_becomes_html() {
        let wild = "<script>\"'&";
        let html = frame("https://f.example/", SWARM, wild, (640, 360));
        assert!(html.contains("title=\"&lt;script&gt;&quot;&#39;&amp;\""), "{html}");
        assert!(html.contains(&format!("src=\"https://f.example/embed#{SWARM}\"")), "{html}");
        let page = preview_html("https://f.example/", SWARM, Some(&entry(wild, "video/mp4")));
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("application/json+oembed") && page.contains("og:image"), "{page}");
        assert!(page.contains(&format!("url=https%3A%2F%2Ff.example%2Fwatch%2F{SWARM}")), "{page}");
        let hidden = preview_html("https://f.example/", SWARM, None);
        assert!(hidden.contains("../#abab") && !hidden.contains("oembed"), "{hidden}");
    }
}
