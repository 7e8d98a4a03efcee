//! Short-lived permissions to watch on a closed tracker: JSON Web Tokens (RFC 7519).
//!
//! The tracker mints them (`tracker-server token`), or a web application that shares the key does. Header: `alg` HS256 or
//! EdDSA, and `kid`, which names the key; several keys may be good at a time, so that they can be changed. Claims: `swarm`
//! (64 hexadecimal digits), `role` (`viewer` or `initial`), `exp` (seconds since 1970), `aud` (one audience or several), and where
//! it is there, `nbf`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use certificate_files::LOOK_INTERVAL;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use swarm_core::token::TOKEN_BYTES_MAX;
use swarm_core::tracker_message::Role;
use swarm_core::{SwarmId, Timestamp};
use tokio::time::interval;

use crate::decision::{EXPIRED, Permission};
use crate::limits::{TOKEN_LEEWAY_S, TOKEN_LIFETIME_MAX_S};
use crate::token_signatures;

/// The audience of tokens where the operator says nothing.
pub const AUDIENCE_DEFAULT: &str = "tributary";

/// Bytes of a shared secret, at least: as many as HS256 has bits to spare.
const SECRET_BYTES_MIN: usize = 32;

const EARLY: &str = "the permission to watch does not count yet; try again when it does";
const MISSING: &str =
    "watching here takes a permission, which is part of the link (&token=…); ask for the whole link";
const WRONG: &str =
    "the permission to watch is not one of this tracker; ask for a new link where you got this one";

const ENDLESS: &str = "the end of this permission (exp) is more than a hundred years away; it counts seconds since 1970, and this looks \
    like milliseconds";

/// What is read of a token. Its audience, one or several, is checked before.
#[derive(Debug, Deserialize)]
struct Read {
    swarm: SwarmId,
    role: Role,
    exp: u64,
}

/// What a new token says.
#[derive(Debug, Serialize)]
struct Claims {
    swarm: SwarmId,
    role: Role,
    exp: u64,
    aud: String,
}

/// One key that tokens are checked with.
#[derive(Clone)]
struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Checks tokens. Without keys there are none, and nobody is asked for one.
#[derive(Clone)]
pub struct ViewerTokens {
    /// The same for all clones, since they are read again.
    keys: Arc<RwLock<HashMap<String, Key>>>,
    /// Where they were read, each as `KID=FILE`.
    files: Vec<String>,
    audience: String,
    /// By how much the clock of the one who made a token may differ, seconds.
    leeway_s: u64,
}

impl Default for ViewerTokens {
    fn default() -> Self {
        Self {
            keys: Arc::default(),
            files: Vec::new(),
            audience: AUDIENCE_DEFAULT.to_owned(),
            leeway_s: TOKEN_LEEWAY_S,
        }
    }
}

