//! Keycloak.

use async_trait::async_trait;
use verifier::Strategy;

use super::{Need, Product, Server, Sort, Start, Trouble, cant_do};
use crate::scenario::Override;

/// The product.
#[derive(Debug)]
pub(crate) struct Keycloak;

#[async_trait]
impl Product for Keycloak {
    fn name(&self) -> &'static str {
        "keycloak"
    }

    fn title(&self) -> &'static str {
        "Keycloak 26.7.3"
    }

    fn example(&self, _strategy: Strategy) -> &'static str {
        "keycloak"
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
