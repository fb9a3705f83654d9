//! How Hydra's tokens are had: by client credentials, and by a user who logs in and consents without a browser.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::Running;
use crate::server::http::{Answer, Jar, basic};
use crate::server::{
    AUDIENCE, Audience, Format, Issued, Kind, Lifetime, OTHER_AUDIENCE, Order, Scopes, Subject, Trouble,
    failed,
};

/// The lifetime of short-lived tokens, in seconds.
const SHORT: u64 = 2;

pub(super) async fn issue(hydra: &Running, order: &Order) -> Result<Issued, Trouble> {
    if order.sort.format == Format::Jwt {
        hydra.sign_with(order.sort.algorithm).await?;
    }
    // A client of its own where something is to happen to it, or where it lives otherwise: deeds end it.
    match (order.kind, order.sort.subject) {
        (Kind::Access, Subject::Client) => by_client(hydra, order).await,
        _ => by_user(hydra, order).await,
    }
}

const fn audience(order: &Order) -> Option<&'static str> {
    match order.audience {
        Audience::Ours => Some(AUDIENCE),
        Audience::Other => Some(OTHER_AUDIENCE),
        Audience::Nobody => None,
    }
}

const fn scope(order: &Order) -> &'static str {
    match order.scopes {
        Scopes::Held => "things.read",
        Scopes::Absent => "",
        Scopes::Wildcard => "things.*",
    }
}

async fn by_client(hydra: &Running, order: &Order) -> Result<Issued, Trouble> {
    let client = hydra.new_client(order).await?;
    of_client(hydra, order, client).await
}

/// From the client that `start` made for this format.
pub(super) async fn by_shared_client(hydra: &Running, order: &Order) -> Result<Issued, Trouble> {
    of_client(hydra, order, hydra.client(order.sort.format).clone()).await
}

/// A token that nobody needs.
pub(super) async fn first(hydra: &Running) -> Result<(), Trouble> {
    let form = [("grant_type", "client_credentials")];
    let (client, secret) = &hydra.clients.jwt;
    hydra.token((client, secret), &form).await.map(drop)
}

async fn of_client(
    hydra: &Running,
    order: &Order,
    (client, secret): (String, String),
) -> Result<Issued, Trouble> {
    let mut form = vec![("grant_type", "client_credentials"), ("scope", scope(order))];
    form.extend(audience(order).map(|audience| ("audience", audience)));
    let answer = hydra.token((&client, &secret), &form).await?;
    Ok(Issued {
        token: answer.text("access_token")?,
        client,
        user: None,
        expires_in: expires_in(&answer)?,
        access: None,
        refresh: None,
        id: None,
        notes: BTreeMap::from([("secret", secret)]),
    })
}

async fn by_user(hydra: &Running, order: &Order) -> Result<Issued, Trouble> {
    // The audience of an ID token is its client, which a configuration can name only if it is always the same.
    let (client, secret) = match order.kind {
        Kind::Id => hydra.client(order.sort.format).clone(),
        _ => hydra.new_client(order).await?,
    };
    let callback = format!("{}/interop/callback", hydra.public);
    let code = authorize(hydra, order, &client, &callback).await?;
    let mut issued = Issued {
        token: code.clone(),
        client: client.clone(),
        user: Some("alice".to_owned()),
        expires_in: None,
        access: None,
        refresh: None,
        id: None,
        notes: BTreeMap::from([("secret", secret.clone())]),
    };
    if order.kind == Kind::Code {
        return Ok(issued);
    }
    let form = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", &*callback)];
    let answer = hydra.token((&client, &secret), &form).await?;
    let access = answer.text("access_token")?;
    let refresh = answer.text("refresh_token")?;
    let id = answer.text("id_token")?;
    issued.token = match order.kind {
        Kind::Id => id.clone(),
        Kind::Refresh => refresh.clone(),
        _ => access.clone(),
    };
    issued.expires_in = expires_in(&answer)?;
    issued.access = Some(access);
    issued.refresh = Some(refresh);
    issued.id = Some(id);
    Ok(issued)
}

fn expires_in(answer: &Answer) -> Result<Option<Duration>, Trouble> {
    Ok(answer.json()?.get("expires_in").and_then(Value::as_u64).map(Duration::from_secs))
}

/// An authorization code for alice. What the consent puts into the tokens tries to pass for somebody else's claims.
async fn authorize(hydra: &Running, order: &Order, client: &str, callback: &str) -> Result<String, Trouble> {
    let scopes = format!("openid offline_access {}", scope(order));
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("client_id", client),
            ("response_type", "code"),
            ("state", "0123456789abcdef"),
            ("nonce", "fedcba9876543210"),
            ("scope", &scopes),
            ("redirect_uri", callback),
        ])
        .extend_pairs(audience(order).map(|audience| ("audience", audience)))
        .finish();
    let mut jar = Jar::new();
    let at = format!("{}/oauth2/auth?{query}", hydra.public);
    let challenge = hydra.visit(&at, &mut jar).await?.parameter("login_challenge")?;
    let at = hydra.accept("login", &challenge, &json!({ "subject": "alice", "remember": true })).await?;
    let challenge = hydra.visit(&at, &mut jar).await?.parameter("consent_challenge")?;
    let granted: Vec<&str> = audience(order).into_iter().collect();
    let consent = json!({
        "grant_scope": scopes.split(' ').filter(|scope| !scope.is_empty()).collect::<Vec<_>>(),
        "grant_access_token_audience": granted,
        "session": { "access_token": {
            "sub": "mallory", "iss": "https://evil.example", "scp": ["things.write"], "nothing": null,
        } },
    });
    let at = hydra.accept("consent", &challenge, &consent).await?;
    hydra.visit(&at, &mut jar).await?.parameter("code")
}

