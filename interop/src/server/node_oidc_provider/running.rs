//! The server that runs: how its tokens are had, and what can happen to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::{NAME, NAMED, SHORT, USER, named_file, operate, own, run_file, secret};
use crate::server::http::{Answer, Http, Jar, basic, parameter};
use crate::server::process::{self, Process, Signal};
use crate::server::{
    AUDIENCE, Audience, Deed, Format, Issued, Kind, Lifetime, OTHER_AUDIENCE, Order, Scopes, Server,
    Settings, Sort, Start, Subject, Trouble, cant_do, failed,
};

/// The running one.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) http: Http,
    pub(super) issuer: String,
    pub(super) address: String,
    pub(super) how: Start,
    pub(super) left: Mutex<Left>,
}

/// What a scenario may leave behind.
#[derive(Debug, Default)]
pub(super) struct Left {
    clients: BTreeSet<String>,
    users: BTreeSet<String>,
    key: Option<String>,
    locked: bool,
    halted: bool,
    killed: bool,
}

/// The sort of a client's tokens is in its id.
pub(super) fn client(sort: &Sort) -> String {
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
        let named = self.how == Start::NamedLocalhost;
        Process::from_file(&if named { named_file("pid") } else { run_file("pid") })
    }

    async fn signal(&self, signal: Signal) -> Result<(), Trouble> {
        self.process()?.signal(signal, false).await
    }

    async fn restart(&self) -> Result<(), Trouble> {
        let port = self.address.rsplit(':').next().unwrap_or_default();
        let mut env = vec![("INTEROP_PORT", port), ("INTEROP_KEEP", "all")];
        if self.how == Start::NamedLocalhost {
            env.extend(NAMED.iter().filter(|(name, _)| *name != "INTEROP_KEEP"));
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
        let suffix = if self.how == Start::NamedLocalhost { "-named" } else { "" };
        process::script(NAME, "stop", &[("INTEROP_SUFFIX", suffix)]).await
    }
}
