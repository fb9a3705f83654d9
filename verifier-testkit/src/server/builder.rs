//! What can be said about a server before it starts.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use url::Url;
use verifier_core::time::{Clock, SystemClock};

use super::door::Door;
use super::state::{Settings, State};
use super::{AuthorizationServer, DEFAULT_AUDIENCE};
use crate::behaviour::Behaviour;
use crate::clients::{
    AssertionAudience, BasicDecoding, Client, DEFAULT_CLIENT, DEFAULT_CLIENT_SECRET, IntrospectionAuth,
    RESOURCE_SERVER, RESOURCE_SERVER_SECRET,
};
use crate::keys::{Algorithm, SigningKey};
use crate::profile::{Format, Profile};

/// Settings of an [`AuthorizationServer`].
#[derive(Clone)]
pub struct Builder {
    issuer: Option<String>,
    issuer_path: String,
    port: u16,
    key: Option<SigningKey>,
    algorithm: Algorithm,
    clients: Vec<Client>,
    behaviours: BTreeSet<Behaviour>,
    settings: Settings,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            issuer: None,
            issuer_path: "/realms/main".to_owned(),
            port: 0,
            key: None,
            // The algorithm whose keys are made at once.
            algorithm: Algorithm::ES256,
            clients: vec![
                Client::new(DEFAULT_CLIENT, DEFAULT_CLIENT_SECRET),
                Client::new(RESOURCE_SERVER, RESOURCE_SERVER_SECRET),
            ],
            behaviours: BTreeSet::new(),
            settings: Settings {
                clock: Arc::new(SystemClock),
                profile: Profile::AtJwt,
                format: Format::Jwt,
                lifetime: Duration::from_secs(300),
                audience: DEFAULT_AUDIENCE.to_owned(),
                introspection_auth: IntrospectionAuth::default(),
                token_auth: IntrospectionAuth::Registered,
                granted_lifetime: None,
                assertion_audience: AssertionAudience::default(),
                basic_decoding: BasicDecoding::default(),
                signs_answers: None,
                jwks_cache_control: None,
            },
        }
    }

    /// The path part of the issuer's name: empty, or starting with a slash. `/realms/main` by default.
    #[must_use]
    pub fn issuer_path(mut self, path: impl Into<String>) -> Self {
        self.issuer_path = path.into();
        self
    }

    /// Another name than the address: `https://idp.example.com/realms/main`. The metadata names all endpoints under
    /// it, and who wants to reach them has to be sent to [`AuthorizationServer::origin`] by other means.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// A port instead of a free one.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The time by which tokens are issued and expire.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// One more client, or another one of the same id.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.clients.push(client);
        self
    }

    /// In whose manner tokens and answers are written.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.settings.profile = profile;
        self
    }

    /// Tokens are opaque unless asked for otherwise.
    #[must_use]
    pub const fn opaque(mut self) -> Self {
        self.settings.format = Format::Opaque;
        self
    }

    /// The algorithm of the first key; ES256 by default.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self.key = None;
        self
    }

    /// This as the first key.
    #[must_use]
    pub fn signing_key(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// How long tokens live; 300 s by default, whole seconds.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.lifetime = lifetime;
        self
    }

    /// The audience of tokens for which none is named; [`DEFAULT_AUDIENCE`] by default.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.settings.audience = audience.into();
        self
    }

    /// What callers of introspection have to prove; HTTP Basic by default.
    #[must_use]
    pub fn introspection_auth(mut self, auth: IntrospectionAuth) -> Self {
        self.settings.introspection_auth = auth;
        self
    }

    /// What callers of the token endpoint have to prove; any method of a registered client but TLS by default. Those
    /// that are no method of a client's let nobody in.
    #[must_use]
    pub fn token_auth(mut self, auth: IntrospectionAuth) -> Self {
        self.settings.token_auth = auth;
        self
    }

    /// How long tokens live that the token endpoint gives; as all others by default.
    #[must_use]
    pub const fn granted_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.granted_lifetime = Some(lifetime);
        self
    }

    /// Whom client assertions have to be made out to; the issuer by default.
    #[must_use]
    pub const fn assertion_audience(mut self, audience: AssertionAudience) -> Self {
        self.settings.assertion_audience = audience;
        self
    }

    /// How HTTP Basic is read.
    #[must_use]
    pub const fn basic_decoding(mut self, decoding: BasicDecoding) -> Self {
        self.settings.basic_decoding = decoding;
        self
    }

    /// Whether introspection calls every token inactive whose audience doesn't name the caller, as Keycloak does.
    #[must_use]
    pub fn audience_must_name_caller(self, must: bool) -> Self {
        self.switch(Behaviour::AudienceChecksTheCaller, must)
    }

    /// Whether introspection calls every JWT inactive that wasn't signed with the key that signs now, published or
    /// not, as Hydra does.
    #[must_use]
    pub fn current_key_only(self, only: bool) -> Self {
        self.switch(Behaviour::CurrentKeyOnly, only)
    }

    /// With this behaviour from the start; call again for more.
    #[must_use]
    pub fn behaviour(self, behaviour: Behaviour) -> Self {
        self.switch(behaviour, true)
    }

    fn switch(mut self, behaviour: Behaviour, on: bool) -> Self {
        if on {
            self.behaviours.insert(behaviour);
        } else {
            self.behaviours.remove(&behaviour);
        }
        self
    }

    /// Introspection answers are signed with a key of this algorithm where the caller asks for
    /// `application/token-introspection+jwt` alone (RFC 9701); plain JSON for everybody else, and by default.
    #[must_use]
    pub const fn signs_answers(mut self, algorithm: Algorithm) -> Self {
        self.settings.signs_answers = Some(algorithm);
        self
    }

    /// The `Cache-Control` of the key set; none by default.
    #[must_use]
    pub fn jwks_cache_control(mut self, value: impl Into<String>) -> Self {
        self.settings.jwks_cache_control = Some(value.into());
        self
    }

    /// Listens and runs.
    ///
    /// # Errors
    /// `InvalidInput` if the issuer is no http or https address or its path no path; else that of the operating system.
    pub fn start(self) -> io::Result<AuthorizationServer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        let address = listener.local_addr()?;
        let issuer = self.issuer.unwrap_or_else(|| format!("http://{address}{}", self.issuer_path));
        let (base, path) = split(&issuer)?;
        let key = self.key.unwrap_or_else(|| SigningKey::generate(self.algorithm));
        let state = Arc::new(State::new(issuer, base, path, self.settings, self.clients, key));
        for behaviour in self.behaviours {
            state.set_behaviour(behaviour, true);
        }
        let door = Door::open(listener, Arc::clone(&state))?;
        Ok(AuthorizationServer { state, door })
    }
}

/// The address without its last slash, and the path of that.
fn split(issuer: &str) -> io::Result<(String, String)> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "the issuer is no http or https address");
    let url = Url::parse(issuer).map_err(|_| invalid())?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid());
    }
    let without_slash = |text: &str| text.strip_suffix('/').unwrap_or(text).to_owned();
    Ok((without_slash(issuer), without_slash(url.path())))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("issuer", &self.issuer)
            .field("issuer_path", &self.issuer_path)
            .field("algorithm", &self.algorithm)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}
