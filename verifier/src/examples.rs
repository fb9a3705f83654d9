//! Configurations to start from: what `verifier config example` prints.

/// One example.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Example {
    /// The name: the profile's.
    pub name: &'static str,
    /// One line on what it is for.
    pub about: &'static str,
    /// The configuration, in TOML.
    pub toml: &'static str,
}

/// All examples.
pub const ALL: &[Example] = &[
    Example {
        name: "keycloak",
        about: "Keycloak, hybrid: long-lived sessions that can be ended",
        toml: include_str!("../examples/config/keycloak.toml"),
    },
    Example {
        name: "hydra",
        about: "Ory Hydra, hybrid with JWT access tokens, opaque ones introspected",
        toml: include_str!("../examples/config/hydra.toml"),
    },
    Example {
        name: "at+jwt",
        about: "any server that issues RFC 9068 access tokens, verified locally",
        toml: include_str!("../examples/config/at-jwt.toml"),
    },
    Example {
        name: "generic",
        about: "any server with RFC 7662 introspection, opaque tokens",
        toml: include_str!("../examples/config/generic.toml"),
    },
];

/// The example of this name.
pub fn get(name: &str) -> Option<&'static Example> {
    ALL.iter().find(|example| example.name == name)
}
