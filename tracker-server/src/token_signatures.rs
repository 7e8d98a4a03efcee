//! How permissions of viewers are signed: HS256 and EdDSA by Ed25519, and nothing else.
//!
//! `jsonwebtoken` leaves the cryptography to a provider. Its own bring RSA and the NIST curves along, which no permission
//! uses; the RSA one has a known weakness that is not mended (RUSTSEC-2023-0071).

use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, new_error};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use sha2::Sha256;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has to be called before a token is made or checked; more often does no harm.
pub(crate) fn install() {
    // The error says that a provider is there: this one, since nothing else installs any.
    let _ = PROVIDER.install_default();
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if *algorithm == Algorithm::HS256 && key.family() == AlgorithmFamily::Hmac {
        return Ok(Box::new(Hs256::new(key.as_bytes())?));
    }
    if *algorithm == Algorithm::EdDSA && key.family() == AlgorithmFamily::Ed {
        let key = SigningKey::from_pkcs8_der(key.as_bytes());
        return Ok(Box::new(Ed25519Signer(key.map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?)));
    }
    Err(new_error(ErrorKind::InvalidAlgorithm))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let bytes = key.try_get_as_bytes()?;
    if *algorithm == Algorithm::HS256 && key.family() == AlgorithmFamily::Hmac {
        return Ok(Box::new(Hs256::new(bytes)?));
    }
    if *algorithm == Algorithm::EdDSA && key.family() == AlgorithmFamily::Ed {
        let bytes = bytes.first_chunk().ok_or_else(|| new_error(ErrorKind::InvalidEddsaKey))?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| new_error(ErrorKind::InvalidEddsaKey))?;
        return Ok(Box::new(Ed25519Verifier(key)));
    }
    Err(new_error(ErrorKind::InvalidAlgorithm))
}

/// HMAC with SHA-256 (RFC 7518, section 3.2).
struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(secret: &[u8]) -> Result<Self, Error> {
        Hmac::new_from_slice(secret).map(Self).map_err(|_| new_error(ErrorKind::InvalidKeyFormat))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        // In constant time.
        self.0.clone().chain_update(message).verify_slice(signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

/// Ed25519 (RFC 8037), to make tokens.
struct Ed25519Signer(SigningKey);

impl Signer<Vec<u8>> for Ed25519Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let signature = ed25519_dalek::Signer::try_sign(&self.0, message);
        signature.map(|signature| signature.to_bytes().to_vec()).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

/// Ed25519 (RFC 8037), to check tokens.
struct Ed25519Verifier(VerifyingKey);

impl Verifier<Vec<u8>> for Ed25519Verifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let signature = Signature::from_slice(signature).map_err(|_| signature::Error::new())?;
        self.0.verify_strict(message, &signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Ed25519Verifier {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret, the message and the signature of RFC 7515, appendix A.1.
    const SECRET: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    const MESSAGE: &str = concat!(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    );
    const SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn bytes(text: &str) -> Vec<u8> {
        data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_example_of_the_standard_is_signed_and_checked() {
        let signer = signer(&Algorithm::HS256, &EncodingKey::from_secret(&bytes(SECRET))).unwrap();
        assert_eq!(signer.sign(MESSAGE.as_bytes()), bytes(SIGNATURE));
        let verifier = verifier(&Algorithm::HS256, &DecodingKey::from_secret(&bytes(SECRET))).unwrap();
        assert!(verifier.verify(MESSAGE.as_bytes(), &bytes(SIGNATURE)).is_ok());
        assert!(verifier.verify(b"another", &bytes(SIGNATURE)).is_err());
        assert!(verifier.verify(MESSAGE.as_bytes(), &bytes(SIGNATURE)[..16].to_vec()).is_err());
    }

    #[test]
    fn no_other_algorithm_is_there() {
        let secret = DecodingKey::from_secret(b"x");
        for algorithm in
            [Algorithm::HS384, Algorithm::HS512, Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]
        {
            assert!(verifier(&algorithm, &secret).is_err());
            assert!(signer(&algorithm, &EncodingKey::from_secret(b"x")).is_err());
        }
    }
}
