//! node-oidc-provider: the package for Node, in the server of `node-oidc-provider/server.mjs`.

mod verdicts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use verifier::Strategy;

use super::http::{Answer, Http, Jar, basic, parameter};
use super::process::{self, Process, Signal};
use super::{
    AUDIENCE, Audience, Deed, Format, Issued, Kind, Lifetime, Need, OTHER_AUDIENCE, Order, Product, Scopes,
    Server, Settings, Sort, Start, Subject, Trouble, cant_do, failed,
};
use crate::scenario::{Change, Override, Scenario};
use crate::scenarios::node_oidc_provider as own;

/// The name of its folder.
pub(crate) const NAME: &str = "node-oidc-provider";

/// The one user there is.
const USER: &str = "alice";

/// Seconds that a short-lived token lives.
const SHORT: &str = "2";

/// The product.
#[derive(Debug)]
pub(crate) struct NodeOidcProvider;

#[async_trait]
impl Product for NodeOidcProvider {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "node-oidc-provider 9.13.3"
    }

    fn example(&self, strategy: Strategy) -> &'static str {
        if strategy == Strategy::Jwks { "at+jwt" } else { "generic" }
    }

    fn departures(&self, strategy: Strategy) -> &'static [Change] {
        match strategy {
            Strategy::Jwks => JWKS,
            Strategy::Introspection => INTROSPECTION,
            _ => HYBRID,
        }
    }

    fn sorts(&self) -> &'static [Sort] {
        SORTS
    }

    fn lacks(&self, need: Need) -> Option<&'static str> {
        match need {
            Need::Scopes(Scopes::Wildcard) => {
                Some("its resource servers list their scopes, and it knows no patterns")
            }
            Need::JwtIntrospection | Need::OlderKeyIntrospected => {
                Some("it refuses to introspect JWTs (400 unsupported_token_type)")
            }
            Need::Deed(Deed::WithdrawAll) => Some("it can't withdraw all tokens of a client at once"),
            _ => None,
        }
    }

    fn overrides(&self) -> &'static [Override] {
        verdicts::OVERRIDES
    }

    fn scenarios(&self) -> &'static [Scenario] {
        own::ALL
    }

    fn advice(&self) -> &'static [&'static str] {
        ADVICE
    }

    async fn start(&self, how: Start) -> Result<Box<dyn Server>, Trouble> {
        let env: &[(&str, &str)] = match how {
            Start::Usual => &[],
            Start::NamedLocalhost => &[("INTEROP_LISTEN", "127.0.0.2"), ("INTEROP_NAMED", "localhost")],
        };
        process::script(NAME, "start", env).await?;
        let env = process::variables(&run_file("env"))?;
        let read = |name| process::variable(&env, name);
        Ok(Box::new(Running {
            http: Http::new()?,
            issuer: read("ISSUER")?,
            address: read("ADDRESS")?,
            how,
            left: Mutex::default(),
        }))
    }
}

// What an example of this server's own says: JWTs are verified here and asked about only if they live long, opaque ones are
// introspected. With that example, these go.
const PROFILE: Change = Change::set("issuer", "profile", "\"at+jwt\"");

const MAX_LIFETIME: Change = Change::set("issuer", "max_lifetime", "\"1h\"");

const JWKS: &[Change] = &[MAX_LIFETIME];

const INTROSPECTION: &[Change] = &[PROFILE, MAX_LIFETIME];

const HYBRID: &[Change] = &[
    PROFILE,
    MAX_LIFETIME,
    Change::set("issuer", "opaque", "\"introspect\""),
    Change::set(
        "issuer.revocation",
        "freshness",
        "\"30s\"\ncheck_when = { lifetime_over = \"1h\" }\n\n[issuer.keys]\nalgorithms = [\"RS256\", \"ES256\", \"EdDSA\"]",
    ),
];

const ALGORITHMS: usize = 11;

// Evaluated by the compiler, where an index out of bounds is an error.
#[allow(clippy::indexing_slicing)]
const SORTS: &[Sort] = &{
    const NAMES: [&str; ALGORITHMS] =
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
    let mut sorts = [Sort::opaque(Subject::Client); 2 * ALGORITHMS + 2];
    let mut at = 0;
    while at < ALGORITHMS {
        sorts[1 + at] = Sort::jwt(Subject::Client, NAMES[at]);
        sorts[2 + ALGORITHMS + at] = Sort::jwt(Subject::User, NAMES[at]);
        at += 1;
    }
    sorts[1 + ALGORITHMS] = Sort::opaque(Subject::User);
    sorts
};

