//! node-oidc-provider.

use async_trait::async_trait;
use verifier::Strategy;

use super::{Need, Product, Server, Sort, Start, Trouble, cant_do};
use crate::scenario::Override;

/// The product.
#[derive(Debug)]
pub(crate) struct NodeOidcProvider;

#[async_trait]
impl Product for NodeOidcProvider {
    fn name(&self) -> &'static str {
        "node-oidc-provider"
    }

    fn title(&self) -> &'static str {
        "node-oidc-provider 9.13.3"
    }

    fn example(&self, strategy: Strategy) -> &'static str {
        if strategy == Strategy::Jwks { "at+jwt" } else { "generic" }
    }

    fn sorts(&self) -> &'static [Sort] {
        &[]
    }

    fn lacks(&self, _need: Need) -> Option<&'static str> {
        Some("not written yet")
    }

    fn overrides(&self) -> &'static [Override] {
        &[]
    }

    fn advice(&self) -> &'static [&'static str] {
        &[]
    }

    async fn start(&self, _how: Start) -> Result<Box<dyn Server>, Trouble> {
        cant_do("not written yet")
    }
}
