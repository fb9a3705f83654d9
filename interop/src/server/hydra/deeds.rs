//! What happens to Hydra's tokens, keys and store.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use http::Method;
use serde_json::Value;

use super::tokens::secret;
use super::{Running, folder};
use crate::server::process::{self, Process, Signal};
use crate::server::{Deed, Issued, Trouble, cant_do, failed};

/// The store is held by this process until its standard input ends.
pub(super) struct Locked {
    child: Child,
    input: Option<ChildStdin>,
}

impl Locked {
    fn lock(binary: &str, store: &str) -> Result<Self, Trouble> {
        let mut child = Command::new(binary)
            .args(["lock-store", store])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| failed("the lock says nothing"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map_err(failed)?;
        if line.trim() != "locked" {
            return Err(failed("the store could not be locked"));
        }
        Ok(Self { child, input })
    }

    fn release(mut self) -> Result<(), Trouble> {
        drop(self.input.take());
        self.child.wait().map(drop).map_err(failed)
    }
}

pub(super) async fn act(hydra: &Running, deed: Deed, issued: &mut Issued) -> Result<(), Trouble> {
    match deed {
        Deed::Revoke => hydra.revoke((&issued.client, secret(issued)?), &issued.token).await,
        Deed::RevokeByStranger => {
            let (client, secret) = &hydra.clients.stranger;
            hydra.revoke((client, secret), &issued.token).await
        }
        Deed::RevokeRefreshToken => {
            let token = refresh(issued)?;
            hydra.revoke((&issued.client, secret(issued)?), &token).await
        }
        Deed::Logout => hydra.delete("admin/oauth2/auth/sessions/consent?subject=alice&all=true").await,
        Deed::DisableClient => hydra.delete(&format!("admin/clients/{}", issued.client)).await,
        Deed::EnableClient => cant_do("a client can only be deleted, and its tokens with it"),
        Deed::DisableUser | Deed::EnableUser => cant_do("it has no users of its own"),
        Deed::Refresh => refresh_once(hydra, issued).await,
        Deed::ReuseRefreshToken => {
            let first = refresh(issued)?;
            refresh_once(hydra, issued).await?;
            // Judged is the newest one of the family; the older one ended with the refresh.
            issued.token = issued.access.clone().unwrap_or_default();
            let form = [("grant_type", "refresh_token"), ("refresh_token", &*first)];
            match hydra.ask_token((&issued.client, secret(issued)?), &form).await?.status {
                400 | 401 => Ok(()),
                status => Err(failed(format_args!("a refresh token taken twice: status {status}"))),
            }
        }
        Deed::WithdrawAll => hydra.delete(&format!("admin/oauth2/tokens?client_id={}", issued.client)).await,
        Deed::AddKey => {
            let kid = hydra.add_key("RS256").await?;
            hydra.keys.lock().await.push((kid, "RS256".to_owned()));
            Ok(())
        }
        Deed::DropKey => {
            let key = hydra.keys.lock().await.pop();
            let (kid, _) = key.ok_or_else(|| failed("there is no key that was added"))?;
            hydra.remove_key(&kid).await
        }
        Deed::LockStore => {
            let locked = Locked::lock(&hydra.binary, &hydra.store)?;
            *hydra.locked.lock().await = Some(locked);
            Ok(())
        }
        Deed::UnlockStore => match hydra.locked.lock().await.take() {
            Some(locked) => locked.release(),
            None => Ok(()),
        },
        Deed::Halt => hydra.process.lock().await.signal(Signal::Stop, false).await,
        Deed::GoOn => hydra.process.lock().await.signal(Signal::Continue, false).await,
        Deed::Kill => hydra.process.lock().await.signal(Signal::Kill, false).await,
        Deed::Restart => hydra.restart().await,
    }
}

pub(super) async fn restore(hydra: &Running) -> Result<(), Trouble> {
    if let Some(locked) = hydra.locked.lock().await.take() {
        locked.release()?;
    }
    if hydra.process.lock().await.lives() {
        hydra.process.lock().await.signal(Signal::Continue, false).await?;
    } else {
        hydra.restart().await?;
    }
    // Another algorithm's key goes with the next order; one more of the usual algorithm would stay.
    let mut keys = hydra.keys.lock().await;
    while let Some((kid, _)) = keys.pop() {
        hydra.remove_key(&kid).await?;
    }
    Ok(())
}

fn refresh(issued: &Issued) -> Result<String, Trouble> {
    issued.refresh.clone().ok_or_else(|| failed("a token without a refresh token"))
}

/// Uses the refresh token; keeps the new ones, and goes on judging the old access token.
async fn refresh_once(hydra: &Running, issued: &mut Issued) -> Result<(), Trouble> {
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*refresh(issued)?)];
    let answer = hydra.token((&issued.client, secret(issued)?), &form).await?;
    issued.access = Some(answer.text("access_token")?);
    issued.refresh = Some(answer.text("refresh_token")?);
    Ok(())
}

impl Running {
    async fn delete(&self, path: &str) -> Result<(), Trouble> {
        let _one = self.writing.lock().await;
        let url = format!("{}/{path}", self.admin);
        self.http.json(Method::DELETE, &url, &[], &Value::Null).await?.good("a deletion")?;
        Ok(())
    }

    /// The same again: store, configuration, ports.
    async fn restart(&self) -> Result<(), Trouble> {
        let folder = folder(self.named);
        process::script("hydra", "start", &[("HYDRA_AGAIN", "yes"), ("HYDRA_RUN", folder)]).await?;
        let file = process::cache().join("hydra").join(folder).join("hydra.pid");
        *self.process.lock().await = Process::from_file(&file)?;
        Ok(())
    }
}
