//! What happens at a Keycloak between two verdicts, and how it is put right again.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};

use super::{NAME, Running};
use crate::clock;
use crate::server::process::{self, Signal};
use crate::server::{Deed, Issued, Order, Server, Settings, Trouble, cant_do, failed};

/// What a deed left behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Undo {
    /// The client is disabled, or its tokens are withdrawn.
    Client(String),
    /// The user is disabled.
    User(String),
    /// This key provider was added.
    Key(String),
    /// The process is halted.
    Halt,
    /// The process is dead.
    Death,
}

#[async_trait]
impl Server for Running {
    fn settings(&self) -> Settings {
        Self::settings(self)
    }

    async fn issue(&self, order: &Order) -> Result<Issued, Trouble> {
        Self::issue(self, order).await
    }

    async fn act(&self, deed: Deed, issued: &mut Issued) -> Result<(), Trouble> {
        match deed {
            Deed::Revoke => self.revoke(&issued.client, access(issued)).await,
            Deed::RevokeByStranger => self.revoke_by_stranger(issued).await,
            Deed::RevokeRefreshToken => self.revoke(&issued.client, refresh(issued)?).await,
            Deed::Logout => {
                let parameters = [("refresh_token", refresh(issued)?)];
                self.post(&self.endpoint("logout"), &issued.client, &[], &parameters)
                    .await?
                    .good("logout")
                    .map(drop)
            }
            Deed::DisableClient => self.client_enabled(&issued.client, false).await,
            Deed::EnableClient => self.client_enabled(&issued.client, true).await,
            Deed::DisableUser => self.user_enabled(user(issued)?, false).await,
            Deed::EnableUser => self.user_enabled(user(issued)?, true).await,
            Deed::Refresh => {
                let answer = self.refresh(issued).await?.good("refresh")?;
                issued.refresh = Some(answer.text("refresh_token")?);
                Ok(())
            }
            Deed::ReuseRefreshToken => self.reuse_refresh_token(issued).await,
            Deed::WithdrawAll => self.withdraw_all(&issued.client).await,
            Deed::AddKey => {
                let id = self.admin.add_key(200).await?;
                self.undo.lock().await.push(Undo::Key(id));
                Ok(())
            }
            Deed::DropKey => self.drop_key().await,
            Deed::LockStore | Deed::UnlockStore => cant_do("its store is inside its process"),
            Deed::Halt => {
                self.undo.lock().await.push(Undo::Halt);
                Self::process()?.signal(Signal::Stop, true).await
            }
            Deed::GoOn => {
                Self::process()?.signal(Signal::Continue, true).await?;
                self.forget(&Undo::Halt).await;
                Ok(())
            }
            Deed::Kill => {
                self.undo.lock().await.push(Undo::Death);
                Self::process()?.signal(Signal::Kill, true).await?;
                // The process that is known by its pid is a shell; the Java below it takes a moment longer to die.
                let address = self.origin.trim_start_matches("http://");
                let refused = || async { TcpStream::connect(address).is_err() };
                let dead = clock::until(Duration::from_secs(10), refused).await;
                if dead { Ok(()) } else { Err(failed("the process lives on")) }
            }
            Deed::Restart => self.again().await,
        }
    }

    async fn restore(&self) -> Result<(), Trouble> {
        let left = std::mem::take(&mut *self.undo.lock().await);
        for undo in left.into_iter().rev() {
            match undo {
                Undo::Client(name) => {
                    let id = self.admin.client(&name).await?;
                    self.admin
                        .put(&format!("clients/{id}"), &json!({ "enabled": true, "notBefore": 0 }))
                        .await?;
                }
                Undo::User(name) => self.user_enabled(&name, true).await?,
                Undo::Key(id) => self.admin.remove(&format!("components/{id}"), &Value::Null).await?,
                Undo::Halt => Self::process()?.signal(Signal::Continue, true).await?,
                Undo::Death => self.again().await?,
            }
        }
        Ok(())
    }

    async fn stop(&self) -> Result<(), Trouble> {
        if self.owns { process::script(NAME, "stop", &[]).await } else { Ok(()) }
    }
}

