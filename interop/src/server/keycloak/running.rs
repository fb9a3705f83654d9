//! One realm of a Keycloak that runs: its clients, and the tokens that they get.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use verifier_testkit::{Algorithm, SigningKey, TokenForge};

use super::deeds::Undo;
use super::{AT_JWT, Admin, ELSEWHERE, LIGHTWEIGHT};
use crate::clock;
use crate::server::http::{Answer, Http, Jar};
use crate::server::process::{self, Process};
use crate::server::{
    AUDIENCE, Audience, Issued, Kind, Lifetime, OTHER_AUDIENCE, Order, Scopes, Settings, Sort, Subject,
    Trouble, failed,
};

/// The client with which we introspect.
const CALLER: &str = "api";

/// Where codes are sent: nobody has to listen there.
const REDIRECT: &str = "http://127.0.0.1/code";

/// A realm of the server that `start` left behind.
pub(crate) struct Running {
    pub(super) origin: String,
    realm: &'static str,
    secrets: PathBuf,
    pub(super) http: Http,
    /// The administrator.
    pub(crate) admin: Admin,
    /// Whether it ends with this.
    pub(super) owns: bool,
    /// The clients that exist.
    made: Mutex<HashSet<String>>,
    pub(super) undo: Mutex<Vec<Undo>>,
}

fn run_folder() -> PathBuf {
    process::cache().join("run")
}

impl Running {
    /// The process.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if none was started.
    pub(super) fn process() -> Result<Process, Trouble> {
        Process::from_file(&run_folder().join("keycloak.pid"))
    }

    /// The realm `interop`, for scenarios of Keycloak's own.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if none was started.
    pub(crate) fn usual() -> Result<Self, Trouble> {
        Self::attach(super::REALM, false)
    }

    /// The realm whose name is an address where nobody listens.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if none was started.
    pub(crate) fn elsewhere() -> Result<Self, Trouble> {
        Self::attach(ELSEWHERE, false)
    }

    pub(super) fn attach(realm: &'static str, owns: bool) -> Result<Self, Trouble> {
        let variables = process::variables(&run_folder().join("keycloak.env"))?;
        let origin = process::variable(&variables, "KEYCLOAK_ORIGIN")?;
        let secrets = PathBuf::from(process::variable(&variables, "KEYCLOAK_SECRETS")?);
        let http = Http::new()?;
        let admin = Admin::new(&origin, realm, read(&secrets, "admin")?, http.clone());
        Ok(Self { origin, realm, secrets, http, admin, owns, made: Mutex::default(), undo: Mutex::default() })
    }

    /// A secret that `start` made: `api`, `any`, `app`, `user`.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there is none of this name.
    pub(crate) fn secret(&self, name: &str) -> Result<String, Trouble> {
        read(&self.secrets, name)
    }

    /// A file beside the secrets: `any.pem`.
    pub(crate) fn secret_file(&self, name: &str) -> PathBuf {
        self.secrets.join(name)
    }

    /// The address of one of the realm's endpoints.
    pub(crate) fn endpoint(&self, name: &str) -> String {
        format!("{}/realms/{}/protocol/openid-connect/{name}", self.origin, self.realm)
    }

    /// What the realm would be named if its address were its name.
    pub(crate) fn by_address(&self) -> String {
        format!("{}/realms/{}", self.origin, self.realm)
    }

    /// The key set, as it is published now.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there was no good answer.
    pub(crate) async fn key_set(&self) -> Result<Value, Trouble> {
        self.http.get(&self.endpoint("certs")).await?.good("key set")?.json()
    }

    pub(super) fn settings(&self) -> Settings {
        let named = self.realm == ELSEWHERE;
        let base = if named { "http://localhost:9" } else { &self.origin };
        let issuer = format!("{base}/realms/{}", self.realm);
        Settings {
            introspection: format!("{issuer}/protocol/openid-connect/token/introspect"),
            jwks: format!("{issuer}/protocol/openid-connect/certs"),
            issuer,
            caller: self.secret(CALLER).ok().map(|secret| (CALLER.to_owned(), secret)),
            address: named.then(|| self.origin.clone()),
            held_scope: "things.read",
            other_scope: "things.write",
        }
    }

