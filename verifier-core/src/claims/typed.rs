//! The claims as types of the user's own.

use std::any::{Any, TypeId};
use std::sync::{Arc, PoisonError, RwLock};

/// How many types of claims are kept ready a token.
const MAX_TYPES: usize = 8;

/// The user's own types, read once a token and type.
#[derive(Default)]
pub(super) struct TypedClaims(RwLock<Vec<(TypeId, Arc<dyn Any + Send + Sync>)>>);

impl TypedClaims {
    pub(super) fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, value) = kept.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }

    pub(super) fn keep<T: Any + Send + Sync>(&self, value: &Arc<T>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_TYPES && kept.iter().all(|(id, _)| *id != TypeId::of::<T>()) {
            kept.push((TypeId::of::<T>(), Arc::<T>::clone(value)));
        }
    }
}