impl Running {
    /// RFC 7009, by this client.
    pub(crate) async fn revoke(&self, client: &str, token: &str) -> Result<(), Trouble> {
        self.post(&self.endpoint("revoke"), client, &[], &[("token", token)])
            .await?
            .good("revocation")
            .map(drop)
    }

    async fn revoke_by_stranger(&self, issued: &Issued) -> Result<(), Trouble> {
        self.client("stranger", &json!({}), &[]).await?;
        let answer =
            self.post(&self.endpoint("revoke"), "stranger", &[], &[("token", access(issued))]).await?;
        // Its code is `invalid_request`, which says nothing; any other refusal is about something else than the stranger.
        if answer.status == 400 && answer.text("error_description")? == "Unmatching clients" {
            return Ok(());
        }
        answer.good("revocation").map(drop)
    }

    async fn refresh(&self, issued: &Issued) -> Result<crate::server::http::Answer, Trouble> {
        let parameters = [("grant_type", "refresh_token"), ("refresh_token", refresh(issued)?)];
        self.ask_token(&issued.client, &parameters).await
    }

    async fn reuse_refresh_token(&self, issued: &Issued) -> Result<(), Trouble> {
        self.refresh(issued).await?.good("refresh")?;
        let again = self.refresh(issued).await?;
        if again.status == 400 {
            return Ok(());
        }
        Err(failed(format_args!("a refresh token was taken twice: status {}", again.status)))
    }

    async fn client_enabled(&self, name: &str, enabled: bool) -> Result<(), Trouble> {
        self.undo.lock().await.push(Undo::Client(name.to_owned()));
        let id = self.admin.client(name).await?;
        self.admin.put(&format!("clients/{id}"), &json!({ "enabled": enabled })).await
    }

    async fn user_enabled(&self, name: &str, enabled: bool) -> Result<(), Trouble> {
        if !enabled {
            self.undo.lock().await.push(Undo::User(name.to_owned()));
        }
        let id = self.admin.user(name).await?;
        self.admin.put(&format!("users/{id}"), &json!({ "enabled": enabled })).await
    }

    /// The client's "not before": whole seconds, and what was issued in an earlier one is withdrawn. The next second, so
    /// that a token of this one is meant, too.
    async fn withdraw_all(&self, name: &str) -> Result<(), Trouble> {
        self.undo.lock().await.push(Undo::Client(name.to_owned()));
        let id = self.admin.client(name).await?;
        self.admin.put(&format!("clients/{id}"), &json!({ "notBefore": next_second() })).await
    }

    async fn drop_key(&self) -> Result<(), Trouble> {
        let mut undo = self.undo.lock().await;
        let at = undo.iter().rposition(|one| matches!(one, Undo::Key(_)));
        let Some(Undo::Key(id)) = at.map(|at| undo.remove(at)) else {
            return Err(failed("no key was added"));
        };
        self.admin.call(Method::DELETE, &format!("components/{id}"), &Value::Null).await.map(drop)
    }

    async fn again(&self) -> Result<(), Trouble> {
        let mut command = Command::new(process::scripts(NAME).join("start"));
        command.arg("again");
        process::run(command, format!("{NAME}/start again")).await?;
        self.forget(&Undo::Death).await;
        Ok(())
    }

    async fn forget(&self, undo: &Undo) {
        self.undo.lock().await.retain(|one| one != undo);
    }
}

/// The second after this one.
pub(crate) fn next_second() -> i64 {
    clock::now().wall.unix_seconds() + 1
}

fn access(issued: &Issued) -> &str {
    issued.access.as_deref().unwrap_or(&issued.token)
}

fn refresh(issued: &Issued) -> Result<&str, Trouble> {
    issued.refresh.as_deref().map_or_else(|| cant_do("a client's own token has no refresh token"), Ok)
}

fn user(issued: &Issued) -> Result<&str, Trouble> {
    issued.user.as_deref().map_or_else(|| cant_do("it is no user's token"), Ok)
}
