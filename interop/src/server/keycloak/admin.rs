//! The admin API.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use verifier::core::time::Instant;

use crate::clock;
use crate::server::http::{Answer, Http};
use crate::server::{Trouble, failed};

/// An administrator's token lives for a minute.
const TOKEN_LIFE: Duration = Duration::from_secs(30);

/// An administrator of one realm.
pub(crate) struct Admin {
    origin: String,
    realm: String,
    secret: String,
    http: Http,
    token: Arc<Mutex<Option<(Instant, String)>>>,
}

impl Admin {
    pub(super) fn new(origin: &str, realm: &str, secret: String, http: Http) -> Self {
        Self { origin: origin.to_owned(), realm: realm.to_owned(), secret, http, token: Arc::default() }
    }

    /// A call to `realms/REALM` and this path below it.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if the status isn't 2xx.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Answer, Trouble> {
        self.ask(method.clone(), path, body).await?.good(&format!("admin {method} {path}"))
    }

    /// The same, whatever the status.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there was no answer.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Answer, Trouble> {
        let bearer = format!("Bearer {}", self.token().await?);
        let slash = if path.is_empty() { "" } else { "/" };
        let url = format!("{}/admin/realms/{}{slash}{path}", self.origin, self.realm);
        self.http.json(method, &url, &[("authorization", &bearer)], body).await
    }

    /// What stands there.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    pub(crate) async fn read(&self, path: &str) -> Result<Value, Trouble> {
        self.call(Method::GET, path, &Value::Null).await?.json()
    }

    /// Changes members of an object, or the whole of a component.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<(), Trouble> {
        self.call(Method::PUT, path, body).await.map(drop)
    }

    /// Makes an object and gives its id.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    pub(crate) async fn make(&self, path: &str, body: &Value) -> Result<String, Trouble> {
        let answer = self.call(Method::POST, path, body).await?;
        let id =
            answer.location.as_deref().and_then(|location| location.rsplit('/').next()).map(str::to_owned);
        id.ok_or_else(|| failed(format_args!("admin POST {path}: no id in the answer")))
    }

    /// Takes an object away.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    pub(crate) async fn remove(&self, path: &str, body: &Value) -> Result<(), Trouble> {
        self.call(Method::DELETE, path, body).await.map(drop)
    }

    /// The id of a client.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there is none.
    pub(crate) async fn client(&self, name: &str) -> Result<String, Trouble> {
        self.only(&format!("clients?clientId={name}")).await
    }

    /// The id of a user.
    ///
    /// # Errors
    /// [`Trouble::Failed`] if there is none.
    pub(crate) async fn user(&self, name: &str) -> Result<String, Trouble> {
        self.only(&format!("users?exact=true&username={name}")).await
    }

    async fn only(&self, path: &str) -> Result<String, Trouble> {
        let list = self.read(path).await?;
        let id = list.pointer("/0/id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| failed(format_args!("admin GET {path}: nobody")))
    }

    /// A new key provider of the usual algorithm; the one with the greatest priority signs.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    pub(crate) async fn add_key(&self, priority: u32) -> Result<String, Trouble> {
        self.make("components", &self.key("newer", priority, true, true)).await
    }

    /// A key provider, as it is written.
    pub(crate) fn key(&self, name: &str, priority: u32, enabled: bool, active: bool) -> Value {
        json!({
            "name": name, "parentId": self.realm,
            "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
            "config": {
                "priority": [priority.to_string()], "algorithm": ["RS256"],
                "enabled": [enabled.to_string()], "active": [active.to_string()],
            },
        })
    }

    async fn token(&self) -> Result<String, Trouble> {
        let mut held = self.token.lock().await;
        if let Some((since, token)) = held.as_ref()
            && clock::instant().since(*since) < TOKEN_LIFE
        {
            return Ok(token.clone());
        }
        let asked = clock::instant();
        let url = format!("{}/realms/master/protocol/openid-connect/token", self.origin);
        let parameters = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", &self.secret),
        ];
        let token =
            self.http.form(&url, &[], &parameters).await?.good("admin token")?.text("access_token")?;
        *held = Some((asked, token.clone()));
        Ok(token)
    }
}
