//! Client assertions (RFC 7523 §2.2, §3): pure but for the key, which is kept prepared for as long as its text stays the
//! same.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use verifier_core::algorithm::Algorithm;
use verifier_core::secret::Secret;
use verifier_core::signing::{SigningError, SigningKey};
use zeroize::Zeroizing;

use super::direct::{Aim, CannotPresent};
use super::{Assertion, AssertionAudience, SecretError};

/// How long a client assertion holds. One that is caught is good for that long, at a server that doesn't take each
/// once; one that takes longer to arrive is no use.
pub const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

/// RFC 7523 §2.2.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What signs assertions for one client.
#[derive(Debug)]
pub(crate) struct Signing {
    method: &'static str,
    /// As it stands in the header, where it was named.
    spelled: Option<Box<str>>,
    algorithm: Option<Algorithm>,
    key_id: Option<Box<str>>,
    audience: AssertionAudience,
    /// The key, and the text that it was made of.
    prepared: Mutex<Option<(Secret, SigningKey)>>,
}

impl Signing {
    pub(crate) const SECRET: &'static str = "client_secret_jwt";
    pub(crate) const PRIVATE_KEY: &'static str = "private_key_jwt";

    pub(crate) fn new(method: &'static str, assertion: Assertion) -> Result<Self, SecretError> {
        let Assertion { algorithm: spelled, key_id, audience } = assertion;
        let symmetric = method == Self::SECRET;
        let algorithm = match &spelled {
            None => symmetric.then_some(Algorithm::Hs256),
            Some(name) => match Algorithm::from_name(name) {
                None => return Err(SecretError::UnknownAlgorithm { name: name.clone() }),
                Some(algorithm) if algorithm.is_symmetric() != symmetric => {
                    return Err(SecretError::WrongKindOfAlgorithm { name: name.clone(), method });
                }
                named => named,
            },
        };
        Ok(Self {
            method,
            spelled: spelled.map(String::into_boxed_str),
            algorithm,
            key_id: key_id.map(String::into_boxed_str),
            audience,
            prepared: Mutex::new(None),
        })
    }

    /// The method that it is for.
    pub(crate) const fn method(&self) -> &'static str {
        self.method
    }

    /// The key that `text` is, prepared anew only if `text` is another than last time.
    pub(crate) fn key(&self, text: &Secret) -> Result<SigningKey, SigningError> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, key)) = &*prepared
            && known == text
        {
            return Ok(key.clone());
        }
        let key = match self.algorithm {
            Some(algorithm) if algorithm.is_symmetric() => {
                SigningKey::secret(text.expose().as_bytes(), algorithm)?
            }
            algorithm => SigningKey::private(text.expose(), algorithm)?,
        };
        *prepared = Some((text.clone(), key.clone()));
        Ok(key)
    }

    /// One assertion, for one attempt: its `jti` is used nowhere else.
    pub(crate) fn assertion(
        &self,
        client_id: &str,
        text: &Secret,
        aim: &Aim<'_>,
    ) -> Result<Secret, CannotPresent> {
        let key = self.key(text).map_err(SecretError::CannotSign)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| CannotPresent::NoRandomness)?;
        let jwt = write(&key, &self.header(&key), &self.claims(client_id, aim, &random));
        Ok(jwt.map_err(SecretError::CannotSign)?)
    }

    fn header(&self, key: &SigningKey) -> String {
        let name = self.spelled.as_deref().unwrap_or(match key.algorithm() {
            // The name that servers know (RFC 8037 §3.1).
            Algorithm::Ed25519 => "EdDSA",
            algorithm => algorithm.name(),
        });
        match self.key_id.as_deref().or(key.key_id()) {
            Some(kid) => json!({ "alg": name, "kid": kid, "typ": "JWT" }).to_string(),
            None => json!({ "alg": name, "typ": "JWT" }).to_string(),
        }
    }

    fn claims(&self, client_id: &str, aim: &Aim<'_>, random: &[u8]) -> String {
        let endpoint;
        let audience = match &self.audience {
            AssertionAudience::Issuer => aim.issuer,
            AssertionAudience::Endpoint => {
                endpoint = aim.endpoint.to_string();
                &endpoint
            }
            AssertionAudience::Text(text) => text,
        };
        json!({
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": URL_SAFE_NO_PAD.encode(random),
            "iat": aim.now.unix_seconds(),
            "exp": aim.now.plus(ASSERTION_LIFETIME).unix_seconds(),
        })
        .to_string()
    }
}

/// RFC 7515 §7.1.
fn write(key: &SigningKey, header: &str, claims: &str) -> Result<Secret, SigningError> {
    // Room for the longest signature, RSA of 8192 bits: a buffer that grew would leave a copy behind.
    let room = (header.len() + claims.len()) * 2 + 1_400;
    let mut jwt = Zeroizing::new(String::with_capacity(room));
    URL_SAFE_NO_PAD.encode_string(header, &mut jwt);
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut jwt);
    let signature = key.sign(jwt.as_bytes())?;
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
    Ok(Secret::new(std::mem::take(&mut *jwt)))
}

#[cfg(test)]
mod tests;