impl fmt::Debug for ViewerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewerTokens").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ViewerTokens {
    /// Reads keys, each written `KID=FILE`: a public key of Ed25519 in PEM, or any secret of 32 bytes or more.
    pub fn read<'a>(keys: impl IntoIterator<Item = &'a str>, audience: &str) -> anyhow::Result<Self> {
        let mut tokens = Self { audience: audience.to_owned(), ..Self::default() };
        for named in keys {
            let (kid, text, is_exposed) = named_file(named)?;
            tokens.add(kid, &text).with_context(|| format!("--viewer-key {named}"))?;
            tokens.files.push(named.to_owned());
            if is_exposed && tokens.has_secret(kid) {
                flag_file::warn(&exposed(named));
            }
        }
        Ok(tokens)
    }

    /// Adds a key.
    pub fn add(&mut self, kid: &str, text: &str) -> anyhow::Result<()> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        add(&mut keys, kid, text)
    }

    /// Whether a key is one that makes permissions as well as checking them.
    fn has_secret(&self, kid: &str) -> bool {
        self.key(kid).is_some_and(|key| key.algorithm == Algorithm::HS256)
    }

    fn key(&self, kid: &str) -> Option<Key> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }

    /// The same with another leeway for clocks, seconds.
    pub const fn set_leeway(&mut self, leeway_s: u64) {
        self.leeway_s = leeway_s;
    }

    /// Whether viewers are asked for a token.
    pub fn is_empty(&self) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Reads the files of the keys again when they change.
    pub(crate) async fn keep(&self) -> Infallible {
        if self.files.is_empty() {
            std::future::pending::<()>().await;
        }
        let mut looks = Looks::of(self);
        let mut said = String::new();
        let mut ticks = interval(LOOK_INTERVAL);
        loop {
            ticks.tick().await;
            // A disk may be slow, and connections are accepted in this task.
            let files = self.files.clone();
            let Ok(now) = tokio::task::spawn_blocking(move || texts(&files)).await else { continue };
            match now.and_then(|now| looks.take(now, self)) {
                Ok(false) => {}
                Ok(true) => {
                    said.clear();
                    tracing::info!("the keys of permissions were read again");
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    if text != said {
                        tracing::warn!("the keys of permissions stay as they were: {text}");
                        said = text;
                    }
                }
            }
        }
    }

    /// What a token permits. `now` is the tracker's time, by which the permission ends.
    pub fn permission(&self, token: Option<&str>, now: Timestamp) -> Permission {
        let Some(token) = token else { return Permission::Refused(MISSING) };
        let Read { swarm, role, exp } = match self.claims(token) {
            Ok(read) => read,
            Err(reason) => return Permission::Refused(reason),
        };
        // A token is good throughout the last second that it names.
        let left_s = (exp + self.leeway_s + 1).saturating_sub(unix_s());
        Permission::Only(swarm, role, now + Duration::from_secs(left_s))
    }

    /// The claims of a token; the error is for its holder.
    fn claims(&self, token: &str) -> Result<Read, &'static str> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(WRONG);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| WRONG)?;
        if header.crit.is_some() {
            // It names extensions that a reader must understand (RFC 7515, section 4.1.11). There are none here.
            return Err(WRONG);
        }
        let key = header.kid.and_then(|kid| self.key(&kid)).ok_or(WRONG)?;
        // The algorithm is the key's and not the token's: a public key must not be taken for a shared secret.
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = self.leeway_s;
        validation.set_audience(&[&self.audience]);
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud"]);
        let data = jsonwebtoken::decode::<Read>(token, &key.key, &validation);
        let read = data.map(|data| data.claims).map_err(|error| {
            // Its holder is not told which check failed; the operator may want to know.
            tracing::debug!("a permission is refused: {error}");
            if matches!(error.kind(), ErrorKind::ExpiredSignature) {
                EXPIRED
            } else if matches!(error.kind(), ErrorKind::ImmatureSignature) {
                EARLY
            } else {
                WRONG
            }
        })?;
        if read.exp > unix_s() + TOKEN_LIFETIME_MAX_S { Err(ENDLESS) } else { Ok(read) }
    }
}

/// What the files of the keys held.
#[derive(Debug)]
struct Looks {
    /// What the keys were read from.
    used: Vec<String>,
    /// What was there at the last look.
    last: Vec<String>,
}

impl Looks {
    /// Of keys that have just been read.
    fn of(tokens: &ViewerTokens) -> Self {
        let used = texts(&tokens.files).unwrap_or_default();
        Self { last: used.clone(), used }
    }

    /// Looks at what the files hold now. Whether there are other keys; they are taken over at the second look that finds the same,
    /// because a file may still be in the middle of being written at the first.
    fn take(&mut self, now: Vec<String>, tokens: &ViewerTokens) -> anyhow::Result<bool> {
        let is_settled = now == self.last;
        self.last = now;
        if !is_settled || self.last == self.used {
            return Ok(false);
        }
        let mut keys = HashMap::new();
        for (named, text) in tokens.files.iter().zip(&self.last) {
            let kid = named.split_once('=').map_or(named.as_str(), |(kid, _)| kid);
            add(&mut keys, kid, text).with_context(|| format!("--viewer-key {named}"))?;
        }
        *tokens.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        self.used.clone_from(&self.last);
        Ok(true)
    }
}

fn texts(files: &[String]) -> anyhow::Result<Vec<String>> {
    files.iter().map(|named| named_file(named).map(|(_, text, _)| text)).collect()
}

