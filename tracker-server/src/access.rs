//! Which pages may use a tracker, and by which names it may be reached.
//!
//! * **Origin.** Browsers say on whose behalf they ask. A page of another origin may use the tracker only if the
//!   operator allows that origin; the tracker's own page and programs, which send no origin, always may.
//! * **Host.** A tracker on a private address can be reached by web pages through a name that its owner points at that
//!   address (DNS rebinding); the page then counts as the tracker's own. So on a private address only names are served
//!   that nobody outside can point there: addresses, names without a public suffix, and those of allowed origins.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use swarm_core::publisher::TrackerName;
use swarm_core::web_address::{WebAddress, is_private_address, is_private_name};
use tokio::time::sleep;

use crate::http::{refuse, too_many};
use crate::hub::Hub;
use crate::limits::REFUSAL_PAUSE;

/// Who sent a request, by its TCP connection or, behind a trusted proxy, by what the proxy says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    /// Where it came from.
    pub(crate) address: IpAddr,
    /// Whether its TCP connection is that of a trusted proxy.
    pub(crate) is_proxied: bool,
    /// Whether headers may say who sent a request: not behind a PROXY header that names no sender.
    pub(crate) is_forwarding: bool,
    /// The address of this machine that it came to.
    pub(crate) local: IpAddr,
    /// Whether it came over TLS, which only a program that accepted this tracker's certificate for that name does.
    pub(crate) is_encrypted: bool,
}

/// The name by which the sender of a request calls this tracker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CalledAs(pub(crate) TrackerName);

/// How a request addresses this tracker, as far as proxies tell.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `HOST` or `HOST:PORT`.
    pub(crate) host: String,
    /// Whether it came over TLS, here or at a trusted proxy. For addresses that are given out; nothing is permitted by it.
    pub(crate) is_https: bool,
}

/// Origins whose pages may use a tracker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    is_any: bool,
    /// In lower case, without a trailing slash.
    origins: Vec<String>,
}

impl AllowedOrigins {
    /// Reads origins such as `https://example.org`, or `*` for all. The error is the text that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut allowed = Self::default();
        for text in texts {
            let origin = text.trim_end_matches('/').to_ascii_lowercase();
            let is_origin = is_origin(&origin);
            match origin.as_str() {
                "*" => allowed.is_any = true,
                // Browsers leave the port out where it is the scheme's own.
                _ if is_origin => allowed.origins.push(without_default_port(&origin).to_owned()),
                _ => return Err(text.to_owned()),
            }
        }
        Ok(allowed)
    }

    /// The origins one by one, for a policy; empty if all are allowed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.origins.iter().map(String::as_str)
    }

    /// Whether all are allowed.
    pub(crate) const fn is_any(&self) -> bool {
        self.is_any
    }

    fn has_origin(&self, origin: &str) -> bool {
        self.is_any || self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    fn has_host(&self, host: &str) -> bool {
        self.origins.iter().any(|origin| authority(origin).is_some_and(|allowed| name(allowed) == name(host)))
    }
}

/// How a request relates to the tracker's own origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// The tracker's own page, or a program.
    Own,
    /// A page of an origin that is allowed.
    Allowed,
    /// A page of another origin.
    Foreign,
}

/// Whether a text is `SCHEME://HOST[:PORT]`. Schemes of browsers' extensions are allowed, wildcards in names are not.
fn is_origin(text: &str) -> bool {
    let scheme = text.split("://").next().unwrap_or_default();
    let is_scheme = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme
        && WebAddress::read(text, &[scheme])
            .is_some_and(|address| address.path.is_empty() && address.query.is_none())
}

/// An origin without a port that is its scheme's own.
fn without_default_port(origin: &str) -> &str {
    let port = if origin.starts_with("https://") { ":443" } else { ":80" };
    origin.strip_suffix(port).unwrap_or(origin)
}

fn relation(allowed: &AllowedOrigins, origin: Option<&str>, host: &str) -> Relation {
    let Some(origin) = origin else { return Relation::Own };
    let default_port = if origin.starts_with("https://") { ":443" } else { ":80" };
    let plain = |authority: &str| authority.trim_end_matches(default_port).to_ascii_lowercase();
    if authority(origin).is_some_and(|own| plain(own) == plain(host)) {
        Relation::Own
    } else if allowed.has_origin(origin) {
        Relation::Allowed
    } else {
        Relation::Foreign
    }
}

