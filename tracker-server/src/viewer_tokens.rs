//! Short-lived permissions to watch on a closed tracker: JSON Web Tokens (RFC 7519).
//!
//! The tracker mints them (`tracker-server token`), or a web application that shares the key does. Header: `alg` HS256 or
//! EdDSA, and `kid`, which names the key; several keys may be good at a time, so that they can be changed. Claims: `swarm`
//! (64 hexadecimal digits), `role` (`viewer` or `initial`), `exp` (seconds since 1970), `aud`, and where it is there, `nbf`.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use swarm_core::SwarmId;
use swarm_core::tracker_message::Role;

use crate::decision::Permission;
use crate::limits::{TOKEN_BYTES_MAX, TOKEN_LEEWAY_S};
use crate::token_signatures;

/// The audience of tokens where the operator says nothing.
pub const AUDIENCE_DEFAULT: &str = "tributary";

/// Bytes of a shared secret, at least: as many as HS256 has bits to spare.
const SECRET_BYTES_MIN: usize = 32;

const EXPIRED: &str = "the permission to watch has expired; ask for a new link where you got this one";
const EARLY: &str = "the permission to watch does not count yet; try again when it does";
const MISSING: &str =
    "watching here takes a permission, which is part of the link (&token=…); ask for the whole link";
const WRONG: &str =
    "the permission to watch is not one of this tracker; ask for a new link where you got this one";

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
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
    keys: HashMap<String, Key>,
    audience: String,
}

impl Default for ViewerTokens {
    fn default() -> Self {
        Self { keys: HashMap::new(), audience: AUDIENCE_DEFAULT.to_owned() }
    }
}

impl fmt::Debug for ViewerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewerTokens").field("kids", &self.keys.keys()).finish_non_exhaustive()
    }
}

