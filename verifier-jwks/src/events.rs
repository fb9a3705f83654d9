//! What is told to `tracing`, where that is switched on. No `kid`, subject, token or address is in it.

#[cfg(feature = "tracing")]
mod told {
    use verifier_core::error::{Unavailable, UnavailableReason};
    use verifier_core::jwk::SkipReason;
    use verifier_core::key::KeySet;

    pub(crate) fn loaded(keys: &KeySet) {
        let (usable, skipped) = (keys.len(), keys.skipped().len());
        tracing::info!(usable, skipped, "key set loaded");
        for reason in keys.skipped().iter().map(|key| key.reason) {
            skip(reason);
        }
    }

    fn skip(reason: SkipReason) {
        if reason.is_alarming() {
            tracing::error!(
                reason = reason.code(),
                "the published key set holds a secret; the key is not used"
            );
        } else {
            tracing::warn!(reason = reason.code(), "a key of the set is not used");
        }
    }

    pub(crate) fn confirmed() {
        tracing::debug!("key set not modified");
    }

    pub(crate) fn failed(why: Unavailable) {
        if why.reason() == UnavailableReason::Misconfigured {
            // The other name is the server's text, and in no line of ours.
            tracing::error!(
                code = why.code(),
                "the issuer's metadata or key set don't go with the configuration; `verifier config check --online` \
                 tells what they say"
            );
        } else {
            tracing::warn!(code = why.code(), "key set could not be refreshed");
        }
    }

    pub(crate) fn flooded() {
        tracing::warn!("tokens with unknown key ids arrive faster than the key set may be fetched");
    }
}

#[cfg(not(feature = "tracing"))]
mod told {
    use verifier_core::error::Unavailable;
    use verifier_core::key::KeySet;

    pub(crate) const fn loaded(_: &KeySet) {}
    pub(crate) const fn confirmed() {}
    pub(crate) const fn failed(_: Unavailable) {}
    pub(crate) const fn flooded() {}
}

pub(crate) use told::{confirmed, failed, flooded, loaded};
