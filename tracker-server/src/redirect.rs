//! The listener without TLS that sends browsers to the page: people type names without `https://`.

use axum::Router;
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};

use crate::http::refuse;
use crate::tls::Tls;

/// The port of `https://`.
pub(crate) const HTTPS_PORT: u16 = 443;

/// Sends every request to `tls` at `port`, and nowhere else.
pub(crate) fn router(tls: Option<&Tls>, port: u16) -> Router {
    let tls = tls.cloned();
    Router::new().fallback(async move |uri: Uri, headers: HeaderMap| {
        let names = tls.as_ref().map(Tls::names).unwrap_or_default();
        let asked = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        target(&names, asked, port, &uri)
    })
}

/// Where the request belongs: the name that it was for if the certificate has it, and the certificate's first one if not.
fn target(names: &[String], asked: &str, port: u16, uri: &Uri) -> Response {
    let asked = asked.rsplit_once(':').map_or(asked, |(name, _)| name);
    let own = names.iter().find(|name| name.eq_ignore_ascii_case(asked));
    let Some(name) = own.or(names.first()) else {
        return refuse(StatusCode::NOT_FOUND, "this address speaks HTTPS at another port");
    };
    let place = authority(name, port);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Redirect::permanent(&format!("https://{place}{path}")).into_response()
}

/// How a name and a port are written in `https://…`.
pub(crate) fn authority(name: &str, port: u16) -> String {
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    if port == HTTPS_PORT { name } else { format!("{name}:{port}") }
}

#[cfg(test)]
mod tests {
    use axum::http::header::LOCATION;

    use super::*;

    fn location(names: &[&str], asked: &str, port: u16, path: &'static str) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let answer = target(&names, asked, port, &Uri::from_static(path));
        answer.headers().get(LOCATION).map(|place| place.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_request_is_sent_to_a_name_of_the_certificate_and_to_no_other() {
        let names = ["films.example.org", "www.example.org", "2001:db8::1"];
        for (asked, port, path, expected) in [
            ("films.example.org", 443, "/", "https://films.example.org/"),
            ("WWW.example.org:80", 443, "/a?b=c", "https://www.example.org/a?b=c"),
            ("films.example.org:8080", 8443, "/", "https://films.example.org:8443/"),
            ("evil.example", 443, "/a", "https://films.example.org/a"),
            ("", 443, "/", "https://films.example.org/"),
        ] {
            assert_eq!(location(&names, asked, port, path), expected, "{asked}");
        }
        assert_eq!(location(&["2001:db8::1"], "x", 8443, "/"), "https://[2001:db8::1]:8443/");
        assert_eq!(location(&[], "evil.example", 443, "/"), "", "a certificate without names");
    }
}
