//! Ory Hydra.

mod deeds;
mod plays;
mod rows;
mod tokens;

use async_trait::async_trait;
use tokio::sync::Mutex;
use verifier::Strategy;

use self::deeds::Locked;
use super::http::Http;
use super::process::{self, Process};
use super::{
    Deed, Format, Issued, Kind, Need, Order, Product, Server, Settings, Sort, Start, Subject, Trouble,
};
use crate::scenario::{Override, Scenario};
use crate::stage::Stage;

/// The product.
#[derive(Debug)]
pub(crate) struct Hydra;

const SORTS: &[Sort] = &[
    Sort::jwt(Subject::Client, "RS256"),
    Sort::opaque(Subject::Client),
    Sort::jwt(Subject::User, "RS256"),
    Sort::opaque(Subject::User),
    Sort::jwt(Subject::Client, "ES256"),
    Sort::jwt(Subject::Client, "EdDSA"),
];

#[async_trait]
impl Product for Hydra {
    fn name(&self) -> &'static str {
        "hydra"
    }

    fn title(&self) -> &'static str {
        "Ory Hydra 2.3.0"
    }

    fn example(&self, _strategy: Strategy) -> &'static str {
        "hydra"
    }

    fn sorts(&self) -> &'static [Sort] {
        SORTS
    }

    fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::CallerAuthentication => {
                Some("its introspection is on the admin port and looks at no credentials of the caller")
            }
            Need::Kind(Kind::DpopBound) => Some("it issues no DPoP-bound tokens"),
            Need::Deed(Deed::DisableUser | Deed::EnableUser) => {
                Some("it has no users of its own: whoever logs them in is another service")
            }
            Need::OlderKeyIntrospected => {
                Some("JWTs of an older key are inactive, though the key is published")
            }
            Need::Deed(Deed::EnableClient) => Some("a client can only be deleted, and its tokens with it"),
            Need::Kind(_)
            | Need::Deed(_)
            | Need::Format(_)
            | Need::Subject(_)
            | Need::Audience(_)
            | Need::Lifetime(_)
            | Need::Scopes(_)
            | Need::AnotherAddress
            | Need::JwtIntrospection
            | Need::Price => None,
        }
    }

    fn overrides(&self) -> &'static [Override] {
        rows::OVERRIDES
    }

    fn scenarios(&self) -> &'static [Scenario] {
        rows::SCENARIOS
    }

    fn advice(&self) -> &'static [&'static str] {
        rows::ADVICE
    }

    // Clients are of one token each; the consents of alice are not.
    fn disturbs(&self, deed: Deed) -> bool {
        !matches!(
            deed,
            Deed::Revoke
                | Deed::RevokeByStranger
                | Deed::RevokeRefreshToken
                | Deed::DisableClient
                | Deed::WithdrawAll
                | Deed::Refresh
                | Deed::ReuseRefreshToken
        )
    }

    // Its newest key signs all tokens, so another algorithm means another key for all.
    fn disturbed_by(&self, sort: &Sort) -> bool {
        sort.format == Format::Jwt && sort.algorithm != "RS256"
    }

    async fn start(&self, how: Start) -> Result<Box<dyn Server>, Trouble> {
        let variables: &[(&str, &str)] = match how {
            Start::Usual => &[],
            Start::NamedLocalhost => {
                &[("HYDRA_HOST", "127.0.0.2"), ("HYDRA_NAME", "localhost"), ("HYDRA_RUN", "run-named")]
            }
        };
        process::script("hydra", "start", variables).await?;
        let hydra = Running::new(how)?;
        // The first one makes it make its key, and several first ones several keys.
        tokens::first(&hydra).await?;
        Ok(Box::new(hydra))
    }
}

/// Where it lives, below its folder in the cache.
const fn folder(how: Start) -> &'static str {
    match how {
        Start::Usual => "run",
        Start::NamedLocalhost => "run-named",
    }
}

