//! Configurations to start from: what `verifier config example` prints.

/// One example.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Example {
    /// The name: the profile's, or that of a server that has none of its own.
    pub name: &'static str,
    /// The profile that it configures.
    pub profile: &'static str,
    /// One line on what it is for.
    pub about: &'static str,
    /// The configuration, in TOML.
    pub toml: &'static str,
}

/// All examples.
pub const ALL: &[Example] = &[
    Example {
        name: "keycloak",
        profile: "keycloak",
        about: "Keycloak, hybrid: long-lived sessions that can be ended",
        toml: include_str!("../examples/config/keycloak.toml"),
    },
    Example {
        name: "hydra",
        profile: "hydra",
        about: "Ory Hydra, hybrid with JWT access tokens, opaque ones introspected",
        toml: include_str!("../examples/config/hydra.toml"),
    },
    Example {
        name: "at+jwt",
        profile: "at+jwt",
        about: "any server that issues RFC 9068 access tokens, verified locally",
        toml: include_str!("../examples/config/at-jwt.toml"),
    },
    Example {
        name: "generic",
        profile: "generic",
        about: "any server with RFC 7662 introspection, opaque tokens",
        toml: include_str!("../examples/config/generic.toml"),
    },
    Example {
        name: "auth0",
        profile: "auth0",
        about: "Auth0, verified locally: no introspection there",
        toml: include_str!("../examples/config/auth0.toml"),
    },
    Example {
        name: "okta",
        profile: "okta",
        about: "Okta, a custom authorization server, hybrid",
        toml: include_str!("../examples/config/okta.toml"),
    },
    Example {
        name: "entra",
        profile: "entra",
        about: "Microsoft Entra ID, verified locally: no introspection there",
        toml: include_str!("../examples/config/entra.toml"),
    },
    Example {
        name: "cognito",
        profile: "cognito",
        about: "Amazon Cognito user pools, verified locally: no introspection there",
        toml: include_str!("../examples/config/cognito.toml"),
    },
    Example {
        name: "google-id-token",
        profile: "google-id-token",
        about: "ID tokens of Google's service accounts, by explicit opt-in",
        toml: include_str!("../examples/config/google-id-token.toml"),
    },
    Example {
        name: "node-oidc-provider",
        profile: "at+jwt",
        about: "node-oidc-provider: JWTs verified locally, opaque tokens introspected",
        toml: include_str!("../examples/config/node-oidc-provider.toml"),
    },
];

/// The example of this name.
pub fn get(name: &str) -> Option<&'static Example> {
    ALL.iter().find(|example| example.name == name)
}
