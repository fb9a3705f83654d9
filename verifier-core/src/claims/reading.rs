//! Reading the registered members of a claims set, or of an introspection answer, by type.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Confirmation;
use crate::json::{Json, Number, Object};
use crate::profile::TokenProfile;

/// The latest NumericDate that is accepted: 9999-12-31T23:59:59Z.
const LATEST: i64 = 253_402_300_799;

/// A registered member has a type that it must not have.
pub(super) struct Malformed;

/// The registered members, typed.
pub(super) struct Read {
    pub(super) subject: Option<Box<str>>,
    pub(super) client: Option<Box<str>>,
    pub(super) audience: Box<[Box<str>]>,
    pub(super) scopes: Box<[Box<str>]>,
    pub(super) roles: Box<[Box<str>]>,
    pub(super) expires_at: Option<i64>,
    pub(super) not_before: Option<i64>,
    pub(super) issued_at: Option<i64>,
    pub(super) jwt_id: Option<Box<str>>,
    pub(super) session: Option<Box<str>>,
    pub(super) confirmation: Option<Confirmation>,
}

/// Reads registered members. In a JWT, null and an empty `sub` are malformed; in an answer, both count as absent for
/// texts and audiences, while times and `cnf` are never null.
pub(super) struct Reader<'m> {
    pub(super) members: &'m Object,
    pub(super) lenient: bool,
    pub(super) profile: &'m TokenProfile,
}

impl<'m> Reader<'m> {
    pub(super) fn read(&self) -> Result<Read, Malformed> {
        let subject = self.text("sub")?;
        let mut client = None;
        for name in &self.profile.client_claims {
            let named = match &**name {
                "client_id" | "azp" => self.text(name)?,
                // Private names, which another issuer may use for something else: only a text can name a client.
                _ => self.members.get(name).and_then(Json::as_str).filter(|text| !text.is_empty()),
            };
            client = client.or(named);
        }
        Ok(Read {
            subject: subject.map(Box::from),
            client: client.map(Box::from),
            audience: self.audience()?,
            scopes: self.scopes()?,
            roles: self.roles(),
            expires_at: self.date("exp", Round::Down)?,
            not_before: self.date("nbf", Round::Up)?,
            issued_at: self.date("iat", Round::Down)?,
            jwt_id: self.text("jti")?.map(Box::from),
            session: self.text("sid")?.map(Box::from),
            confirmation: self.confirmation()?,
        })
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'m str>, Malformed> {
        match self.members.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if !text.is_empty() => Ok(Some(text)),
            // An empty identifier identifies nobody; an empty subject is an error of the issuer.
            Some(Json::String(_)) if self.lenient || !matches!(name, "sub" | "iss") => Ok(None),
            Some(Json::Null) if self.lenient => Ok(None),
            Some(_) => Err(Malformed),
        }
    }

    fn date(&self, name: &str, round: Round) -> Result<Option<i64>, Malformed> {
        let seconds = match self.members.get(name) {
            None => return Ok(None),
            Some(Json::Number(Number::Unsigned(seconds))) => {
                i64::try_from(*seconds).map_err(|_| Malformed)?
            }
            Some(Json::Number(Number::Float(seconds))) => round.apply(*seconds).ok_or(Malformed)?,
            Some(_) => return Err(Malformed),
        };
        if (0..=LATEST).contains(&seconds) { Ok(Some(seconds)) } else { Err(Malformed) }
    }

    fn audience(&self) -> Result<Box<[Box<str>]>, Malformed> {
        match self.members.get("aud") {
            None => Ok(Box::default()),
            Some(Json::Null) if self.lenient => Ok(Box::default()),
            Some(Json::String(one)) if one.is_empty() && self.lenient => Ok(Box::default()),
            Some(Json::String(one)) => Ok(Box::new([one.clone()])),
            Some(Json::Array(list)) => strings(list).ok_or(Malformed),
            Some(_) => Err(Malformed),
        }
    }

    /// RFC 6749 §3.3: scope tokens are separated by single spaces and compared byte for byte.
    fn scopes(&self) -> Result<Box<[Box<str>]>, Malformed> {
        let mut scopes: Option<Box<[Box<str>]>> = None;
        for name in &self.profile.scope_claims {
            let these: Box<[Box<str>]> = match self.members.get(name) {
                None => continue,
                Some(Json::Null) if self.lenient => continue,
                Some(Json::String(text)) => {
                    text.split(' ').filter(|one| !one.is_empty()).map(Box::from).collect()
                }
                Some(Json::Array(list)) if self.profile.scope_arrays || self.lenient => {
                    strings(list).ok_or(Malformed)?
                }
                Some(_) => return Err(Malformed),
            };
            scopes = scopes.or(Some(these));
        }
        Ok(scopes.unwrap_or_default())
    }

    /// Roles are a convenience: what isn't an array of strings there is passed over.
    fn roles(&self) -> Box<[Box<str>]> {
        self.profile
            .roles
            .iter()
            .filter_map(|pointer| self.members.pointer(pointer))
            .filter_map(Json::as_array)
            .flatten()
            .filter_map(Json::as_str)
            .map(Box::from)
            .collect()
    }

    /// RFC 7800 §3.1: an object; what can't be confirmed makes the whole token unconfirmable.
    fn confirmation(&self) -> Result<Option<Confirmation>, Malformed> {
        let members = match self.members.get("cnf") {
            None => return Ok(None),
            Some(Json::Object(members)) => members,
            Some(_) => return Err(Malformed),
        };
        let mut iter = members.iter();
        let (Some((name, value)), None) = (iter.next(), iter.next()) else {
            return Ok(Some(Confirmation::Unsupported));
        };
        let thumbprint = value
            .as_str()
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        Ok(Some(match (name, thumbprint) {
            ("x5t#S256", Some(bytes)) => Confirmation::CertificateSha256(bytes),
            ("jkt", Some(bytes)) => Confirmation::JwkThumbprint(bytes),
            _ => Confirmation::Unsupported,
        }))
    }
}

fn strings(list: &[Json]) -> Option<Box<[Box<str>]>> {
    list.iter().map(|one| one.as_str().map(Box::from)).collect()
}

/// Which way a fractional NumericDate goes: never to a longer life.
#[derive(Clone, Copy)]
enum Round {
    Down,
    Up,
}

impl Round {
    fn apply(self, seconds: f64) -> Option<i64> {
        let whole = match self {
            Self::Down => seconds.floor(),
            Self::Up => seconds.ceil(),
        };
        // Both ends are far inside what f64 holds exactly.
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        let inside = (0.0..=LATEST as f64).contains(&whole).then_some(whole as i64);
        inside
    }
}