/// Whether a request that came to the address `local` may call this machine `host`.
fn is_host_allowed(allowed: &AllowedOrigins, local: IpAddr, host: &str) -> bool {
    let name = name(host);
    !is_private_address(local)
        || name.is_empty()
        || name.parse::<IpAddr>().is_ok()
        || is_private_name(&name)
        || allowed.has_host(host)
}

/// How a request reached this tracker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached<'a> {
    /// The host that its sender calls this tracker by.
    pub(crate) host: &'a str,
    /// Who sent it.
    pub(crate) sender: IpAddr,
    /// The address of this machine that it came to.
    pub(crate) local: IpAddr,
    /// Whether it came over TLS.
    pub(crate) is_encrypted: bool,
}

impl Reached<'_> {
    /// Whether this tracker can tell by itself that the host is one of its own, so that a publisher that calls it so did not
    /// mean another machine. `certified` are the names of its certificate.
    ///
    /// A hostile tracker can ask this one for a challenge, have a publisher sign it, and show the answer here under its own name:
    /// the sender chooses the `Host`. So a name counts if the certificate has it, and an address if the connection came to it.
    /// Addresses and names of private networks mean another machine in another network; they count where sender and tracker are
    /// in one, since the signature then comes from there, too.
    pub(crate) fn is_own_name(&self, certified: &[String]) -> bool {
        let name = name(self.host);
        if self.is_encrypted && certified.iter().any(|own| own.eq_ignore_ascii_case(&name)) {
            return true;
        }
        let is_near = is_private_address(self.sender) && is_private_address(self.local);
        match name.parse::<IpAddr>() {
            Ok(address) if is_private_address(address) => is_near,
            Ok(address) => address.to_canonical() == self.local.to_canonical(),
            Err(_) => is_near && is_private_name(&name),
        }
    }
}

fn authority(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, authority)| authority)
}

/// A host without its port, in lower case; an IPv6 address without brackets.
fn name(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// What the proxy said: the last entry, since those before it are the sender's own words.
fn last_of<'a>(headers: &'a HeaderMap, header: &str) -> Option<&'a str> {
    headers.get_all(header).iter().next_back()?.to_str().ok()?.rsplit(',').next().map(str::trim)
}

/// The host that a request is for, as [RFC 9112, section 3.2] has it. None if that is not clear: what stands before this
/// tracker may have read another one.
///
/// [RFC 9112, section 3.2]: https://www.rfc-editor.org/rfc/rfc9112#section-3.2
fn host(request: &Request<Body>) -> Option<&str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?,
        (None, None) if request.uri().authority().is_some() || request.version() < Version::HTTP_11 => "",
        _ => return None,
    };
    let authority = request.uri().authority().map(|authority| authority.as_str());
    Some(authority.and_then(|authority| authority.rsplit('@').next()).unwrap_or(host))
}

/// The origin of the page on whose behalf a request comes. One that cannot be read, or several, are nobody's.
fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let first = origins.next()?;
    Some(first.to_str().ok().filter(|_| origins.next().is_none()).unwrap_or("null"))
}

