//! Ory Hydra.

use async_trait::async_trait;
use verifier::Strategy;

use super::{Need, Product, Server, Sort, Start, Trouble, cant_do};
use crate::scenario::Override;

/// The product.
#[derive(Debug)]
pub(crate) struct Hydra;

#[async_trait]
impl Product for Hydra {
    fn name(&self) -> &'static str {
        "hydra"
    }

    fn title(&self) -> &'static str {
        "Ory Hydra 2.3.0"
    }

    fn example(&self, _strategy: Strategy) -> &'static str {
        "hydra"
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
