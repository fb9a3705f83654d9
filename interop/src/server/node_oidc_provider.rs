//! node-oidc-provider: the package for Node, in the server of `node-oidc-provider/server.mjs`.

mod running;
mod verdicts;

use std::sync::Mutex;

use async_trait::async_trait;
use verifier::Strategy;

use self::running::Running;
use super::http::{Answer, Http, basic};
use super::{Deed, Need, Product, Scopes, Server, Sort, Start, Subject, Trouble, failed, process};
use crate::scenario::{Override, Scenario};
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

    fn example(&self, _strategy: Strategy) -> &'static str {
        NAME
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
            Start::NamedLocalhost => NAMED,
        };
        process::script(NAME, "start", env).await?;
        let file = if how == Start::Usual { run_file("env") } else { named_file("env") };
        let env = process::variables(&file)?;
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
     which counts as the server's failure: sent again and again, such a token opens the circuit breaker, and opaque \
     tokens are unavailable meanwhile. Revoke a client's grants before you delete it.",
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

/// How the one with another name is started: beside the usual one, with the same secrets of clients.
const NAMED: &[(&str, &str)] = &[
    ("INTEROP_LISTEN", "127.0.0.2"),
    ("INTEROP_NAMED", "localhost"),
    ("INTEROP_SUFFIX", "-named"),
    ("INTEROP_KEEP", "secrets"),
];

/// A file of the one with another name.
fn named_file(extension: &str) -> std::path::PathBuf {
    process::cache().join("run").join(format!("{NAME}-named.{extension}"))
}

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

#[cfg(test)]
mod tests {
    use super::running::client;
    use super::*;
    use crate::server::Format;

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