/// Checks host and origin of a request, and says in the answer whether its page may read it.
pub(crate) async fn guard(State(hub): State<Arc<Hub>>, mut request: Request<Body>, next: Next) -> Response {
    let proxies = &hub.config.proxies;
    let headers = request.headers();
    // After a PROXY header the connection is its sender's, who may be no proxy.
    let sender = request.extensions().get::<Sender>().copied();
    let is_believed = sender.is_some_and(|sender| sender.is_forwarding && proxies.trusts(sender.address));
    let forwarded_host = is_believed.then(|| last_of(headers, "x-forwarded-host")).flatten();
    // In the address of a redirect, two slashes would name another host.
    if request.uri().path().starts_with("//") {
        return refuse(StatusCode::NOT_FOUND, "there is no such page");
    }
    let Some(asked) = host(&request) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "a request names the host that it is for once, in letters of ASCII",
        );
    };
    let host = forwarded_host.unwrap_or(asked).to_owned();
    let origin = origin(headers).map(str::to_owned);
    let address = sender.filter(|_| is_believed).map(|sender| proxies.sender(sender.address, headers));
    let is_proxied_https = is_believed && last_of(headers, "x-forwarded-proto") == Some("https");
    let is_https = is_proxied_https || sender.is_some_and(|sender| sender.is_encrypted);
    request.extensions_mut().insert(Asked { host: host.clone(), is_https });
    let mut called = CalledAs(TrackerName::UNKNOWN);
    if let Some(sender) = request.extensions_mut().get_mut::<Sender>() {
        sender.address = address.unwrap_or(sender.address);
        let Sender { address, local, is_encrypted, .. } = *sender;
        called = CalledAs(hub.config.called(Reached { host: &host, sender: address, local, is_encrypted }));
        // A proxy serves the names that it is set up for.
        if !sender.is_proxied
            && !sender.is_encrypted
            && !is_host_allowed(&hub.config.allowed_origins, sender.local, &host)
            && !hub.config.is_public_host(&host)
        {
            let text = format_args!(
                "this tracker is on a private address and does not know itself as {host}; \
                 its operator can add the name with --allow-origin http://{host}"
            );
            return refuse(StatusCode::MISDIRECTED_REQUEST, text);
        }
    }
    request.extensions_mut().insert(called);
    if let Some(Sender { address, is_proxied, .. }) = request.extensions().get::<Sender>().copied()
        && let Err(retry_after_ms) = hub.admit_request(address)
    {
        // A refusal costs almost as much as an answer. The connections of a proxy carry the requests of others as well.
        if !is_proxied {
            sleep(REFUSAL_PAUSE).await;
        }
        return too_many("too many requests from your address", retry_after_ms);
    }
    let is_shared = request.uri().path().starts_with("/v1/");
    let relation = relation(&hub.config.allowed_origins, origin.as_deref(), &host);
    match (relation, origin) {
        (Relation::Foreign, Some(origin)) if is_shared && origin == "null" => refuse(
            StatusCode::FORBIDDEN,
            "pages without an origin (of files, or in a sandbox) may not use this tracker; serve the page from a host",
        ),
        (Relation::Foreign, Some(origin)) if is_shared => refuse(
            StatusCode::FORBIDDEN,
            format_args!(
                "pages of {origin} may not use this tracker; its operator can allow them with --allow-origin {origin}"
            ),
        ),
        // Such a page may load the peer's scripts as well.
        (Relation::Allowed, Some(origin)) => {
            let is_preflight = request.method() == Method::OPTIONS;
            let mut answer =
                if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
            permit(answer.headers_mut(), &origin);
            answer
        }
        _ => next.run(request).await,
    }
}

/// Keeps web pages away from the private listener. A page that points a name of its own at this machine is of that name's
/// origin and reads what it asks for, so names that are not this network's are refused, whatever address is listened on.
pub(crate) async fn guard_private(
    State(hub): State<Arc<Hub>>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let is_known = host(&request)
        .is_some_and(|host| is_host_allowed(&hub.config.allowed_origins, Ipv4Addr::LOCALHOST.into(), host));
    if origin(request.headers()).is_some() || !is_known {
        return refuse(
            StatusCode::FORBIDDEN,
            "this listener is for operators, by its address or a name of their own network, and not for pages",
        );
    }
    next.run(request).await
}

