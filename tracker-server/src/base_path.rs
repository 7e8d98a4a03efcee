//! The path below which a tracker is served, for proxies that pass it on instead of taking it away.
//!
//! The page computes all its addresses from its own, so only the routes of this tracker have to know the path.

use std::fmt;
use std::str::FromStr;

use axum::Router;
use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::uri::PathAndQuery;
use axum::http::{Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tower_service::Service;

use crate::http::refuse;

/// Routes that answer outside the base path as well: health checks come to the tracker past the proxy.
const HEALTH: [&str; 2] = ["/healthz", "/readyz"];

/// The path: empty, or with a slash in front and none at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

/// A text that is no base path. Show it; it says what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path; one looks like /films: letters, digits, - . _ ~ and single slashes")]
pub struct BasePathError(String);

impl FromStr for BasePath {
    type Err = BasePathError;
    fn from_str(text: &str) -> Result<Self, BasePathError> {
        let path = text.strip_suffix('/').unwrap_or(text);
        if path.is_empty() {
            return Ok(Self::default());
        }
        let is_plain = |part: &str| {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !matches!(part, "" | "." | "..") && part.bytes().all(is_letter)
        };
        match path.strip_prefix('/') {
            Some(parts) if parts.split('/').all(is_plain) => Ok(Self(path.to_owned())),
            Some(_) | None => Err(BasePathError(text.to_owned())),
        }
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a request relates to the base path.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Below it, at this path and query.
    Below(PathAndQuery),
    /// At the path itself, without its slash: relative addresses would be those beside it.
    AtFolder,
    /// Elsewhere.
    Outside,
}

impl BasePath {
    fn place(&self, uri: &Uri) -> Place {
        match uri.path().strip_prefix(&self.0) {
            Some("") => Place::AtFolder,
            Some(path) if path.starts_with('/') => {
                let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                format!("{path}{query}").parse().map_or(Place::Outside, Place::Below)
            }
            Some(_) | None => Place::Outside,
        }
    }
}

/// Serves `router` below a path.
pub(crate) fn below(base: &BasePath, router: Router) -> Router {
    if base.0.is_empty() {
        return router;
    }
    let base = base.clone();
    Router::new().fallback(async move |request: Request<Body>| answer(&base, router, request).await)
}

async fn answer(base: &BasePath, mut router: Router, mut request: Request<Body>) -> Response {
    let place = base.place(request.uri());
    match place {
        Place::AtFolder => {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            (StatusCode::PERMANENT_REDIRECT, [(LOCATION, format!("{base}/{query}"))]).into_response()
        }
        Place::Outside if !HEALTH.contains(&request.uri().path()) => refuse(
            StatusCode::NOT_FOUND,
            format_args!(
                "this tracker is served below {base}/ (--base-path); a proxy in front of it must not take the path away"
            ),
        ),
        Place::Below(path) => {
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = Some(path);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
            run(&mut router, request).await
        }
        Place::Outside => run(&mut router, request).await,
    }
}

async fn run(router: &mut Router, request: Request<Body>) -> Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_with_or_without_its_last_slash() {
        for (text, path) in
            [("", ""), ("/", ""), ("/t", "/t"), ("/t/", "/t"), ("/films/a-b_c.d~1", "/films/a-b_c.d~1")]
        {
            assert_eq!(text.parse::<BasePath>().unwrap().to_string(), path, "{text}");
        }
        for text in
            ["t", "//", "/t//", "/a//b", "/..", "/a/./b", "/a b", "/ä", "/a?b", "/a#b", "https://host/t"]
        {
            assert!(text.parse::<BasePath>().unwrap_err().to_string().contains("/films"), "{text}");
        }
    }

    #[test]
    fn what_is_below_loses_the_path_and_keeps_its_query() {
        let base: BasePath = "/t".parse().unwrap();
        let place = |uri: &str| base.place(&uri.parse().unwrap());
        for (uri, below) in [
            ("/t/", "/"),
            ("/t/v1/swarms?after=3", "/v1/swarms?after=3"),
            ("http://host/t/a", "/a"),
            ("/t//evil", "//evil"),
        ] {
            assert_eq!(place(uri), Place::Below(below.parse().unwrap()), "{uri}");
        }
        assert_eq!((place("/t"), place("/t?a=b")), (Place::AtFolder, Place::AtFolder));
        for uri in ["/", "/tt", "/tt/a", "/v1/swarm", "/T/", "*"] {
            assert_eq!(place(uri), Place::Outside, "{uri}");
        }
    }
}
