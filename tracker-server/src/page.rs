//! The built page, served from a directory or from inside the program: compressed ahead of time, checked for freshness on
//! every use.

mod inside;

use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tower_http::services::ServeDir;

use crate::access::AllowedOrigins;

/// What the page may do; the same as in its own `meta` element, which cannot say who may embed it.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' blob:; media-src 'self' blob:; connect-src 'self' http: https: ws: wss:; worker-src 'self'; frame-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors";

/// The script that other sites load to embed the player. It has nothing to hide, so every site may read it.
const EMBED_SCRIPT: &str = "/embed.js";

/// Lets pages that take only what says so (COEP) take a file.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Addresses of pages without the ending of their files.
const PAGES: [(&str, &str); 2] = [("/embed", "/embed.html"), ("/try-embed", "/try-embed.html")];

const NOT_BUILT: &str = "the page is not there: name the directory of a built page with --www, or make it with `cargo xtask page`\n";
const NOT_INSIDE: &str = "this program was built without the page: run `cargo xtask page`, then build it again, or name \
    the directory of a built page with --www\n";
const NOT_FOUND: &str = "there is no such page\n";

/// Where the page is.
#[derive(Debug, Clone)]
pub enum Page {
    /// Files of a directory, which need not be there yet.
    Directory(PathBuf),
    /// Files inside the program; none where it was built without them.
    Inside(&'static [PageFile]),
}

impl Page {
    /// Why it cannot be served now, with what to do; `None` if it can.
    pub fn missing(&self) -> Option<String> {
        match self {
            Self::Directory(directory) => (!directory.is_dir()).then(|| {
                format!(
                    "{} is missing: no page is served until a built page is there (`cargo xtask page` makes one)",
                    directory.display()
                )
            }),
            Self::Inside(files) => files.is_empty().then(|| NOT_INSIDE.trim_end().to_owned()),
        }
    }
}

/// A file inside the program.
#[derive(Debug, Clone, Copy)]
pub struct PageFile {
    /// Its path below the page's address, without a slash in front.
    pub path: &'static str,
    /// Its bytes.
    pub plain: &'static [u8],
    /// The same compressed, if that is shorter.
    pub brotli: Option<&'static [u8]>,
}

/// Serves the page.
pub(crate) fn router(page: &Page, allowed: &AllowedOrigins, embedders: &AllowedOrigins) -> Router {
    if let Some(text) = page.missing() {
        tracing::warn!("{text}");
    }
    let files = match page {
        Page::Directory(directory) => below(directory),
        Page::Inside(files) => inside::router(files),
    };
    files.layer(from_fn_with_state(Policies::new(allowed, embedders), dress))
}

/// Finds the file of a page, and adds what browsers are to know of an answer.
async fn dress(State(policies): State<Policies>, mut request: Request<Body>, next: Next) -> Response {
    let policy = policies.of(request.uri().path());
    let is_script = request.uri().path() == EMBED_SCRIPT;
    if let Some(uri) = file_of(request.uri()) {
        *request.uri_mut() = uri;
    }
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    // The page and its service worker must never be older than the protocol that the tracker speaks.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    if is_script {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    }
    answer
}

/// The file behind an address that does not name it.
fn file_of(uri: &Uri) -> Option<Uri> {
    let (_, file) = PAGES.into_iter().find(|(address, _)| *address == uri.path())?;
    file.parse().ok()
}

/// What each part of the page may do, and who may embed it.
#[derive(Debug, Clone)]
struct Policies {
    page: HeaderValue,
    embed: HeaderValue,
}

impl Policies {
    /// Pages of the tracker's own origin and of allowed ones may embed everything; those of `embedders` the player as well.
    fn new(allowed: &AllowedOrigins, embedders: &AllowedOrigins) -> Self {
        Self { page: policy(&[allowed]), embed: policy(&[allowed, embedders]) }
    }

    fn of(&self, path: &str) -> HeaderValue {
        let is_embed = matches!(path, "/embed" | "/embed.html");
        if is_embed { self.embed.clone() } else { self.page.clone() }
    }
}

/// Serves the files of a directory.
fn below(directory: &Path) -> Router {
    let own = directory.to_owned();
    let missing = any(async move || {
        // Looked up each time: the page may have been built since the start.
        let is_built = tokio::fs::try_exists(own.join("index.html")).await.unwrap_or(false);
        not_found(if is_built { NOT_FOUND } else { NOT_BUILT })
    });
    Router::new().fallback_service(ServeDir::new(directory).precompressed_br().fallback(missing))
}

fn not_found(text: &'static str) -> Response {
    (StatusCode::NOT_FOUND, text).into_response()
}

/// The policy of a page that pages of the tracker's own origin and of these may embed.
fn policy(lists: &[&AllowedOrigins]) -> HeaderValue {
    let is_any = lists.iter().any(|list| list.is_any());
    let listed = lists.iter().flat_map(|list| list.iter());
    let ancestors: Vec<&str> =
        if is_any { vec!["*"] } else { ["'self'"].into_iter().chain(listed).collect() };
    let own = HeaderValue::from_static("frame-ancestors 'self'");
    HeaderValue::from_str(&format!("{POLICY} {}", ancestors.join(" "))).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_player_can_be_embedded_by_those_who_may_do_no_more() {
        let origins = |texts: &[&str]| AllowedOrigins::parse(texts.iter().copied()).unwrap();
        let ancestors = |policies: &Policies, path| {
            let policy = policies.of(path).to_str().unwrap().to_owned();
            policy.split("frame-ancestors ").nth(1).unwrap().to_owned()
        };
        let none = Policies::new(&origins(&[]), &origins(&[]));
        for path in ["/", "/embed", "/embed.html", "/index.html"] {
            assert_eq!(ancestors(&none, path), "'self'", "{path}");
        }
        let some = Policies::new(&origins(&["https://a.example"]), &origins(&["https://b.example"]));
        assert_eq!(ancestors(&some, "/"), "'self' https://a.example");
        assert_eq!(ancestors(&some, "/embed"), "'self' https://a.example https://b.example");
        let any = Policies::new(&origins(&[]), &origins(&["*"]));
        assert_eq!((ancestors(&any, "/embed"), ancestors(&any, "/")), ("*".into(), "'self'".into()));
    }

    #[test]
    fn pages_are_found_without_the_ending_of_their_files() {
        let file = |path: &str| file_of(&path.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(file("/embed?start=1").as_deref(), Some("/embed.html"));
        assert_eq!(file("/try-embed").as_deref(), Some("/try-embed.html"));
        assert_eq!((file("/"), file("/embed.js"), file("/embed/")), (None, None, None));
    }
}