const ADVICE: &[&str] = &[
    "It doesn't introspect JWTs: it answers each with 400 `unsupported_token_type`, and so does its revocation endpoint. \
     Verify JWTs by `jwks`, and keep them short-lived; or have the server issue opaque tokens (`accessTokenFormat: \
     'opaque'` of the resource server) and introspect those. With `hybrid`, only JWTs that `check_when` exempts pass.",
    "Its keys name no algorithm unless you give them one. RSA keys then fit six algorithms: name the one you use in \
     `[issuer.keys] algorithms`, or put `alg` into the server's keys.",
    "It calls refresh tokens active, without `token_type` and `aud`: it is the audience that refuses them, so never \
     accept any audience here.",
    "A deleted client's own tokens stay active. Those that it got for a user make the introspection endpoint answer 500, \
     which is `unavailable`. Revoke a client's grants before you delete it.",
    "That a user no longer exists (`findAccount` finds nobody) ends no token: revoke the user's grants, too.",
    "The end of a session ends opaque tokens only if `expiresWithSession` says so, which by default it doesn't where \
     `offline_access` was granted. JWTs go on.",
    "Any resource server may ask about any token: let `features.introspection.allowedPolicy` say who may. Whoever may not \
     is told `{\"active\":false}` of every token.",
    "The caller's secret in HTTP Basic must be form-encoded, as RFC 6749 says and as `client_secret_basic` does. What isn't \
     is answered with 400, as a bad token is, and so shows as `refused_by_server`.",
    "A client that is registered for encrypted answers (`introspection_encrypted_response_alg`) gets no plain ones: \
     register resource servers without.",
];

/// A file that `start` wrote.
pub(crate) fn run_file(extension: &str) -> std::path::PathBuf {
    process::cache().join("run").join(format!("{NAME}.{extension}"))
}

/// A client's secret, or its private key in PEM.
///
/// # Errors
/// [`Trouble::Failed`] if there is none.
pub(crate) fn secret(client: &str) -> Result<String, Trouble> {
    let file = run_file("secrets").join(client);
    std::fs::read_to_string(&file).map_err(|error| failed(format_args!("{}: {error}", file.display())))
}

/// Does what an operator does at the database or in the configuration: `client/disable?id=ID`. Gives the answer's text.
///
/// # Errors
/// [`Trouble::Failed`].
pub(crate) async fn operate(http: &Http, address: &str, what: &str) -> Result<String, Trouble> {
    let answer = http.get(&format!("{address}/interop/{what}")).await?.good(what)?;
    Ok(String::from_utf8_lossy(&answer.body).trim().to_owned())
}

/// Gets an access token for a client by client credentials, with further headers.
///
/// # Errors
/// [`Trouble::Failed`].
pub(crate) async fn client_token(
    http: &Http,
    address: &str,
    client: &str,
    headers: &[(&str, &str)],
    parameters: &[(&str, &str)],
) -> Result<Answer, Trouble> {
    let authorization = basic(client, &secret(client)?);
    let mut all = vec![("authorization", authorization.as_str())];
    all.extend_from_slice(headers);
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend_from_slice(parameters);
    http.form(&format!("{address}/token"), &all, &form).await?.good("client credentials")
}

/// The running one.
#[derive(Debug)]
struct Running {
    http: Http,
    issuer: String,
    address: String,
    how: Start,
    left: Mutex<Left>,
}

/// What a scenario may leave behind.
#[derive(Debug, Default)]
struct Left {
    clients: BTreeSet<String>,
    users: BTreeSet<String>,
    key: Option<String>,
    locked: bool,
    halted: bool,
    killed: bool,
}

/// The sort of a client's tokens is in its id.
fn client(sort: &Sort) -> String {
    let subject = match sort.subject {
        Subject::Client => "app",
        Subject::User => USER_CLIENT,
    };
    match sort.format {
        Format::Jwt => format!("{subject}-jwt-{}", sort.algorithm),
        Format::Opaque => format!("{subject}-opaque"),
    }
}

const USER_CLIENT: &str = "user";

const CALLBACK: &str = "http://127.0.0.1/callback";

