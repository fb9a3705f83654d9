//! What an authorization server can do for the scenarios. To add one: a folder with `install`, `start` and `stop`, a file
//! here with a [`Product`] and a [`Server`], and a line in [`ALL`].

pub(crate) mod http;
pub(crate) mod hydra;
pub(crate) mod keycloak;
pub(crate) mod node_oidc_provider;
pub(crate) mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use verifier::Strategy;

use crate::scenario::{Override, Scenario};

/// The servers that are tried, in the order of the report.
pub(crate) const ALL: &[&dyn Product] =
    &[&hydra::Hydra, &keycloak::Keycloak, &node_oidc_provider::NodeOidcProvider];

/// What a verifier asks for when it demands an audience, in all the examples of configurations.
pub(crate) const AUDIENCE: &str = "https://api.example.com";

/// The audience of somebody else's API.
pub(crate) const OTHER_AUDIENCE: &str = "https://other.example.com";

/// Why something wasn't done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// The server has no such thing: the scenario is listed with this reason, and is no failure. One clause without a
    /// capital or a stop: "it has no opaque access tokens".
    CantDo(String),
    /// It should have worked: a failure of the server, its scripts or this driver.
    Failed(String),
}

/// The server has no such thing.
pub(crate) fn cant_do<T>(reason: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::CantDo(reason.into()))
}

/// It should have worked.
pub(crate) fn failed(what: impl fmt::Display) -> Trouble {
    Trouble::Failed(what.to_string())
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CantDo(reason) => write!(f, "can't be done here: {reason}"),
            Self::Failed(what) => f.write_str(what),
        }
    }
}

/// In whose name a token was issued.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Subject {
    /// The client's own: client credentials.
    Client,
    /// A user's, with a session, a refresh token, and an ID token.
    User,
}

/// What a token looks like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Format {
    /// Signed claims.
    Jwt,
    /// A random text that only the server can read.
    Opaque,
}

/// One sort of access token that a server issues.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Sort {
    /// In whose name.
    pub(crate) subject: Subject,
    /// What it looks like.
    pub(crate) format: Format,
    /// `alg` of the signature, as in the JOSE header; empty for opaque ones.
    pub(crate) algorithm: &'static str,
    /// What else tells this sort from others (`at+jwt`, `lightweight`); empty: nothing.
    pub(crate) flavour: &'static str,
}

impl Sort {
    /// A JWT.
    pub(crate) const fn jwt(subject: Subject, algorithm: &'static str) -> Self {
        Self { subject, format: Format::Jwt, algorithm, flavour: "" }
    }

    /// An opaque token.
    pub(crate) const fn opaque(subject: Subject) -> Self {
        Self { subject, format: Format::Opaque, algorithm: "", flavour: "" }
    }

    /// The same, told apart by something else.
    pub(crate) const fn flavoured(self, flavour: &'static str) -> Self {
        Self { flavour, ..self }
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match self.subject {
            Subject::Client => "client",
            Subject::User => "user",
        };
        let format = match self.format {
            Format::Jwt => "jwt",
            Format::Opaque => "opaque",
        };
        write!(f, "{subject} {format}")?;
        [self.algorithm, self.flavour]
            .iter()
            .filter(|text| !text.is_empty())
            .try_for_each(|text| write!(f, " {text}"))
    }
}

/// What is judged as if it were an access token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// An access token.
    Access,
    /// The ID token beside it.
    Id,
    /// The refresh token beside it.
    Refresh,
    /// An authorization code that nobody has redeemed.
    Code,
    /// An access token bound to a DPoP key (RFC 9449).
    DpopBound,
}

/// For whom a token is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Audience {
    /// [`AUDIENCE`], and whoever else must be in it for introspection to work.
    Ours,
    /// [`OTHER_AUDIENCE`] alone (and the introspecting client, where the server would say "inactive" without it).
    Other,
    /// Nobody.
    Nobody,
}

/// How long a token lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lifetime {
    /// Minutes, at least five.
    Usual,
    /// As short as the server can: one to five seconds.
    Short,
}

/// What a token is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scopes {
    /// [`Settings::held_scope`], not [`Settings::other_scope`].
    Held,
    /// None.
    Absent,
    /// A pattern that the server itself matches [`Settings::held_scope`] with.
    Wildcard,
}