    pub(super) async fn issue(&self, order: &Order) -> Result<Issued, Trouble> {
        let client = self.client_for(order).await?;
        if order.kind == Kind::Code {
            return self.code(client).await;
        }
        let mut scopes = Vec::new();
        if order.sort.subject == Subject::User {
            scopes.push("openid");
        }
        if order.scopes == Scopes::Held {
            scopes.push("things.read");
        }
        let answer = self.tokens(&client, order.sort.subject, &scopes.join(" ")).await?;
        issued(&answer, client, order)
    }

    /// What the token endpoint answers to this client, whatever it is.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there was no good answer.
    pub(crate) async fn tokens(&self, client: &str, subject: Subject, scope: &str) -> Result<Value, Trouble> {
        let password = self.secret("user")?;
        let mut parameters = match subject {
            Subject::Client => vec![("grant_type", "client_credentials")],
            Subject::User => {
                vec![("grant_type", "password"), ("username", "ada"), ("password", password.as_str())]
            }
        };
        if !scope.is_empty() {
            parameters.push(("scope", scope));
        }
        self.ask_token(client, &parameters).await?.good("token endpoint")?.json()
    }

    /// A call to the token endpoint by one of the clients that get tokens.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there was no answer.
    pub(crate) async fn ask_token(
        &self,
        client: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer, Trouble> {
        let url = self.endpoint("token");
        if client.contains("dpop") {
            return self.post(&url, client, &[("dpop", &proof(&url))], parameters).await;
        }
        self.post(&url, client, &[], parameters).await
    }

    /// A form that this client sends with its secret.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there was no answer.
    pub(crate) async fn post(
        &self,
        url: &str,
        client: &str,
        headers: &[(&str, &str)],
        parameters: &[(&str, &str)],
    ) -> Result<Answer, Trouble> {
        let secret = self.secret("app")?;
        let mut all = vec![("client_id", client), ("client_secret", secret.as_str())];
        all.extend_from_slice(parameters);
        self.http.form(url, headers, &all).await
    }

    /// The client that gets such tokens; made when it is needed first.
    async fn client_for(&self, order: &Order) -> Result<String, Trouble> {
        let Sort { algorithm, flavour, .. } = order.sort;
        let mut name = format!("app-{}", algorithm.to_lowercase());
        let mut attributes = Map::new();
        attributes.insert("access.token.signed.response.alg".into(), algorithm.into());
        let mut attribute = |word: &str, key: &str, value: &str| {
            name.push_str(word);
            attributes.insert(key.into(), value.into());
        };
        match flavour {
            AT_JWT => attribute("-at-jwt", "access.token.header.type.rfc9068", "true"),
            LIGHTWEIGHT => attribute("-lightweight", "client.use.lightweight.access.token.enabled", "true"),
            _ => {}
        }
        if order.kind == Kind::DpopBound {
            attribute("-dpop", "dpop.bound.access.tokens", "true");
        }
        if order.lifetime == Lifetime::Short {
            attribute("-short", "access.token.lifespan", "3");
        }
        let (word, audiences) = match order.audience {
            Audience::Ours => ("", vec![caller(), resource(AUDIENCE)]),
            Audience::Other => ("-other", vec![caller(), resource(OTHER_AUDIENCE)]),
            Audience::Nobody => ("-nobody", vec![]),
        };
        name.push_str(word);
        self.client(&name, &Value::Object(attributes), &audiences).await?;
        Ok(name)
    }

    /// A client that may get tokens in every way. Does nothing if it is there.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    pub(crate) async fn client(
        &self,
        name: &str,
        attributes: &Value,
        mappers: &[Value],
    ) -> Result<(), Trouble> {
        let mut made = self.made.lock().await;
        if made.contains(name) {
            return Ok(());
        }
        let client = json!({
            "clientId": name, "secret": self.secret("app")?, "publicClient": false,
            "serviceAccountsEnabled": true, "directAccessGrantsEnabled": true, "standardFlowEnabled": true,
            "redirectUris": [REDIRECT], "attributes": attributes, "protocolMappers": mappers,
            // With the scope of all roles, whoever has one at a client gets that client into `aud`.
            "fullScopeAllowed": !mappers.is_empty(),
        });
        let answer = self.admin.ask(http::Method::POST, "clients", &client).await?;
        if answer.status != 409 {
            answer.good("admin POST clients")?;
        }
        made.insert(name.to_owned());
        Ok(())
    }