impl Running {
    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn operate(&self, what: &str) -> Result<String, Trouble> {
        operate(&self.http, &self.address, what).await
    }

    async fn token(
        &self,
        client: &str,
        headers: &[(&str, &str)],
        form: &[(&str, &str)],
    ) -> Result<Answer, Trouble> {
        let authorization = basic(client, &secret(client)?);
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        self.http.form(&format!("{}/token", self.address), &all, form).await
    }

    /// Revokes a token in the name of a client.
    async fn revoke(&self, client: &str, token: &str) -> Result<(), Trouble> {
        let authorization = basic(client, &secret(client)?);
        let headers = [("authorization", authorization.as_str())];
        let url = format!("{}/token/revocation", self.address);
        let answer = self.http.form(&url, &headers, &[("token", token)]).await?;
        if answer.status == 400 && answer.text("error").as_deref() == Ok("unsupported_token_type") {
            return cant_do("it refuses to revoke JWTs (400 unsupported_token_type)");
        }
        answer.good("revocation").map(drop)
    }

    /// Follows the redirects, as alice, who consents to everything, up to the one that leads to the client: the code,
    /// and the cookies of the session.
    async fn code(
        &self,
        client: &str,
        resource: Option<&str>,
        scope: &str,
    ) -> Result<(String, Jar), Trouble> {
        let mut jar = Jar::new();
        let parameters = [
            ("client_id", client),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", scope),
            ("prompt", "consent"),
            ("nonce", "n-1"),
        ];
        let resource = resource.map(|resource| ("resource", resource));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters.into_iter().chain(resource))
            .finish();
        let mut at = format!("{}/auth?{query}", self.address);
        for _ in 0..8 {
            let answer = self.http.visit(&at, &mut jar).await?;
            let Some(to) = answer.location.clone() else {
                return Err(failed(format_args!("authorization ended with status {}", answer.status)));
            };
            if to.starts_with(CALLBACK) {
                return Ok((parameter(&to, "code")?, jar));
            }
            at = if to.starts_with('/') { format!("{}{to}", self.address) } else { to };
        }
        Err(failed("authorization redirects without end"))
    }

    /// Logs out: the form that the server shows, confirmed.
    async fn logout(&self, issued: &Issued) -> Result<(), Trouble> {
        let cookies = issued.notes.get("cookies").ok_or_else(|| failed("there is no session"))?;
        let jar: BTreeMap<String, String> = serde_json::from_str(cookies).map_err(failed)?;
        let mut jar = Jar::from_iter(jar);
        let url = format!("{}/session/end", self.address);
        let form =
            self.http.visit(&format!("{url}?client_id={}", issued.client), &mut jar).await?.good("logout")?;
        let text = String::from_utf8_lossy(&form.body).into_owned();
        let xsrf = text.split("name=\"xsrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let xsrf = xsrf.ok_or_else(|| failed("the form for logging out has no xsrf"))?;
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let answer = self
            .http
            .form(&format!("{url}/confirm"), &[("cookie", &cookies)], &[("xsrf", xsrf), ("logout", "yes")])
            .await?;
        if answer.status == 303 { Ok(()) } else { answer.good("logout").map(drop) }
    }

    /// Uses a refresh token; the answer may be a refusal.
    async fn refresh(&self, client: &str, refresh: &str) -> Result<Answer, Trouble> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("resource", AUDIENCE)];
        self.token(client, &[], &form).await
    }

    async fn refreshed(&self, issued: &mut Issued) -> Result<String, Trouble> {
        let old = issued.refresh.clone().ok_or_else(|| failed("there is no refresh token"))?;
        let answer = self.refresh(&issued.client, &old).await?.good("refreshing")?;
        issued.refresh = Some(answer.text("refresh_token")?);
        Ok(old)
    }

    fn process(&self) -> Result<Process, Trouble> {
        Process::from_file(&run_file("pid"))
    }

    async fn signal(&self, signal: Signal) -> Result<(), Trouble> {
        self.process()?.signal(signal, false).await
    }

    async fn restart(&self) -> Result<(), Trouble> {
        let port = self.address.rsplit(':').next().unwrap_or_default();
        let mut env = vec![("INTEROP_PORT", port), ("INTEROP_KEEP", "all")];
        if self.how == Start::NamedLocalhost {
            env.extend([("INTEROP_LISTEN", "127.0.0.2"), ("INTEROP_NAMED", "localhost")]);
        }
        process::script(NAME, "start", &env).await
    }

    /// A DPoP proof for the token endpoint, by a key that is new.
    async fn proof(&self) -> Result<String, Trouble> {
        let mut command = Command::new("node");
        command.arg(Path::new(&process::scripts(NAME)).join("dpop.mjs"));
        command.args(["POST", &format!("{}/token", self.address)]);
        let printed = process::run(command, "dpop.mjs".to_owned()).await?;
        Ok(printed.trim().to_owned())
    }
}