impl Running {
    /// Posts to the token endpoint.
    pub(super) async fn token(&self, client: (&str, &str), form: &[(&str, &str)]) -> Result<Answer, Trouble> {
        self.ask_token(client, form).await?.good("the token endpoint")
    }

    /// The same, whatever it answers.
    pub(super) async fn ask_token(
        &self,
        (client, secret): (&str, &str),
        form: &[(&str, &str)],
    ) -> Result<Answer, Trouble> {
        let _one = self.writing.lock().await;
        let headers = [("authorization", &*basic(client, secret))];
        self.http.form(&format!("{}/oauth2/token", self.public), &headers, form).await
    }

    async fn visit(&self, at: &str, jar: &mut Jar) -> Result<Answer, Trouble> {
        let _one = self.writing.lock().await;
        // The browser would go by the issuer's name, and this one goes where Hydra listens.
        self.http.visit(&at.replacen(&self.issuer, &self.public, 1), jar).await
    }

    async fn accept(&self, what: &str, challenge: &str, body: &Value) -> Result<String, Trouble> {
        let _one = self.writing.lock().await;
        let url =
            format!("{}/admin/oauth2/auth/requests/{what}/accept?{what}_challenge={challenge}", self.admin);
        self.http.json(Method::PUT, &url, &[], body).await?.good(what)?.text("redirect_to")
    }

    /// A client that nobody else uses, so that what happens to it happens to nobody else.
    async fn new_client(&self, order: &Order) -> Result<(String, String), Trouble> {
        let (name, secret) = (self.name("client"), self.name("secret-of-no-worth-on-loopback"));
        let lifetime = match order.lifetime {
            Lifetime::Usual => None,
            Lifetime::Short => Some(format!("{SHORT}s")),
        };
        let strategy = match order.sort.format {
            Format::Jwt => "jwt",
            Format::Opaque => "opaque",
        };
        let mut client = json!({
            "client_id": name,
            "client_secret": secret,
            "access_token_strategy": strategy,
            "scope": "openid offline_access things.read things.write things.*",
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["client_credentials", "authorization_code", "refresh_token"],
            "response_types": ["code"],
            "redirect_uris": [format!("{}/interop/callback", self.public)],
            "audience": [AUDIENCE, OTHER_AUDIENCE],
        });
        if let (Some(lifetime), Some(members)) = (lifetime, client.as_object_mut()) {
            for grant in ["client_credentials_grant", "authorization_code_grant"] {
                members.insert(format!("{grant}_access_token_lifespan"), lifetime.clone().into());
            }
        }
        let _one = self.writing.lock().await;
        let url = format!("{}/admin/clients", self.admin);
        self.http.json(Method::POST, &url, &[], &client).await?.good("a new client")?;
        Ok((name, secret))
    }

    /// Makes a key of this algorithm the one that signs.
    async fn sign_with(&self, algorithm: &str) -> Result<(), Trouble> {
        let mut keys = self.keys.lock().await;
        let signs = keys.last().map_or("RS256", |(_, algorithm)| algorithm);
        if signs == algorithm {
            return Ok(());
        }
        while let Some((kid, _)) = keys.pop() {
            self.remove_key(&kid).await?;
        }
        if algorithm != "RS256" {
            let kid = self.add_key(algorithm).await?;
            keys.push((kid, algorithm.to_owned()));
        }
        Ok(())
    }

    /// Adds a key, which signs at once.
    pub(super) async fn add_key(&self, algorithm: &str) -> Result<String, Trouble> {
        let kid = self.name("key");
        let url = format!("{}/admin/keys/hydra.jwt.access-token", self.admin);
        let body = json!({ "alg": algorithm, "kid": kid, "use": "sig" });
        self.http.json(Method::POST, &url, &[], &body).await?.good("a new key")?;
        Ok(kid)
    }

    /// Removes a key.
    pub(super) async fn remove_key(&self, kid: &str) -> Result<(), Trouble> {
        let url = format!("{}/admin/keys/hydra.jwt.access-token/{kid}", self.admin);
        self.http.json(Method::DELETE, &url, &[], &Value::Null).await?.good("a key's removal")?;
        Ok(())
    }

    /// Revokes a token as this client (RFC 7009).
    pub(super) async fn revoke(&self, (client, secret): (&str, &str), token: &str) -> Result<(), Trouble> {
        let _one = self.writing.lock().await;
        let headers = [("authorization", &*basic(client, secret))];
        let url = format!("{}/oauth2/revoke", self.public);
        self.http.form(&url, &headers, &[("token", token)]).await?.good("the revocation endpoint")?;
        Ok(())
    }
}

/// A secret that the deeds need.
pub(super) fn secret(issued: &Issued) -> Result<&str, Trouble> {
    issued
        .notes
        .get("secret")
        .map(String::as_str)
        .ok_or_else(|| failed("a token without its client's secret"))
}
