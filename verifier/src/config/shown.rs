//! `Debug` of the sections in which a password may stand: in the address of a proxy, in a header or a parameter. Of
//! these only that they are given, and by what name, is shown.

use std::collections::BTreeMap;
use std::fmt;

use super::{ClientCredentialsSection, IntrospectionSection, IssuerConfig};

struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn names(map: &BTreeMap<String, String>) -> Vec<(&str, Redacted)> {
    map.keys().map(|name| (name.as_str(), Redacted)).collect()
}

/// A field that isn't named here isn't shown.
macro_rules! fields {
    ($shown:ident, $section:ident: $($field:ident)*) => {
        $($shown.field(stringify!($field), &$section.$field);)*
    };
}

impl fmt::Debug for IssuerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("IssuerConfig");
        fields!(shown, self: issuer tenants strategy profile audience audience_claim danger_accept_any_audience
            danger_accept_id_tokens danger_accept_missing_issuer danger_allow_http leeway max_age max_lifetime required_claims
            required_scopes scope_claims client_claims roles types opaque verified_tokens ca_file keys
            introspection revocation);
        let connect: Vec<&String> = self.connect.keys().collect();
        shown.field("connect", &connect).field("proxy", &self.proxy.as_ref().map(|_| Redacted));
        shown.finish()
    }
}

impl fmt::Debug for IntrospectionSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("IntrospectionSection");
        fields!(shown, self: client_id client_secret client_auth client_key client_key_id
            client_assertion_algorithm client_assertion_audience client_certificate client_credentials
            token_type_hint signed_answers cache max_entries negative_ttl
            timeout connect_timeout max_concurrent max_size);
        shown.field("endpoint", &without_user(self.endpoint.as_deref()));
        shown.field("parameters", &names(&self.parameters)).field("headers", &names(&self.headers));
        shown.finish()
    }
}

impl fmt::Debug for ClientCredentialsSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ClientCredentialsSection");
        fields!(shown, self: client_auth scope);
        shown.field("token_endpoint", &without_user(self.token_endpoint.as_deref()));
        shown.field("parameters", &names(&self.parameters)).finish()
    }
}

fn without_user(url: Option<&str>) -> Option<&str> {
    url.map(|url| if url.contains('@') { "[redacted]" } else { url })
}
