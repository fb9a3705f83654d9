//! The profiles of hosted providers. What each is drawn from, and what their documentation leaves open, is told in
//! `docs/providers.md`.

use std::borrow::Cow;

use super::{IntrospectionOffer, Mark, TokenProfile, foreign_marks, refused_answers, texts};

fn present(name: &'static str) -> Mark {
    Mark::Present(Cow::Borrowed(name))
}

/// Present in an ID token whose client asked for more than the token alone, whatever else it says.
fn id_token_marks() -> [Mark; 4] {
    ["nonce", "at_hash", "c_hash", "s_hash"].map(present)
}

impl TokenProfile {
    /// Auth0, either dialect: its own (`JWT`, the client in `azp`) or RFC 9068 (`at+jwt`, `client_id`). Permissions of
    /// its role-based access control count as roles.
    pub fn auth0() -> Self {
        Self {
            name: Cow::Borrowed("auth0"),
            type_may_be_absent: false,
            required: texts(&["iss", "exp", "iat", "sub"]),
            // An ID token names the client in `aud` alone.
            positive_marks: vec![present("azp"), present("client_id")],
            scope_claims: texts(&["scope"]),
            scope_arrays: false,
            client_claims: texts(&["client_id", "azp"]),
            roles: texts(&["/permissions"]),
            introspection: IntrospectionOffer::None,
            ..Self::generic()
        }
    }

    /// Okta, a custom authorization server: no `typ`, the client in `cid`, scopes as a list in `scp`. The tokens of
    /// the org authorization server are for Okta alone, and bear a `typ` that isn't accepted here.
    pub fn okta() -> Self {
        let mut refused_answers = refused_answers();
        // Introspection calls every kind of token `Bearer`.
        refused_answers.extend(id_token_marks());
        refused_answers.push(Mark::AudienceIsClient);
        Self {
            name: Cow::Borrowed("okta"),
            required: texts(&["iss", "exp", "iat", "jti", "sub", "cid"]),
            positive_marks: vec![present("scp")],
            refused_answers,
            // Answers write `scope` and `client_id` instead.
            scope_claims: texts(&["scp", "scope"]),
            client_claims: texts(&["cid", "client_id"]),
            roles: Vec::new(),
            ..Self::generic()
        }
    }

    /// Microsoft Entra ID, tokens of version 1.0 (`appid`) and 2.0 (`azp`): a user's bear `scp`, an application's own
    /// bear `roles`. One with neither was granted nothing, and is refused.
    pub fn entra() -> Self {
        // An ID token may bear `roles`, too, but never the client beside them.
        let with_roles = |client: &'static str| Mark::All(vec![present("roles"), present(client)]);
        Self {
            name: Cow::Borrowed("entra"),
            type_may_be_absent: false,
            required: texts(&["iss", "exp", "iat", "sub", "ver"]),
            positive_marks: vec![present("scp"), with_roles("azp"), with_roles("appid")],
            // Application and API often share one registration, so that a good token's audience is its client.
            refused_marks: foreign_marks()
                .into_iter()
                .filter(|mark| !matches!(mark, Mark::AudienceIsClient))
                .collect(),
            scope_claims: texts(&["scp"]),
            scope_arrays: false,
            client_claims: texts(&["azp", "appid"]),
            roles: texts(&["/roles"]),
            introspection: IntrospectionOffer::None,
            ..Self::generic()
        }
    }

    /// Amazon Cognito user pools: no `typ`; `token_use` says `access`. `aud` is there only with resource binding, so
    /// that the audience rule usually looks at `client_id`. Groups count as roles.
    pub fn cognito() -> Self {
        Self {
            name: Cow::Borrowed("cognito"),
            required: texts(&["iss", "exp", "iat", "sub", "client_id"]),
            positive_marks: vec![Mark::OneOf(Cow::Borrowed("token_use"), texts(&["access"]))],
            scope_claims: texts(&["scope"]),
            scope_arrays: false,
            client_claims: texts(&["client_id"]),
            roles: texts(&["/cognito:groups"]),
            introspection: IntrospectionOffer::None,
            ..Self::generic()
        }
    }

    /// ID tokens of Google's service accounts, which their callers use as access tokens: Google's access tokens are
    /// opaque and for its own APIs. Whoever has a Google service account gets one for any audience that he names, so
    /// who may call has to be decided by `sub`. A user's sign-in is refused where its audience is its `azp`, or where it
    /// has a `nonce` or hashes; from all others the audience rule alone tells it.
    pub fn google_id_token() -> Self {
        Self {
            name: Cow::Borrowed("google-id-token"),
            types: texts(&["JWT"]),
            type_may_be_absent: false,
            required: texts(&["iss", "exp", "iat", "sub", "aud"]),
            positive_marks: Vec::new(),
            scope_claims: Vec::new(),
            scope_arrays: false,
            client_claims: texts(&["azp"]),
            roles: Vec::new(),
            introspection: IntrospectionOffer::None,
            id_tokens: true,
            ..Self::generic()
        }
    }
}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests;