/// What tokens came in an answer of the token endpoint.
fn tokens(answer: &Answer, client: String, user: Option<String>) -> Result<Issued, Trouble> {
    let body = answer.json()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(Issued {
        token: answer.text("access_token")?,
        client,
        user,
        expires_in: body.get("expires_in").and_then(Value::as_u64).map(Duration::from_secs),
        access: None,
        refresh: text("refresh_token"),
        id: text("id_token"),
        notes: BTreeMap::new(),
    })
}

#[async_trait]
impl Server for Running {
    fn settings(&self) -> Settings {
        Settings {
            issuer: self.issuer.clone(),
            introspection: format!("{}/token/introspection", self.issuer),
            jwks: format!("{}/jwks", self.issuer),
            // Without its secret every verdict shows that it isn't there.
            caller: Some((own::CALLER.to_owned(), secret(own::CALLER).unwrap_or_default())),
            address: (self.issuer != self.address).then(|| self.address.clone()),
            held_scope: "read",
            other_scope: "write",
        }
    }

    async fn issue(&self, order: &Order) -> Result<Issued, Trouble> {
        let client = client(&order.sort);
        let resource = match order.audience {
            Audience::Ours => Some(AUDIENCE),
            Audience::Other => Some(OTHER_AUDIENCE),
            Audience::Nobody if order.sort.format == Format::Jwt => {
                return cant_do("it issues no JWT without an audience");
            }
            Audience::Nobody => None,
        };
        // Scopes other than OpenID's belong to a resource server.
        let scope = if order.scopes == Scopes::Held && resource.is_some() { "read" } else { "" };
        let proof = if order.kind == Kind::DpopBound { Some(self.proof().await?) } else { None };
        let mut headers = Vec::new();
        if order.lifetime == Lifetime::Short {
            headers.push(("interop-lifetime", SHORT));
        }
        headers.extend(proof.as_deref().map(|proof| ("dpop", proof)));
        let resource_parameter = resource.map(|resource| ("resource", resource));

        let mut issued = match order.sort.subject {
            Subject::Client => {
                let mut form = vec![("grant_type", "client_credentials")];
                form.extend(resource_parameter);
                if !scope.is_empty() {
                    form.push(("scope", scope));
                }
                let answer = self.token(&client, &headers, &form).await?.good("client credentials")?;
                tokens(&answer, client, None)?
            }
            Subject::User => {
                let scope = format!("openid offline_access {scope}");
                let (code, jar) = self.code(&client, resource, scope.trim_end()).await?;
                if order.kind == Kind::Code {
                    return Ok(Issued {
                        token: code,
                        client,
                        user: Some(USER.to_owned()),
                        expires_in: None,
                        access: None,
                        refresh: None,
                        id: None,
                        notes: BTreeMap::new(),
                    });
                }
                let mut form = vec![
                    ("grant_type", "authorization_code"),
                    ("code", code.as_str()),
                    ("redirect_uri", CALLBACK),
                ];
                form.extend(resource_parameter);
                let answer = self.token(&client, &headers, &form).await?.good("redeeming the code")?;
                let mut issued = tokens(&answer, client, Some(USER.to_owned()))?;
                issued.notes.insert("cookies", serde_json::to_string(&jar).map_err(failed)?);
                issued
            }
        };
        let other = match order.kind {
            Kind::Id => issued.id.clone(),
            Kind::Refresh => issued.refresh.clone(),
            _ => return Ok(issued),
        };
        let other = other.ok_or_else(|| failed("the server gave no such token"))?;
        issued.access = Some(std::mem::replace(&mut issued.token, other));
        Ok(issued)
    }