/// Adds a key to others.
fn add(keys: &mut HashMap<String, Key>, kid: &str, text: &str) -> anyhow::Result<()> {
    token_signatures::install();
    let key = match pem(text) {
        // What is public must never be taken for a secret, whatever stands before it in the file.
        Some(pem) => {
            let is_public = pem.starts_with("-----BEGIN PUBLIC KEY");
            ensure!(is_public, "it takes a PUBLIC KEY of Ed25519, or a secret");
            let key = DecodingKey::from_ed_pem(pem.as_bytes()).context("it is no public key of Ed25519")?;
            Key { algorithm: Algorithm::EdDSA, key }
        }
        None => Key { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret(text)?) },
    };
    ensure!(keys.insert(kid.to_owned(), key).is_none(), "another key has the same KID");
    Ok(())
}

/// What a new token is to say.
#[derive(Debug, Clone)]
pub struct Grant<'a> {
    /// What may be watched.
    pub swarm: SwarmId,
    /// As what it may be joined.
    pub role: Role,
    /// For how long.
    pub lifetime: Duration,
    /// For which tracker.
    pub audience: &'a str,
}

/// Makes a token. `key` is written `KID=FILE`: a private key of Ed25519 in PEM (PKCS#8), or a secret.
pub fn mint(key: &str, grant: &Grant<'_>) -> anyhow::Result<String> {
    let (kid, text, is_exposed) = named_file(key)?;
    if is_exposed {
        flag_file::warn(&exposed(key));
    }
    mint_with(kid, &text, grant).with_context(|| format!("--key {key}"))
}

fn mint_with(kid: &str, text: &str, grant: &Grant<'_>) -> anyhow::Result<String> {
    token_signatures::install();
    let (algorithm, key) = match pem(text) {
        Some(pem) => {
            let is_private = pem.starts_with("-----BEGIN PRIVATE KEY");
            ensure!(is_private, "tokens are signed with a PRIVATE KEY (PKCS#8), or a secret");
            let key = EncodingKey::from_ed_pem(pem.as_bytes()).context("it is no private key of Ed25519")?;
            (Algorithm::EdDSA, key)
        }
        None => (Algorithm::HS256, EncodingKey::from_secret(secret(text)?)),
    };
    let lifetime_s = grant.lifetime.as_secs();
    ensure!(lifetime_s <= TOKEN_LIFETIME_MAX_S, "a permission lasts a hundred years at most");
    let exp = unix_s() + lifetime_s;
    let claims = Claims { swarm: grant.swarm, role: grant.role, exp, aud: grant.audience.to_owned() };
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, &claims, &key).context("no token can be made")
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Warns of a key that others could use to make permissions.
fn exposed(named: &str) -> String {
    let path = named.split_once('=').map_or(named, |(_, path)| path);
    format!("others can read the key in {path} and make permissions with it; run `chmod o= {path}`")
}

/// The name of a key, the text of its file, and whether others can read that.
fn named_file(named: &str) -> anyhow::Result<(&str, String, bool)> {
    let Some((kid, path)) = named.split_once('=').filter(|(kid, path)| !kid.is_empty() && !path.is_empty())
    else {
        bail!("a key is written KID=FILE, such as 2026-11=/etc/tributary/viewers.key; `{named}` is not")
    };
    let read = named_file::ordinary(Path::new(path))
        .and_then(|(bytes, metadata)| Ok((named_file::text(bytes)?, metadata)));
    let (text, metadata) = read.with_context(|| format!("cannot read {path}"))?;
    Ok((kid, text, flag_file::is_exposed(&metadata)))
}

/// What is in PEM in a text. Programs write comments and byte order marks before it.
fn pem(text: &str) -> Option<&str> {
    text.find("-----BEGIN").and_then(|start| text.get(start..))
}

fn secret(text: &str) -> anyhow::Result<&[u8]> {
    let secret = text.trim_start_matches('\u{feff}').trim().as_bytes();
    ensure!(secret.len() >= SECRET_BYTES_MIN, "a shared secret has at least {SECRET_BYTES_MIN} bytes");
    Ok(secret)
}

