//! What a test asks the server for, and what it gets.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::keys::{Algorithm, SigningKey};
use crate::kind::Kind;
use crate::profile::{Format, Profile};

/// A token to be issued. What isn't said is the server's default.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    pub(crate) kind: Kind,
    pub(crate) issuer: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) audience: Option<Vec<String>>,
    pub(crate) scopes: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) session: Option<String>,
    pub(crate) jti: Option<String>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) issued_ago: Duration,
    pub(crate) not_before_in: Option<Duration>,
    pub(crate) profile: Option<Profile>,
    pub(crate) format: Option<Format>,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) key: Option<SigningKey>,
    pub(crate) claims: Edits,
    pub(crate) header: Edits,
    pub(crate) introspection: Edits,
}

/// Members to set or to take away, applied last and in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edits(Vec<(String, Option<Value>)>);

impl Edits {
    /// These, and the others after them.
    pub(crate) fn then(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.push((name.into(), Some(value.into())));
    }

    pub(crate) fn remove(&mut self, name: impl Into<String>) {
        self.0.push((name.into(), None));
    }

    pub(crate) fn apply(&self, members: &mut Map<String, Value>) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => members.insert(name.clone(), value.clone()),
                None => members.remove(name),
            };
        }
    }
}

impl TokenRequest {
    /// A token for the default client itself, as by the client-credentials grant (RFC 6749 §4.4).
    pub fn new() -> Self {
        Self::default()
    }

    /// A refresh token. As a JWT it is told apart by a claim, in the manner of the profile; to introspection it is
    /// inactive unless a [`Behaviour`](crate::Behaviour) says otherwise.
    #[must_use]
    pub const fn refresh_token(mut self) -> Self {
        self.kind = Kind::Refresh;
        self
    }

    /// An ID token (OpenID Connect Core §2). To introspection it is inactive unless a
    /// [`Behaviour`](crate::Behaviour) says otherwise.
    #[must_use]
    pub const fn id_token(mut self) -> Self {
        self.kind = Kind::Id;
        self
    }

    /// Issued under another name of the server, which is not looked at.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// A user's token.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Issued to this client, known to the server or not.
    #[must_use]
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// For this audience, and for others if called again.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience.get_or_insert_default().push(audience.into());
        self
    }

    /// For nobody: no `aud`.
    #[must_use]
    pub fn no_audience(mut self) -> Self {
        self.audience = Some(Vec::new());
        self
    }

    /// Adds scopes, separated by spaces.
    #[must_use]
    pub fn scope(mut self, scopes: &str) -> Self {
        self.scopes.extend(scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned));
        self
    }

    /// Adds a role, in the place where the profile has its roles.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// With this session id, `sid`.
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// With this `jti` instead of a random one.
    #[must_use]
    pub fn jti(mut self, jti: impl Into<String>) -> Self {
        self.jti = Some(jti.into());
        self
    }

    /// Lives this long; whole seconds.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Was issued this long ago; with a lifetime not longer than this it is born expired.
    #[must_use]
    pub const fn issued_ago(mut self, ago: Duration) -> Self {
        self.issued_ago = ago;
        self
    }

    /// Is not valid before this much time has passed (`nbf`).
    #[must_use]
    pub const fn not_before_in(mut self, wait: Duration) -> Self {
        self.not_before_in = Some(wait);
        self
    }

    /// In the manner of this kind of server.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = Some(profile);
        self
    }

    /// A random string that says nothing.
    #[must_use]
    pub const fn opaque(mut self) -> Self {
        self.format = Some(Format::Opaque);
        self
    }

    /// A JWT.
    #[must_use]
    pub const fn jwt(mut self) -> Self {
        self.format = Some(Format::Jwt);
        self
    }

    /// Signed with this algorithm; the server makes and publishes a key for it if it has none.
    #[must_use]
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Signed with this key, known to the server or not.
    #[must_use]
    pub fn signed_by(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// With this text in the header's `kid`, whatever key signs.
    #[must_use]
    pub fn kid(self, kid: impl Into<String>) -> Self {
        self.header("kid", kid.into())
    }

    /// With this claim, in place of one of the same name.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.set(name, value);
        self
    }

    /// Without this claim.
    #[must_use]
    pub fn without_claim(mut self, name: impl Into<String>) -> Self {
        self.claims.remove(name);
        self
    }

    /// With this header parameter, in place of one of the same name.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.header.set(name, value);
        self
    }

    /// Without this header parameter.
    #[must_use]
    pub fn without_header(mut self, name: impl Into<String>) -> Self {
        self.header.remove(name);
        self
    }

    /// With this member in introspection answers about the token, in place of one of the same name.
    #[must_use]
    pub fn answered(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.introspection.set(name, value);
        self
    }

    /// Without this member in introspection answers about the token.
    #[must_use]
    pub fn not_answered(mut self, name: impl Into<String>) -> Self {
        self.introspection.remove(name);
        self
    }
}

/// A token and what is known about it. Its `Debug` doesn't show the token.
#[derive(Clone)]
#[non_exhaustive]
pub struct IssuedToken {
    /// The token itself.
    pub token: String,
    /// Its id, whether or not the token says it.
    pub jti: String,
    /// Whom it speaks for.
    pub subject: String,
    /// To whom it was issued.
    pub client: String,
    /// The `kid` of its header; `None` for opaque tokens and where the header has none.
    pub kid: Option<String>,
    /// Seconds since 1970.
    pub issued_at: i64,
    /// Seconds since 1970.
    pub expires_at: i64,
    /// The claims of a JWT; empty for opaque tokens.
    pub claims: Map<String, Value>,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("jti", &self.jti)
            .field("kid", &self.kid)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