    async fn act(&self, deed: Deed, issued: &mut Issued) -> Result<(), Trouble> {
        match deed {
            Deed::Revoke => self.revoke(&issued.client, &issued.token).await,
            Deed::RevokeByStranger => self.revoke("app-jwt-ES512", &issued.token).await,
            Deed::RevokeRefreshToken => {
                let refresh = issued.refresh.clone().ok_or_else(|| failed("there is no refresh token"))?;
                self.revoke(&issued.client, &refresh).await
            }
            Deed::Logout => self.logout(issued).await,
            Deed::DisableClient => {
                self.left().clients.insert(issued.client.clone());
                self.operate(&format!("client/disable?id={}", issued.client)).await.map(drop)
            }
            Deed::EnableClient => {
                self.operate(&format!("client/enable?id={}", issued.client)).await?;
                self.left().clients.remove(&issued.client);
                Ok(())
            }
            Deed::DisableUser => {
                self.left().users.insert(USER.to_owned());
                self.operate(&format!("user/disable?id={USER}")).await.map(drop)
            }
            Deed::EnableUser => {
                self.operate(&format!("user/enable?id={USER}")).await?;
                self.left().users.clear();
                Ok(())
            }
            Deed::Refresh => self.refreshed(issued).await.map(drop),
            Deed::ReuseRefreshToken => {
                let old = self.refreshed(issued).await?;
                let again = self.refresh(&issued.client, &old).await?;
                if again.status == 400 {
                    Ok(())
                } else {
                    Err(failed(format_args!("a refresh token used twice: status {}", again.status)))
                }
            }
            Deed::WithdrawAll => cant_do("it can't withdraw all tokens of a client at once"),
            Deed::AddKey => {
                let kid = self.operate("key/add?alg=RS256").await?;
                let older = self.left().key.replace(kid);
                match older {
                    Some(older) => self.operate(&format!("key/drop?kid={older}")).await.map(drop),
                    None => Ok(()),
                }
            }
            Deed::DropKey => {
                let key = self.left().key.take().ok_or_else(|| failed("no key was added"))?;
                self.operate(&format!("key/drop?kid={key}")).await.map(drop)
            }
            Deed::LockStore => {
                self.left().locked = true;
                self.operate("store/lock").await.map(drop)
            }
            Deed::UnlockStore => {
                self.operate("store/unlock").await?;
                self.left().locked = false;
                Ok(())
            }
            Deed::Halt => {
                self.left().halted = true;
                self.signal(Signal::Stop).await
            }
            Deed::GoOn => {
                self.signal(Signal::Continue).await?;
                self.left().halted = false;
                Ok(())
            }
            Deed::Kill => {
                self.left().killed = true;
                self.signal(Signal::Kill).await
            }
            Deed::Restart => {
                self.restart().await?;
                self.left().killed = false;
                Ok(())
            }
        }
    }

    async fn restore(&self) -> Result<(), Trouble> {
        let left = std::mem::take(&mut *self.left());
        if left.halted && !left.killed {
            self.signal(Signal::Continue).await?;
        }
        if left.killed || !self.process()?.lives() {
            self.restart().await?;
        }
        if left.locked {
            self.operate("store/unlock").await?;
        }
        for client in left.clients {
            self.operate(&format!("client/enable?id={client}")).await?;
        }
        for user in left.users {
            self.operate(&format!("user/enable?id={user}")).await?;
        }
        if let Some(kid) = left.key {
            self.operate(&format!("key/drop?kid={kid}")).await?;
        }
        Ok(())
    }

    async fn stop(&self) -> Result<(), Trouble> {
        process::script(NAME, "stop", &[]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_sorts_come_first() {
        let first = |subject, format| {
            SORTS
                .iter()
                .find(|sort| sort.subject == subject && sort.format == format)
                .map(|sort| sort.algorithm)
        };
        assert_eq!(first(Subject::Client, Format::Jwt), Some("RS256"));
        assert_eq!(first(Subject::User, Format::Jwt), Some("RS256"));
        assert_eq!(first(Subject::User, Format::Opaque), Some(""));
        assert_eq!(SORTS.iter().filter(|sort| sort.format == Format::Opaque).count(), 2);
    }

    #[test]
    fn a_client_says_what_its_tokens_are() {
        assert_eq!(client(&Sort::jwt(Subject::User, "ES256")), "user-jwt-ES256");
        assert_eq!(client(&Sort::opaque(Subject::Client)), "app-opaque");
    }
}