/// A token to be issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    /// What it is. [`Kind::Id`], [`Kind::Refresh`], [`Kind::Code`] come with a user's access token of `sort`.
    pub(crate) kind: Kind,
    /// The sort of access token.
    pub(crate) sort: Sort,
    /// For whom.
    pub(crate) audience: Audience,
    /// For how long.
    pub(crate) lifetime: Lifetime,
    /// What for.
    pub(crate) scopes: Scopes,
}

/// A token that was issued, and what deeds need to know of it. Its `Debug` shows no token.
#[derive(Clone)]
pub(crate) struct Issued {
    /// What was ordered: the text that is judged.
    pub(crate) token: String,
    /// The client that asked.
    pub(crate) client: String,
    /// The user, if it is a user's.
    pub(crate) user: Option<String>,
    /// How long the access token lives, as the token endpoint said.
    pub(crate) expires_in: Option<Duration>,
    /// The access token, where the ordered one is another kind.
    pub(crate) access: Option<String>,
    /// The refresh token that came with it. Deeds may replace it by a newer one.
    pub(crate) refresh: Option<String>,
    /// The ID token that came with it.
    pub(crate) id: Option<String>,
    /// Whatever else this server's deeds need (session ids, cookies).
    pub(crate) notes: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("client", &self.client)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Something that happens at the server between two verdicts. Returns when the server has confirmed it: from then on
/// the freshness is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    /// RFC 7009 by the client that owns the token.
    Revoke,
    /// RFC 7009 by another client of the same server: must change nothing.
    RevokeByStranger,
    /// The refresh token of the same grant is revoked (RFC 7009).
    RevokeRefreshToken,
    /// The user's session ends.
    Logout,
    /// The client is disabled or, where that is all there is, deleted.
    DisableClient,
    /// The client is enabled again.
    EnableClient,
    /// The user is disabled.
    DisableUser,
    /// The user is enabled again.
    EnableUser,
    /// The refresh token is used: whether the access token before it goes on depends on the server.
    Refresh,
    /// The refresh token is used, and used again: the family ends where the server sees a theft in it.
    ReuseRefreshToken,
    /// All tokens of the client are withdrawn at once (an administrator's button).
    WithdrawAll,
    /// A new key of the usual algorithm is added and signs from now on; the older one stays published.
    AddKey,
    /// The key that `AddKey` added is withdrawn; the older one signs again.
    DropKey,
    /// The server's store is locked: it answers, but can't look anything up.
    LockStore,
    /// The store is let go.
    UnlockStore,
    /// The process is halted (SIGSTOP): connections are accepted and nobody answers.
    Halt,
    /// The halted process goes on (SIGCONT).
    GoOn,
    /// The process is ended (SIGKILL): connections are refused.
    Kill,
    /// The same server again, on the same ports, with the same keys and, where the store outlives the process, the same
    /// tokens.
    Restart,
}

impl Deed {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: &[Self] = &[
        Self::Revoke,
        Self::RevokeByStranger,
        Self::RevokeRefreshToken,
        Self::Logout,
        Self::DisableClient,
        Self::EnableClient,
        Self::DisableUser,
        Self::EnableUser,
        Self::Refresh,
        Self::ReuseRefreshToken,
        Self::WithdrawAll,
        Self::AddKey,
        Self::DropKey,
        Self::LockStore,
        Self::UnlockStore,
        Self::Halt,
        Self::GoOn,
        Self::Kill,
        Self::Restart,
    ];
}

/// What a scenario needs of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// This deed.
    Deed(Deed),
    /// Tokens of this kind.
    Kind(Kind),
    /// Access tokens of this format.
    Format(Format),
    /// Access tokens in the name of such a subject.
    Subject(Subject),
    /// Tokens for such an audience.
    Audience(Audience),
    /// Tokens that live so long.
    Lifetime(Lifetime),
    /// Tokens with such scopes.
    Scopes(Scopes),
    /// Introspection of JWTs.
    JwtIntrospection,
    /// JWTs of an older key stay active at introspection as long as the key is published.
    OlderKeyIntrospected,
    /// Introspection that looks at the caller's credentials at all.
    CallerAuthentication,
    /// An issuer whose name isn't the address that it listens on ([`Start::NamedLocalhost`]).
    AnotherAddress,
    /// Many tokens revoked one by one under load: the price of freshness.
    Price,
}