    /// Logs in as a browser would, and keeps the code.
    async fn code(&self, client: String) -> Result<Issued, Trouble> {
        let url = format!(
            "{}?response_type=code&scope=openid&state=s&client_id={client}&redirect_uri={REDIRECT}",
            self.endpoint("auth")
        );
        let mut jar = Jar::new();
        let page = self.http.visit(&url, &mut jar).await?.good("login page")?;
        let page = String::from_utf8_lossy(&page.body).into_owned();
        let action =
            page.split_once("action=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(action, _)| action);
        let action = action.ok_or_else(|| failed("no form in the login page"))?.replace("&amp;", "&");
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let password = self.secret("user")?;
        let answer = self
            .http
            .form(
                &action,
                &[("cookie", &cookies.join("; "))],
                &[("username", "ada"), ("password", &password)],
            )
            .await?;
        Ok(Issued { token: answer.parameter("code")?, ..empty(client, Some("ada")) })
    }
}

fn read(secrets: &std::path::Path, name: &str) -> Result<String, Trouble> {
    std::fs::read_to_string(secrets.join(name))
        .map_err(|error| failed(format_args!("secret {name}: {error}")))
}

fn empty(client: String, user: Option<&str>) -> Issued {
    Issued {
        token: String::new(),
        client,
        user: user.map(str::to_owned),
        expires_in: None,
        access: None,
        refresh: None,
        id: None,
        notes: BTreeMap::new(),
    }
}

fn issued(answer: &Value, client: String, order: &Order) -> Result<Issued, Trouble> {
    let member = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    let (access, refresh, id) = (member("access_token"), member("refresh_token"), member("id_token"));
    let token = match order.kind {
        Kind::Id => id.clone(),
        Kind::Refresh => refresh.clone(),
        _ => access.clone(),
    };
    Ok(Issued {
        token: token.ok_or_else(|| failed("the token endpoint gave no such token"))?,
        expires_in: answer.get("expires_in").and_then(Value::as_u64).map(Duration::from_secs),
        access,
        refresh,
        id,
        ..empty(client, (order.sort.subject == Subject::User).then_some("ada"))
    })
}

/// A mapper that puts an audience into access tokens, lightweight ones too, and into ID tokens, so that it isn't their
/// audience by which those are told apart.
pub(crate) fn audience(key: &str, value: &str, lightweight: bool) -> Value {
    json!({
        "name": value, "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": {
            key: value, "access.token.claim": "true", "id.token.claim": "true", "introspection.token.claim": "true",
            "lightweight.claim": lightweight.to_string(),
        },
    })
}

fn caller() -> Value {
    audience("included.client.audience", CALLER, true)
}

fn resource(name: &str) -> Value {
    audience("included.custom.audience", name, true)
}

/// A proof of a new key for the token endpoint (RFC 9449 §4.2).
fn proof(url: &str) -> String {
    let key = SigningKey::generate(Algorithm::ES256);
    let mut jwk = key.jwk();
    jwk.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
    let now = clock::now().wall;
    let claims =
        json!({ "jti": now.unix_micros().to_string(), "htm": "POST", "htu": url, "iat": now.unix_seconds() });
    TokenForge::new(header.to_string(), claims.to_string()).sign(&key)
}
