//! Client assertions as a strict server reads them (RFC 7523 §3).

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::{Client, Form};
use crate::forge::{Segment, segments};
use crate::keys::Algorithm;

/// RFC 7523 §2.2.
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// An assertion lives no longer, in seconds; this server insists.
const LONGEST: i64 = 60;

/// Whom an assertion has to be made out to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AssertionAudience {
    /// The issuer's name, and nothing else.
    #[default]
    Issuer,
    /// The address of the endpoint that is asked, and nothing else.
    Endpoint,
}

/// By which of the two methods a client has shown who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Secret,
    PrivateKey,
}

/// At what time, and by whom, an assertion is read.
pub(crate) struct Reader<'r> {
    pub(crate) audience: &'r str,
    /// Seconds since 1970.
    pub(crate) now: i64,
}

/// The ids of assertions that were taken: each is good once.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<HashSet<(String, String)>>);

/// What a form brings: the assertion with its header and claims, unchecked.
pub(super) struct Brought<'f> {
    jwt: &'f str,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl<'f> Brought<'f> {
    /// `None` if the form brings no assertion, or what can't be one.
    pub(super) fn by(form: &'f Form) -> Option<Self> {
        let jwt = form.get("client_assertion")?;
        let object = |segment| serde_json::from_slice(&segments::decoded(jwt, segment)?).ok();
        let (header, claims) = (object(Segment::Header)?, object(Segment::Payload)?);
        let whole = jwt.matches('.').count() == 2 && form.get("client_assertion_type") == Some(TYPE);
        whole.then_some(Self { jwt, header, claims })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// Whom it says it is of: `iss` and `sub`, which agree with the form's `client_id` if that is there.
    pub(super) fn client_id(&self, form: &Form) -> Option<&str> {
        let id = self.text("iss").filter(|id| self.text("sub") == Some(id))?;
        form.get("client_id").is_none_or(|said| said == id).then_some(id)
    }

    /// Whether everything in it holds, and by which method. It is used up by that.
    pub(super) fn check(&self, client: &Client, reader: &Reader<'_>, used: &Used) -> Option<Kind> {
        let kind = self.signed_by(client)?;
        let number = |name: &str| self.claims.get(name).and_then(Value::as_i64);
        let (issued, ends) = (number("iat")?, number("exp")?);
        let timely = issued <= reader.now && reader.now < ends && ends - issued <= LONGEST;
        let for_us = self.text("aud") == Some(reader.audience); // a list is refused
        let id = self.text("jti").filter(|id| !id.is_empty())?;
        let unused = || {
            let mut used = used.0.lock().unwrap_or_else(PoisonError::into_inner);
            used.insert((client.id.clone(), id.to_owned()))
        };
        (timely && for_us && unused()).then_some(kind)
    }

    fn signed_by(&self, client: &Client) -> Option<Kind> {
        let name = self.header.get("alg").and_then(Value::as_str)?;
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)?;
        if self.header.get("typ").is_some_and(|kind| kind != "JWT") {
            return None;
        }
        let (signed, _) = self.jwt.rsplit_once('.')?;
        let signature = segments::decoded(self.jwt, Segment::Signature)?;
        if algorithm.is_hmac() {
            let key = crate::keys::SigningKey::hmac(algorithm, client.secret.as_bytes());
            return key.check(signed.as_bytes(), &signature).then_some(Kind::Secret);
        }
        let kid = self.header.get("kid").and_then(Value::as_str);
        let named = |key: &&crate::keys::SigningKey| kid.is_none_or(|kid| kid == key.kid());
        let fits = client.keys.iter().filter(named).filter_map(|key| key.under(algorithm));
        fits.into_iter().any(|key| key.check(signed.as_bytes(), &signature)).then_some(Kind::PrivateKey)
    }
}