/// What of a configuration depends on this very server: put into the example's lines, nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `iss` of its tokens.
    pub(crate) issuer: String,
    /// The introspection endpoint. Put into a line `endpoint`, where the example has one.
    pub(crate) introspection: String,
    /// The key set's address, for scenarios that name it.
    pub(crate) jwks: String,
    /// The client id and secret of the resource server, where the example has lines for them.
    pub(crate) caller: Option<(String, String)>,
    /// `connect = { "issuer" = "this" }`: the address where the issuer really listens, if another.
    pub(crate) address: Option<String>,
    /// A scope that tokens with [`Scopes::Held`] have.
    pub(crate) held_scope: &'static str,
    /// A scope that they haven't.
    pub(crate) other_scope: &'static str,
}

/// How a server is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    /// As usual: issuer and address are `http://127.0.0.1:PORT`.
    Usual,
    /// The issuer is `http://localhost:PORT`, and it listens on 127.0.0.2 alone.
    NamedLocalhost,
}

/// A server as a product: what can be said of it without starting it. Must be complete, since tests check that each
/// scenario has an expectation or a reason for each product.
#[async_trait]
pub(crate) trait Product: Send + Sync {
    /// The name of its folder: `hydra`.
    fn name(&self) -> &'static str;

    /// The name that its makers give it, and the version tried: `Ory Hydra 2.3.0`.
    fn title(&self) -> &'static str;

    /// The example of `verifier config example` that this strategy starts from.
    fn example(&self, strategy: Strategy) -> &'static str;

    /// Every sort of access token that it issues. The first of each format and subject is the usual one.
    fn sorts(&self) -> &'static [Sort];

    /// Why it can't do that; `None` if it can. What this says is what the report says.
    fn lacks(&self, need: Need) -> Option<&'static str>;

    /// Where this server's verdicts are other than the table's, each with the reason.
    fn overrides(&self) -> &'static [Override];

    /// Scenarios that only this server can play.
    fn scenarios(&self) -> &'static [Scenario] {
        &[]
    }

    /// What its users should know: sentences for `docs/servers.md`, what to configure and why.
    fn advice(&self) -> &'static [&'static str];

    /// Whether tokens notice that this happens to another token. What every server can only do to all, or to a client or a
    /// user that tokens share, does.
    fn disturbs(&self, deed: Deed) -> bool {
        !matches!(
            deed,
            Deed::Revoke
                | Deed::RevokeByStranger
                | Deed::RevokeRefreshToken
                | Deed::Logout
                | Deed::Refresh
                | Deed::ReuseRefreshToken
        )
    }

    /// Whether tokens notice that one of this sort is issued.
    fn disturbed_by(&self, _sort: &Sort) -> bool {
        false
    }

    /// Starts it with its script, new keys and secrets, and waits until it is ready.
    ///
    /// # Errors
    /// [`Trouble::CantDo`] if it can't be started so; [`Trouble::Failed`] if the script failed.
    async fn start(&self, how: Start) -> Result<Box<dyn Server>, Trouble>;
}

/// A server that runs. Scenarios are played several at once, but for those that others would notice.
#[async_trait]
pub(crate) trait Server: Send + Sync {
    /// What goes into the configuration.
    fn settings(&self) -> Settings;

    /// Issues a token. Each call makes a new one, with a session of its own if it is a user's.
    ///
    /// # Errors
    /// [`Trouble`].
    async fn issue(&self, order: &Order) -> Result<Issued, Trouble>;

    /// Issues one of very many client tokens: the usual lifetime, audience and scopes, from a client that others share.
    ///
    /// # Errors
    /// [`Trouble`].
    async fn issue_shared(&self, order: &Order) -> Result<Issued, Trouble> {
        self.issue(order).await
    }

    /// Does it, to this token or its client, user, session; or to the server, whatever the token. Returns when the
    /// server has confirmed it. May change `issued` (a newer refresh token, a newer access token in `token`).
    ///
    /// # Errors
    /// [`Trouble`].
    async fn act(&self, deed: Deed, issued: &mut Issued) -> Result<(), Trouble>;

    /// Puts right what a scenario may have left behind: users and clients enabled, store unlocked, process going on,
    /// extra keys gone. Called after each scenario that is played alone; cheap when there is nothing to do.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    async fn restore(&self) -> Result<(), Trouble>;

    /// Ends it.
    ///
    /// # Errors
    /// [`Trouble::Failed`].
    async fn stop(&self) -> Result<(), Trouble>;
}