impl ViewerTokens {
    /// Reads keys, each written `KID=FILE`: a public key of Ed25519 in PEM, or any secret of 32 bytes or more.
    pub fn read<'a>(keys: impl IntoIterator<Item = &'a str>, audience: &str) -> anyhow::Result<Self> {
        let mut tokens = Self { audience: audience.to_owned(), ..Self::default() };
        for named in keys {
            let (kid, text, is_exposed) = named_file(named)?;
            tokens.add(kid, &text).with_context(|| format!("--viewer-key {named}"))?;
            if is_exposed && tokens.has_secret(kid) {
                flag_file::warn(&exposed(named));
            }
        }
        Ok(tokens)
    }

    /// Adds a key.
    pub fn add(&mut self, kid: &str, text: &str) -> anyhow::Result<()> {
        token_signatures::install();
        let key = match pem(text) {
            // What is public must never be taken for a secret, whatever stands before it in the file.
            Some(pem) => {
                ensure!(
                    pem.starts_with("-----BEGIN PUBLIC KEY"),
                    "it takes a PUBLIC KEY of Ed25519, or a secret"
                );
                let key =
                    DecodingKey::from_ed_pem(pem.as_bytes()).context("it is no public key of Ed25519")?;
                Key { algorithm: Algorithm::EdDSA, key }
            }
            None => Key { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret(text)?) },
        };
        ensure!(self.keys.insert(kid.to_owned(), key).is_none(), "another key has the same KID");
        Ok(())
    }

    /// Whether a key is one that makes permissions as well as checking them.
    fn has_secret(&self, kid: &str) -> bool {
        self.keys.get(kid).is_some_and(|key| key.algorithm == Algorithm::HS256)
    }

    /// Whether viewers are asked for a token.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What a token permits now.
    pub fn permission(&self, token: Option<&str>) -> Permission {
        let Some(token) = token else { return Permission::Refused(MISSING) };
        match self.claims(token) {
            Ok(Claims { swarm, role, .. }) => Permission::Only(swarm, role),
            Err(reason) => Permission::Refused(reason),
        }
    }

    /// The claims of a token; the error is for its holder.
    fn claims(&self, token: &str) -> Result<Claims, &'static str> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(WRONG);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| WRONG)?;
        if header.crit.is_some() {
            // It names extensions that a reader must understand (RFC 7515, section 4.1.11). There are none here.
            return Err(WRONG);
        }
        let key = header.kid.and_then(|kid| self.keys.get(&kid)).ok_or(WRONG)?;
        // The algorithm is the key's and not the token's: a public key must not be taken for a shared secret.
        let mut validation = Validation::new(key.algorithm);
        validation.leeway = TOKEN_LEEWAY_S;
        validation.set_audience(&[&self.audience]);
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud"]);
        let data = jsonwebtoken::decode::<Claims>(token, &key.key, &validation);
        data.map(|data| data.claims).map_err(|error| {
            // Its holder is not told which check failed; the operator may want to know.
            tracing::debug!("a permission is refused: {error}");
            if matches!(error.kind(), ErrorKind::ExpiredSignature) {
                EXPIRED
            } else if matches!(error.kind(), ErrorKind::ImmatureSignature) {
                EARLY
            } else {
                WRONG
            }
        })
    }
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
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let exp = (now + grant.lifetime).as_secs();
    let claims = Claims { swarm: grant.swarm, role: grant.role, exp, aud: grant.audience.to_owned() };
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, &claims, &key).context("no token can be made")
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
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot read {path}"))?;
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

    fn tokens() -> ViewerTokens {
        let mut tokens = ViewerTokens::default();
        tokens.add("a", SECRET).unwrap();
        tokens
    }

    #[test]
    fn a_token_permits_its_swarm_until_it_expires() {
        let token = mint_with("a", SECRET, &GRANT).unwrap();
        assert_eq!(tokens().permission(Some(&token)), Permission::Only(SWARM, Role::Viewer));
        assert_eq!(tokens().permission(None), Permission::Refused(MISSING));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let old = Claims { swarm: SWARM, role: Role::Viewer, exp: now - 3600, aud: AUDIENCE_DEFAULT.into() };
        let header = Header { kid: Some("a".into()), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(SECRET.trim().as_bytes());
        let expired = jsonwebtoken::encode(&header, &old, &key).unwrap();
        assert_eq!(tokens().permission(Some(&expired)), Permission::Refused(EXPIRED));
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
            assert_eq!(tokens().permission(Some(&token)), Permission::Refused(WRONG), "{token:.80}");
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
            assert_eq!(tokens.permission(Some(&token)), Permission::Only(SWARM, Role::Viewer));
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
        assert_eq!(tokens.permission(Some(&token)), Permission::Only(SWARM, Role::Viewer));
        for before in ["", " ", "\n", "\u{feff}", "Public-Key of the web application\r\n"] {
            let public = format!("{before}{public}").replace('\n', "\r\n");
            let mut tokens = ViewerTokens::default();
            tokens.add("e", &public).unwrap();
            assert_eq!(tokens.permission(Some(&token)), Permission::Only(SWARM, Role::Viewer), "{before}");
            let confused = token_of(r#"{"alg":"HS256","kid":"e"}"#, &claims("99999999999"), |message| {
                hs256(public.trim().as_bytes(), message)
            });
            assert_eq!(tokens.permission(Some(&confused)), Permission::Refused(WRONG), "{before}");
            assert!(mint_with("e", &public, &GRANT).is_err(), "a public key signs nothing");
        }
        for other in [private, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"] {
            let error = ViewerTokens::default().add("e", other).unwrap_err().to_string();
            assert!(error.contains("takes a PUBLIC KEY"), "{error}");
        }
        let error = tokens.add("e", SECRET).unwrap_err().to_string();
        assert!(error.contains("the same KID"), "{error}");
    }

    fn claims(exp: &str) -> String {
        format!(r#"{{"swarm":"{SWARM}","role":"viewer","exp":{exp},"aud":"tributary"}}"#)
    }

    #[test]
    fn a_permission_counts_from_the_time_that_it_names_on() {
        let signed = |nbf: &str| {
            let claims = claims("18446744073709551615").replacen('{', &format!("{{\"nbf\":{nbf},"), 1);
            let token = token_of(r#"{"alg":"HS256","kid":"a"}"#, &claims, |message| {
                hs256(SECRET.trim().as_bytes(), message)
            });
            tokens().permission(Some(&token))
        };
        assert_eq!(signed("1"), Permission::Only(SWARM, Role::Viewer));
        for later in ["99999999999", "18446744073709551615"] {
            assert_eq!(signed(later), Permission::Refused(EARLY), "{later}");
        }
        for nonsense in ["-1", "\"1\"", "1e400", "[]"] {
            assert!(matches!(signed(nonsense), Permission::Refused(_)), "{nonsense}");
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
        let good = claims("99999999999", r#""tributary""#);
        let der = data_encoding::BASE64.decode(public.lines().nth(1).unwrap().as_bytes()).unwrap();
        // Keys that everybody has, taken for a secret.
        for secret in [public.as_bytes(), public.trim().as_bytes(), &der, &der[12..], b""] {
            for header in [r#"{"alg":"HS256","kid":"e"}"#, r#"{"alg":"EdDSA","kid":"e"}"#] {
                let token = token_of(header, &good, |message| hs256(secret, message));
                assert_eq!(tokens.permission(Some(&token)), Permission::Refused(WRONG), "{header}");
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
                assert_eq!(tokens.permission(Some(&token)), Permission::Refused(WRONG), "{header}");
            }
        }
        let signed = |claims: &str| {
            let header = r#"{"alg":"HS256","kid":"a"}"#;
            token_of(header, claims, |message| hs256(SECRET.trim().as_bytes(), message))
        };
        assert_eq!(
            tokens.permission(Some(&signed(&good))),
            Permission::Only(SWARM, Role::Initial),
            "the others differ from this one only"
        );
        for exp in ["1e400", "-1", "\"99999999999\"", "null", "1.5", "[99999999999]"] {
            let permission = tokens.permission(Some(&signed(&claims(exp, r#""tributary""#))));
            assert!(matches!(permission, Permission::Refused(_)), "{exp}: {permission:?}");
        }
        for aud in [r#""tributary\u0000""#, r#""TRIBUTARY""#, "null", "{}", "[]"] {
            let permission = tokens.permission(Some(&signed(&claims("99999999999", aud))));
            assert!(matches!(permission, Permission::Refused(_)), "{aud}: {permission:?}");
        }
        let good = signed(&good);
        for token in [
            good.replacen('.', "..", 1),
            format!("{good}."),
            format!("{good}="),
            good[..good.len() - 1].into(),
        ] {
            assert_eq!(tokens.permission(Some(&token)), Permission::Refused(WRONG), "{token}");
        }
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