/// The running one.
struct Running {
    http: Http,
    issuer: String,
    public: String,
    admin: String,
    store: String,
    binary: String,
    clients: Clients,
    named: Start,
    process: Mutex<Process>,
    /// Keys that were added, by id; the last one signs.
    keys: Mutex<Vec<(String, String)>>,
    locked: Mutex<Option<Locked>>,
    serial: std::sync::atomic::AtomicU64,
    /// Its store takes one writer at a time and answers 500 to whoever has waited for half a second: ours queue here.
    writing: Mutex<()>,
}

/// The clients that `start` makes, and the secret of each.
struct Clients {
    jwt: (String, String),
    opaque: (String, String),
    stranger: (String, String),
}

impl Running {
    fn new(how: Start) -> Result<Self, Trouble> {
        let run = process::cache().join("hydra").join(folder(how));
        let told = process::variables(&run.join("hydra.env"))?;
        let secrets = process::variables(&run.join("hydra.secrets"))?;
        let value = |name: &str| process::variable(&told, name);
        let client = |name: &str| {
            let id = value(name)?;
            let secret = process::variable(&secrets, &format!("SECRET_{}", id.replace('-', "_")))?;
            Ok::<_, Trouble>((id, secret))
        };
        Ok(Self {
            http: Http::new()?,
            issuer: value("HYDRA_ISSUER")?,
            public: value("HYDRA_PUBLIC")?,
            admin: value("HYDRA_ADMIN")?,
            store: value("HYDRA_STORE")?,
            binary: value("HYDRA_BINARY")?,
            clients: Clients {
                jwt: client("HYDRA_CLIENT_JWT")?,
                opaque: client("HYDRA_CLIENT_OPAQUE")?,
                stranger: client("HYDRA_CLIENT_STRANGER")?,
            },
            named: how,
            process: Mutex::new(Process::from_file(&run.join("hydra.pid"))?),
            keys: Mutex::new(Vec::new()),
            locked: Mutex::new(None),
            serial: std::sync::atomic::AtomicU64::new(0),
            writing: Mutex::new(()),
        })
    }

    /// The one that runs on this stage, for scenarios that talk to it themselves.
    fn again(stage: &Stage<'_>) -> Result<Self, Trouble> {
        let named = if stage.settings.address.is_some() { Start::NamedLocalhost } else { Start::Usual };
        Self::new(named)
    }

    const fn client(&self, format: Format) -> &(String, String) {
        match format {
            Format::Jwt => &self.clients.jwt,
            Format::Opaque => &self.clients.opaque,
        }
    }

    /// A name that nothing here had yet.
    fn name(&self, what: &str) -> String {
        let serial = self.serial.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        format!("interop-{what}-{serial}")
    }
}

#[async_trait]
impl Server for Running {
    fn settings(&self) -> Settings {
        Settings {
            issuer: self.issuer.clone(),
            introspection: format!("{}/admin/oauth2/introspect", self.admin),
            jwks: format!("{}/.well-known/jwks.json", self.public),
            caller: None,
            address: (self.named == Start::NamedLocalhost).then(|| self.public.clone()),
            held_scope: "things.read",
            other_scope: "things.write",
        }
    }

    async fn issue(&self, order: &Order) -> Result<Issued, Trouble> {
        tokens::issue(self, order).await
    }

    async fn issue_shared(&self, order: &Order) -> Result<Issued, Trouble> {
        tokens::by_shared_client(self, order).await
    }

    async fn act(&self, deed: Deed, issued: &mut Issued) -> Result<(), Trouble> {
        deeds::act(self, deed, issued).await
    }

    async fn restore(&self) -> Result<(), Trouble> {
        deeds::restore(self).await
    }

    async fn stop(&self) -> Result<(), Trouble> {
        process::script("hydra", "stop", &[("HYDRA_RUN", folder(self.named))]).await
    }
}
