//! What a kind of issuer can't do, said when it is configured and not when the first token comes.

use verifier_core::profile::{IntrospectionOffer, TokenProfile};

use crate::config::{ConfigError, IssuerConfig, StrategyName};

impl IssuerConfig {
    /// Whether strategy and opt-ins go with the profile.
    pub(super) fn fits_provider(&self, profile: &TokenProfile) -> Result<(), ConfigError> {
        self.fits_kind_of_token(profile)?;
        if profile.introspection == IntrospectionOffer::None { self.asks_another(profile) } else { Ok(()) }
    }

    /// ID tokens are accepted by two words, never by one: the profile's name and the opt-in.
    fn fits_kind_of_token(&self, profile: &TokenProfile) -> Result<(), ConfigError> {
        let name = &profile.name;
        match (profile.id_tokens, self.danger_accept_id_tokens) {
            (true, false) => Err(ConfigError::invalid(
                "profile",
                format_args!(
                    "\"{name}\" is for ID tokens, which say who calls and not what he may do, and which everybody gets \
                     for any audience; if you compare the subject of each yourself, say danger_accept_id_tokens = true"
                ),
            )),
            (false, true) => Err(ConfigError::invalid(
                "danger_accept_id_tokens",
                format_args!(
                    "true contradicts profile = \"{name}\", which is for access tokens; leave it out, or name \
                     \"google-id-token\""
                ),
            )),
            // One that was made for any other service would do.
            (true, true) if self.danger_accept_any_audience => Err(ConfigError::invalid(
                "danger_accept_any_audience",
                "true contradicts danger_accept_id_tokens = true: the audience is all that tells an ID token for us \
                 from one for another",
            )),
            _ => Ok(()),
        }
    }

    /// A strategy that asks must not ask an issuer that has no endpoint. One of the user's own may stand in front of
    /// it, and checkers of his own may know: both have to be named.
    fn asks_another(&self, profile: &TokenProfile) -> Result<(), ConfigError> {
        let asks = match self.strategy {
            StrategyName::Introspection => true,
            StrategyName::Hybrid => {
                let checkers = self.revocation.as_ref().and_then(|section| section.checkers.as_ref());
                checkers.is_none_or(|names| names.iter().any(|name| name == "introspection"))
            }
            _ => false,
        };
        if !asks {
            return Ok(());
        }
        let endpoint = self.introspection.as_ref().and_then(|section| section.endpoint.as_deref());
        match endpoint {
            Some(endpoint) if is_no_introspection(endpoint) => Err(ConfigError::invalid(
                "introspection.endpoint",
                format_args!(
                    "a tokeninfo or userinfo endpoint is no introspection (RFC 7662): it doesn't say whether a token is \
                     active; with profile = \"{}\" use strategy = \"jwks\"",
                    profile.name
                ),
            )),
            Some(_) => Ok(()),
            None => {
                let strategy = if self.strategy == StrategyName::Hybrid { "hybrid" } else { "introspection" };
                Err(ConfigError::invalid(
                    "strategy",
                    format_args!(
                        "\"{strategy}\" contradicts profile = \"{}\", whose issuer has no introspection endpoint \
                         (RFC 7662); use \"jwks\" with short-lived tokens, max_lifetime, and revocation events for what \
                         can't wait, or name an endpoint of your own in introspection.endpoint{}",
                        profile.name,
                        if strategy == "hybrid" {
                            ", or \"custom:NAME\" alone in revocation.checkers"
                        } else {
                            ""
                        }
                    ),
                ))
            }
        }
    }
}

/// Endpoints that answer a token with claims, and are taken for introspection.
fn is_no_introspection(endpoint: &str) -> bool {
    let path = endpoint.split(['?', '#']).next().unwrap_or_default();
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    ["tokeninfo", "userinfo"].iter().any(|name| last.eq_ignore_ascii_case(name))
}