/// Lets pages of an origin read an answer.
fn permit(headers: &mut HeaderMap, origin: &str) {
    let Ok(origin) = HeaderValue::from_str(origin) else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, PUT, DELETE"));
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, if-none-match, tributary-proof"),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(texts: &[&str]) -> AllowedOrigins {
        AllowedOrigins::parse(texts.iter().copied()).unwrap()
    }

    #[test]
    fn the_own_page_and_programs_are_no_strangers() {
        let none = AllowedOrigins::default();
        for (origin, host) in [
            (None, "example.org"),
            (Some("https://example.org"), "example.org"),
            (Some("https://Example.org"), "example.org:443"),
            (Some("http://127.0.0.1:8080"), "127.0.0.1:8080"),
            (Some("http://[::1]:8080"), "[::1]:8080"),
        ] {
            assert_eq!(relation(&none, origin, host), Relation::Own, "{origin:?} {host}");
        }
        for origin in
            ["https://evil.example", "http://127.0.0.1:9090", "null", "https://example.org.evil", ""]
        {
            assert_eq!(relation(&none, Some(origin), "example.org"), Relation::Foreign, "{origin}");
        }
    }

    #[test]
    fn the_operator_allows_origins_one_by_one_or_all() {
        let some = allowed(&["https://films.example/", "http://a:1"]);
        assert_eq!(relation(&some, Some("https://films.example"), "t"), Relation::Allowed);
        assert_eq!(relation(&some, Some("https://films.example:444"), "t"), Relation::Foreign);
        assert_eq!(relation(&allowed(&["*"]), Some("null"), "t"), Relation::Allowed);
        let with_port = allowed(&["https://films.example:443", "http://films.example:80"]);
        assert_eq!(relation(&with_port, Some("https://films.example"), "t"), Relation::Allowed);
        assert_eq!(relation(&with_port, Some("http://films.example"), "t"), Relation::Allowed);
        for text in ["films.example", "https://", "https://a/b", ""] {
            assert_eq!(AllowedOrigins::parse([text]), Err(text.to_owned()));
        }
    }

    #[test]
    fn on_a_private_address_a_public_name_is_refused_unless_the_operator_names_it() {
        let none = AllowedOrigins::default();
        for local in ["127.0.0.1", "192.168.1.5", "10.0.0.1", "100.64.0.1", "fd00::1", "::1"] {
            let local: IpAddr = local.parse().unwrap();
            for host in
                ["127.0.0.1:8080", "[::1]:8080", "localhost:8080", "films", "nas.local", "a.home.arpa"]
            {
                assert!(is_host_allowed(&none, local, host), "{local} {host}");
            }
            for host in ["evil.example", "rebound.evil.example:8080", "127.0.0.1.evil.example", "local.evil."]
            {
                assert!(!is_host_allowed(&none, local, host), "{local} {host}");
                assert!(
                    is_host_allowed(&allowed(&[&format!("http://{host}")]), local, host),
                    "{local} {host}"
                );
            }
        }
        assert!(is_host_allowed(&none, "203.0.113.1".parse().unwrap(), "films.example"));
    }

    #[test]
    fn a_tracker_knows_by_itself_only_names_that_mean_this_machine() {
        let is_own = |host, sender: &str, local: &str, is_encrypted| {
            let (sender, local) = (sender.parse().unwrap(), local.parse().unwrap());
            Reached { host, sender, local, is_encrypted }.is_own_name(&["films.example".into()])
        };
        let (far, public) = ("198.51.100.7", "203.0.113.1");
        assert!(is_own("Films.example:8443", far, public, true));
        assert!(!is_own("films.example", far, public, false), "without TLS the name proves nothing");
        assert!(is_own("203.0.113.1:8080", far, public, false));
        assert!(is_own("[2001:db8::1]:8080", far, "2001:db8::1", false));
        for host in
            ["evil.example", "198.51.100.7", "203.0.113.2:8080", "", "192.168.1.5", "nas.local", "localhost"]
        {
            assert!(!is_own(host, far, public, false), "{host}");
            assert!(!is_own(host, far, "127.0.0.1", false), "{host}, through a proxy");
        }
        for host in ["192.168.1.5:8080", "localhost:8080", "127.0.0.1", "[::1]:80", "films", "nas.local."] {
            assert!(is_own(host, "192.168.1.9", "192.168.1.5", false), "{host}");
        }
        assert!(!is_own("evil.example", "192.168.1.9", "192.168.1.5", false));
    }

    #[test]
    fn only_the_last_host_that_a_proxy_names_is_believed() {
        let mut headers = HeaderMap::new();
        let host = |headers: &HeaderMap| last_of(headers, "x-forwarded-host").map(str::to_owned);
        assert_eq!(host(&headers), None);
        headers.append("x-forwarded-host", HeaderValue::from_static("evil.example"));
        headers.append("x-forwarded-host", HeaderValue::from_static("b.example, films.example"));
        assert_eq!(host(&headers).as_deref(), Some("films.example"));
    }
}