/// Reads a time such as `90s`, `30m`, `12h` or `7d`.
pub fn lifetime(text: &str) -> Result<Duration, String> {
    let error = || format!("`{text}` is no time; write 90s, 30m, 12h or 7d");
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(error)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(error()),
    };
    let count: u64 = digits.parse().map_err(|_| error())?;
    count.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "north north north north north north\n";
    const SWARM: SwarmId = SwarmId([1; 32]);
    const GRANT: Grant<'static> = Grant {
        swarm: SWARM,
        role: Role::Viewer,
        lifetime: Duration::from_secs(3600),
        audience: AUDIENCE_DEFAULT,
    };

    /// What a token permits now, or why it permits nothing.
    fn permits(tokens: &ViewerTokens, token: Option<&str>) -> Result<(SwarmId, Role), &'static str> {
        match tokens.permission(token, Timestamp::ZERO) {
            Permission::Only(swarm, role, until) if until > Timestamp::ZERO => Ok((swarm, role)),
            Permission::Refused(reason) => Err(reason),
            other @ (Permission::Only(..) | Permission::All | Permission::Unknown) => panic!("{other:?}"),
        }
    }

    fn tokens() -> ViewerTokens {
        let mut tokens = ViewerTokens::default();
        tokens.add("a", SECRET).unwrap();
        tokens
    }

    #[test]
    fn a_token_permits_its_swarm_until_it_expires() {
        let token = mint_with("a", SECRET, &GRANT).unwrap();
        assert_eq!(permits(&tokens(), Some(&token)), Ok((SWARM, Role::Viewer)));
        assert_eq!(permits(&tokens(), None), Err(MISSING));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let old = Claims { swarm: SWARM, role: Role::Viewer, exp: now - 3600, aud: AUDIENCE_DEFAULT.into() };
        let header = Header { kid: Some("a".into()), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(SECRET.trim().as_bytes());
        let expired = jsonwebtoken::encode(&header, &old, &key).unwrap();
        assert_eq!(permits(&tokens(), Some(&expired)), Err(EXPIRED));
    }

    #[test]
    fn what_another_key_or_audience_made_permits_nothing() {
        let other = "south south south south south south";
        let elsewhere = Grant { audience: "elsewhere", ..GRANT };
        for token in [
            mint_with("a", other, &GRANT).unwrap(),
            mint_with("b", SECRET, &GRANT).unwrap(),
            mint_with("a", SECRET, &elsewhere).unwrap(),
            "not.a.token".to_owned(),
            "x".repeat(100_000),
        ] {
            assert_eq!(permits(&tokens(), Some(&token)), Err(WRONG), "{token:.80}");
        }
        assert!(mint_with("a", "short", &GRANT).is_err());
    }

    #[test]
    fn keys_are_changed_one_after_the_other() {
        let next = "south south south south south south";
        let mut tokens = tokens();
        tokens.add("b", next).unwrap();
        for (kid, secret) in [("a", SECRET), ("b", next)] {
            let token = mint_with(kid, secret, &GRANT).unwrap();
            assert_eq!(permits(&tokens, Some(&token)), Ok((SWARM, Role::Viewer)));
        }
    }

    #[test]
    fn a_signature_by_ed25519_is_checked_with_its_public_half_and_by_no_other_algorithm() {
        // The example of RFC 8410, section 10.3.
        let private = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
            -----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
            -----END PUBLIC KEY-----\n";
        let mut tokens = ViewerTokens::default();
        tokens.add("e", public).unwrap();
        let token = mint_with("e", private, &GRANT).unwrap();
        assert_eq!(permits(&tokens, Some(&token)), Ok((SWARM, Role::Viewer)));
        for before in ["", " ", "\n", "\u{feff}", "Public-Key of the web application\r\n"] {
            let public = format!("{before}{public}").replace('\n', "\r\n");
            let mut tokens = ViewerTokens::default();
            tokens.add("e", &public).unwrap();
            assert_eq!(permits(&tokens, Some(&token)), Ok((SWARM, Role::Viewer)), "{before}");
            let confused = token_of(r#"{"alg":"HS256","kid":"e"}"#, &claims(&in_an_hour()), |message| {
                hs256(public.trim().as_bytes(), message)
            });
            assert_eq!(permits(&tokens, Some(&confused)), Err(WRONG), "{before}");
            assert!(mint_with("e", &public, &GRANT).is_err(), "a public key signs nothing");
        }
        for other in [private, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"] {
            let error = ViewerTokens::default().add("e", other).unwrap_err().to_string();
            assert!(error.contains("takes a PUBLIC KEY"), "{error}");
        }
        let error = tokens.add("e", SECRET).unwrap_err().to_string();
        assert!(error.contains("the same KID"), "{error}");
    }

    fn in_an_hour() -> String {
        (unix_s() + 3600).to_string()
    }

    fn claims(exp: &str) -> String {
        format!(r#"{{"swarm":"{SWARM}","role":"viewer","exp":{exp},"aud":"tributary"}}"#)
    }

    #[test]
    fn a_permission_counts_from_the_time_that_it_names_on() {
        let signed = |nbf: &str| {
            let claims = claims(&in_an_hour()).replacen('{', &format!("{{\"nbf\":{nbf},"), 1);
            let token = token_of(r#"{"alg":"HS256","kid":"a"}"#, &claims, |message| {
                hs256(SECRET.trim().as_bytes(), message)
            });
            permits(&tokens(), Some(&token))
        };
        assert_eq!(signed("1"), Ok((SWARM, Role::Viewer)));
        for later in ["99999999999", "18446744073709551615"] {
            assert_eq!(signed(later), Err(EARLY), "{later}");
        }
        for nonsense in ["-1", "\"1\"", "1e400", "[]"] {
            assert!(signed(nonsense).is_err(), "{nonsense}");
        }
    }

    /// A token of these parts, signed with any bytes.
    fn token_of(header: &str, claims: &str, sign: impl Fn(&str) -> Vec<u8>) -> String {
        let encode = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
        let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = encode(&sign(&message));
        format!("{message}.{signature}")
    }

    fn hs256(secret: &[u8], message: &str) -> Vec<u8> {
        let text = jsonwebtoken::crypto::sign(
            message.as_bytes(),
            &EncodingKey::from_secret(secret),
            Algorithm::HS256,
        );
        data_encoding::BASE64URL_NOPAD.decode(text.unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn forged_headers_and_absurd_claims_permit_nothing() {
        let public = "-----BEGIN PUBLIC KEY-----\n\
            MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
            -----END PUBLIC KEY-----\n";
        let mut tokens = tokens();
        tokens.add("e", public).unwrap();
        let claims = |exp: &str, aud: &str| {
            format!(r#"{{"swarm":"{SWARM}","role":"initial","exp":{exp},"aud":{aud}}}"#)
        };
        let good = claims(&in_an_hour(), r#""tributary""#);
        let der = data_encoding::BASE64.decode(public.lines().nth(1).unwrap().as_bytes()).unwrap();
        // Keys that everybody has, taken for a secret.
        for secret in [public.as_bytes(), public.trim().as_bytes(), &der, &der[12..], b""] {
            for header in [r#"{"alg":"HS256","kid":"e"}"#, r#"{"alg":"EdDSA","kid":"e"}"#] {
                let token = token_of(header, &good, |message| hs256(secret, message));
                assert_eq!(permits(&tokens, Some(&token)), Err(WRONG), "{header}");
            }
        }
        let headers = [
            r#"{"alg":"none","kid":"a"}"#,
            r#"{"alg":"None","kid":"a"}"#,
            r#"{"alg":"","kid":"a"}"#,
            r#"{"kid":"a"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"HS256","kid":["a"]}"#,
            r#"{"alg":"HS256","kid":"../../../dev/null"}"#,
            r#"{"alg":"HS256","jwk":{"kty":"oct","k":""},"jku":"https://evil.example"}"#,
            r#"{"alg":"RS256","kid":"a"}"#,
            r#"{"alg":"HS256","kid":"a","crit":["x"],"x":1}"#,
        ];
        for header in headers {
            for sign in [|_: &str| Vec::new(), |message: &str| hs256(SECRET.trim().as_bytes(), message)] {
                let token = token_of(header, &good, sign);
                assert_eq!(permits(&tokens, Some(&token)), Err(WRONG), "{header}");
            }
        }
        let signed = |claims: &str| {
            let header = r#"{"alg":"HS256","kid":"a"}"#;
            token_of(header, claims, |message| hs256(SECRET.trim().as_bytes(), message))
        };
        assert_eq!(
            permits(&tokens, Some(&signed(&good))),
            Ok((SWARM, Role::Initial)),
            "the others differ from this one only"
        );
        for exp in ["1e400", "-1", "\"99999999999\"", "null", "1.5", "[99999999999]"] {
            let permission = permits(&tokens, Some(&signed(&claims(exp, r#""tributary""#))));
            assert!(permission.is_err(), "{exp}: {permission:?}");
        }
        for aud in [r#""tributary\u0000""#, r#""TRIBUTARY""#, "null", "{}", "[]"] {
            let permission = permits(&tokens, Some(&signed(&claims(&in_an_hour(), aud))));
            assert!(permission.is_err(), "{aud}: {permission:?}");
        }
        let good = signed(&good);
        for token in [
            good.replacen('.', "..", 1),
            format!("{good}."),
            format!("{good}="),
            good[..good.len() - 1].into(),
        ] {
            assert_eq!(permits(&tokens, Some(&token)), Err(WRONG), "{token}");
        }
    }

    #[test]
    fn an_end_in_milliseconds_is_refused_in_words_and_an_audience_may_be_one_of_several() {
        let signed = |exp: u64, aud: &str| {
            let claims = format!(r#"{{"swarm":"{SWARM}","role":"viewer","exp":{exp},"aud":{aud}}}"#);
            token_of(r#"{"alg":"HS256","kid":"a"}"#, &claims, |message| {
                hs256(SECRET.trim().as_bytes(), message)
            })
        };
        let soon = unix_s() + 60;
        for absurd in [soon * 1000, soon + TOKEN_LIFETIME_MAX_S + 60, u64::MAX] {
            assert_eq!(permits(&tokens(), Some(&signed(absurd, "\"tributary\""))), Err(ENDLESS), "{absurd}");
        }
        let several = r#"["elsewhere","tributary"]"#;
        assert_eq!(permits(&tokens(), Some(&signed(soon, several))), Ok((SWARM, Role::Viewer)));
        assert_eq!(permits(&tokens(), Some(&signed(soon, r#"["elsewhere"]"#))), Err(WRONG));
        let Permission::Only(_, _, until) =
            tokens().permission(Some(&signed(soon, several)), Timestamp::from_millis(5_000))
        else {
            panic!("not permitted");
        };
        let left_s = until.since(Timestamp::from_millis(5_000)).as_secs();
        assert!((60..=61 + TOKEN_LEEWAY_S).contains(&left_s), "{left_s}");
        assert!(mint_with("a", SECRET, &Grant { lifetime: Duration::MAX, ..GRANT }).is_err());
    }

    #[test]
    fn keys_are_read_again_once_their_files_hold_something_else_that_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, SECRET).unwrap();
        let named = format!("a={}", file.display());
        let tokens = ViewerTokens::read([named.as_str()], AUDIENCE_DEFAULT).unwrap();
        let (next, clone) = ("south south south south south south", tokens.clone());
        let (old, new) = (mint_with("a", SECRET, &GRANT).unwrap(), mint_with("a", next, &GRANT).unwrap());
        let mut looks = Looks::of(&tokens);
        let look = |looks: &mut Looks| looks.take(texts(&tokens.files)?, &tokens);
        std::fs::write(&file, next).unwrap();
        assert!(matches!(look(&mut looks), Ok(false)), "it may still be being written");
        assert_eq!(permits(&clone, Some(&old)), Ok((SWARM, Role::Viewer)));
        assert!(matches!(look(&mut looks), Ok(true)));
        assert_eq!(permits(&clone, Some(&new)), Ok((SWARM, Role::Viewer)));
        assert_eq!(permits(&clone, Some(&old)), Err(WRONG));
        std::fs::write(&file, "short").unwrap();
        assert!(matches!(look(&mut looks), Ok(false)) && look(&mut looks).is_err());
        std::fs::remove_file(&file).unwrap();
        assert!(look(&mut looks).is_err());
        assert_eq!(
            permits(&clone, Some(&new)),
            Ok((SWARM, Role::Viewer)),
            "the keys that were read last stay"
        );
    }

    #[test]
    fn times_are_written_with_a_unit() {
        assert_eq!(lifetime("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(lifetime("12h"), Ok(Duration::from_secs(43_200)));
        for text in ["", "h", "12", "0s", "-1h", "1w", "99999999999999999999d"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
