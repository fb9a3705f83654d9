//! One issuer's section: its names, rules and policy, and the verifier of its strategy.

use std::borrow::Cow;
use std::sync::Arc;

use verifier_core::endpoint::Schemes;
use verifier_core::policy::{AudienceRule, IssuerRules, PolicyError, Role, ValidationPolicy};
use verifier_core::profile::TokenProfile;
use verifier_core::revocation::RevocationChecker;
use verifier_core::verifier::{ClaimsFrom, TokenVerifier};
use verifier_hybrid::{HybridConfig, HybridVerifier, IdentityRule, Opaque, StatusFreshness};
use verifier_introspect::{IntrospectionVerifier, Introspector};

use super::observed::Observed;
use super::signed::SignedIntrospection;
use super::{Workshop, naming, positive};
use crate::config::{
    CheckWhen, ClaimsSide, ConfigError, FreshnessSetting, IssuerConfig, OpaqueTokens, RevocationSection,
    StrategyName, WhenUnknown,
};

/// What of one section its parts have in common.
pub(super) struct Site {
    pub(super) rules: IssuerRules,
    pub(super) policy: ValidationPolicy,
    pub(super) schemes: Schemes,
}

/// Where a tenant's id stands in the issuer's name.
const TENANT: &str = "{tenantid}";

impl IssuerConfig {
    /// A section with a name and a strategy, and nothing else. Profile and audience have to be added.
    pub fn new(issuer: impl Into<String>, strategy: StrategyName) -> Self {
        Self {
            issuer: issuer.into(),
            tenants: Vec::new(),
            strategy,
            profile: None,
            audience: None,
            audience_claim: None,
            danger_accept_any_audience: false,
            danger_accept_id_tokens: false,
            danger_accept_missing_issuer: false,
            danger_allow_http: false,
            leeway: None,
            max_age: None,
            max_lifetime: None,
            required_claims: Vec::new(),
            required_scopes: Vec::new(),
            scope_claims: None,
            client_claims: None,
            roles: None,
            types: None,
            opaque: None,
            verified_tokens: None,
            connect: std::collections::BTreeMap::new(),
            ca_file: None,
            proxy: None,
            keys: None,
            introspection: None,
            revocation: None,
        }
    }

    /// The names that the issuer's tokens may bear.
    pub(super) fn names(&self) -> Result<Vec<Arc<str>>, ConfigError> {
        if self.issuer.is_empty() {
            return Err(ConfigError::invalid("issuer", "is empty"));
        }
        match (self.issuer.contains(TENANT), self.tenants.is_empty()) {
            (false, true) => Ok(vec![Arc::from(&*self.issuer)]),
            (true, false) if self.tenants.iter().all(|tenant| !tenant.is_empty()) => {
                Ok(self.tenants.iter().map(|tenant| Arc::from(self.issuer.replace(TENANT, tenant))).collect())
            }
            (true, _) => Err(ConfigError::invalid(
                "tenants",
                format_args!("the issuer's name holds {TENANT}: list the tenants whose tokens are accepted"),
            )),
            (false, false) => Err(ConfigError::invalid(
                "tenants",
                format_args!("is given, and the issuer's name holds no {TENANT}"),
            )),
        }
    }

    /// The verifier of the section's strategy.
    pub(super) fn verifier(
        &self,
        workshop: &Workshop<'_>,
        names: &[Arc<str>],
    ) -> Result<Arc<dyn TokenVerifier>, ConfigError> {
        if let StrategyName::Custom(name) = &self.strategy {
            return self.custom(workshop, name);
        }
        let site = Site {
            rules: self.rules(names)?,
            policy: self.policy()?,
            schemes: if self.danger_allow_http { Schemes::DangerPlainHttp } else { Schemes::Secure },
        };
        if self.strategy != StrategyName::Jwks && names.len() > 1 {
            return Err(ConfigError::invalid(
                "tenants",
                "go with strategy = \"jwks\": an introspection answer need not say whose token it is",
            ));
        }
        self.fits_provider(&site.rules.profile)?;
        self.outlives(workshop)?;
        Ok(match &self.strategy {
            StrategyName::Jwks => {
                self.refuse("introspection", self.introspection.is_some())?;
                self.refuse("revocation", self.revocation.is_some())?;
                self.refuse("opaque", self.opaque == Some(OpaqueTokens::Introspect))?;
                self.jwks(workshop, &site, Role::Decides)?
            }
            StrategyName::Introspection => {
                let signed = self.signed_answers().map(|(algorithm, _)| algorithm);
                self.refuse("keys", self.keys.is_some() && signed.is_none())?;
                self.refuse("verified_tokens", self.verified_tokens.is_some())?;
                self.refuse("types", self.types.is_some())?;
                let section = self.revocation.clone().unwrap_or_default();
                self.refuse("revocation.when_unknown", section.when_unknown.is_some())?;
                self.refuse("revocation.check_when", section.check_when.is_some())?;
                self.refuse("revocation.claims", section.claims.is_some())?;
                self.refuse("revocation.checkers", section.checkers.is_some())?;
                self.refuse("revocation.danger_skip_identity_check", section.danger_skip_identity_check)?;
                let keys =
                    signed.map(|algorithm| self.answer_keys(workshop, &site, algorithm)).transpose()?;
                let introspector = self.introspector(workshop, &site, keys.as_ref())?;
                let list = Arc::clone(&workshop.revocations) as _;
                let introspection =
                    IntrospectionVerifier::new(introspector, site.policy).with_revocations(list);
                match keys {
                    Some(keys) => Arc::new(SignedIntrospection { introspection, keys }),
                    None => Arc::new(introspection),
                }
            }
            _ => self.hybrid(workshop, site)?,
        })
    }

    /// A revocation must be remembered for as long as a token may live.
    fn outlives(&self, workshop: &Workshop<'_>) -> Result<(), ConfigError> {
        let retention = workshop.revocations.retention();
        match self.max_lifetime {
            Some(lifetime) if lifetime.get() > retention => Err(ConfigError::invalid(
                "max_lifetime",
                format_args!(
                    "{lifetime} is more than revocations.retention, {}: a revoked token would outlive its revocation",
                    crate::config::Span(retention)
                ),
            )),
            _ => Ok(()),
        }
    }

    /// A setting that the strategy has no use for is refused: whoever wrote it relies on it.
    fn refuse(&self, key: &str, given: bool) -> Result<(), ConfigError> {
        if !given {
            return Ok(());
        }
        let strategy = match &self.strategy {
            StrategyName::Jwks => "jwks",
            StrategyName::Introspection => "introspection",
            StrategyName::Hybrid => "hybrid",
            StrategyName::Custom(_) => "custom",
        };
        let hint = match (strategy, key) {
            ("jwks", "introspection" | "revocation" | "opaque") => {
                "; local verification can't see revocations: strategy = \"hybrid\" can"
            }
            ("introspection", "keys") => {
                "; strategy = \"hybrid\" checks signatures as well, and introspection.signed_answers = true those of \
                 answers"
            }
            ("introspection", "verified_tokens") => "; strategy = \"hybrid\" checks signatures as well",
            ("introspection", _) => "; strategy = \"hybrid\" has it",
            _ => "",
        };
        Err(ConfigError::invalid(key, format_args!("has no meaning with strategy = \"{strategy}\"{hint}")))
    }

    fn custom(&self, workshop: &Workshop<'_>, name: &str) -> Result<Arc<dyn TokenVerifier>, ConfigError> {
        for (key, given) in [
            ("keys", self.keys.is_some()),
            ("introspection", self.introspection.is_some()),
            ("revocation", self.revocation.is_some()),
            ("verified_tokens", self.verified_tokens.is_some()),
            ("profile", self.profile.is_some()),
            ("audience", self.audience.is_some()),
            ("audience_claim", self.audience_claim.is_some()),
            ("danger_accept_any_audience", self.danger_accept_any_audience),
            ("danger_accept_id_tokens", self.danger_accept_id_tokens),
            ("danger_allow_http", self.danger_allow_http),
            ("leeway", self.leeway.is_some()),
            ("max_age", self.max_age.is_some()),
            ("max_lifetime", self.max_lifetime.is_some()),
            ("required_claims", !self.required_claims.is_empty()),
            ("required_scopes", !self.required_scopes.is_empty()),
            ("scope_claims", self.scope_claims.is_some()),
            ("client_claims", self.client_claims.is_some()),
            ("roles", self.roles.is_some()),
            ("types", self.types.is_some()),
            ("connect", !self.connect.is_empty()),
            ("ca_file", self.ca_file.is_some()),
            ("proxy", self.proxy.is_some()),
        ] {
            self.refuse(key, given)?;
        }
        workshop.backends.verifiers.get(name).cloned().ok_or_else(|| {
            ConfigError::invalid(
                "strategy",
                format_args!("no verifier is registered under the name {name:?}"),
            )
        })
    }

    fn hybrid(&self, workshop: &Workshop<'_>, site: Site) -> Result<Arc<dyn TokenVerifier>, ConfigError> {
        let section = self.revocation.clone().unwrap_or_default();
        // What the section says by itself, before its parts are built and say it in their words.
        hybrid_config(&section, Opaque::Refuse).validate().map_err(|error| naming::hybrid(&error))?;
        let role = if section.claims.unwrap_or_default() == ClaimsSide::Token {
            Role::Decides
        } else {
            Role::Corroborates
        };
        let local = self.local(workshop, &site, role)?;

        let names = section.checkers.clone().unwrap_or_else(|| vec!["introspection".to_owned()]);
        let mut introspector: Option<Introspector> = None;
        let mut checkers: Vec<Arc<dyn RevocationChecker>> = Vec::with_capacity(names.len());
        for name in &names {
            checkers.push(match name.strip_prefix("custom:") {
                None if name == "introspection" => {
                    let shared = match &introspector {
                        Some(shared) => shared.clone(),
                        None => self.introspector(workshop, &site, Some(&local))?,
                    };
                    introspector = Some(shared.clone());
                    Arc::new(shared)
                }
                Some(custom) => workshop.backends.checkers.get(custom).cloned().ok_or_else(|| {
                    ConfigError::invalid(
                        "revocation.checkers",
                        format_args!("no checker is registered under the name {custom:?}"),
                    )
                })?,
                None => {
                    return Err(ConfigError::invalid(
                        "revocation.checkers",
                        format_args!("{name:?} is neither \"introspection\" nor \"custom:NAME\""),
                    ));
                }
            });
        }
        if checkers.is_empty() {
            return Err(ConfigError::invalid(
                "revocation.checkers",
                "is empty: with nobody to ask, use strategy = \"jwks\"",
            ));
        }
        let opaque = match (self.opaque, &introspector) {
            (Some(OpaqueTokens::Introspect), Some(introspector)) => {
                let mut other = IntrospectionVerifier::new(introspector.clone(), site.policy.clone())
                    .with_revocations(Arc::clone(&workshop.revocations) as _);
                if let Some(WhenUnknown::AllowStale(up_to)) = section.when_unknown {
                    other = other.with_stale_allowance(up_to.get());
                }
                Opaque::Introspect(Arc::new(other))
            }
            (Some(OpaqueTokens::Introspect), None) => {
                return Err(ConfigError::invalid(
                    "opaque",
                    "\"introspect\" needs \"introspection\" among revocation.checkers",
                ));
            }
            _ => Opaque::Refuse,
        };
        if section.claims == Some(ClaimsSide::Introspection) && introspector.is_none() {
            return Err(ConfigError::invalid(
                "revocation.claims",
                "\"introspection\" needs \"introspection\" among revocation.checkers",
            ));
        }
        if self.introspection.is_some() && introspector.is_none() {
            return Err(ConfigError::invalid(
                "introspection",
                "is given, and revocation.checkers doesn't name \"introspection\"",
            ));
        }
        let config = hybrid_config(&section, opaque);
        let verifier = HybridVerifier::builder(Arc::new(local), checkers, site.policy, workshop.env.clone())
            .revocations(Arc::clone(&workshop.revocations) as _)
            .config(config)
            .build()
            .map_err(|error| naming::hybrid(&error))?;
        Ok(match introspector {
            Some(introspector) => Arc::new(Observed { hybrid: verifier, introspector }),
            None => Arc::new(verifier),
        })
    }

    pub(super) fn rules(&self, names: &[Arc<str>]) -> Result<IssuerRules, ConfigError> {
        let known = || TokenProfile::NAMES.join(", ");
        let Some(name) = &self.profile else {
            return Err(ConfigError::invalid(
                "profile",
                format_args!("has to be named, since it tells access tokens from others; one of {}", known()),
            ));
        };
        let mut profile = TokenProfile::by_name(name).ok_or_else(|| {
            ConfigError::invalid("profile", format_args!("{name:?} is unknown; one of {}", known()))
        })?;
        let owned = |list: &[String]| list.iter().map(|text| Cow::Owned(text.clone())).collect();
        if let Some(claims) = &self.scope_claims {
            profile.scope_claims = owned(claims);
        }
        if let Some(claims) = &self.client_claims {
            profile.client_claims = owned(claims);
        }
        if let Some(pointers) = &self.roles {
            if let Some(bad) = pointers.iter().find(|pointer| !pointer.starts_with('/')) {
                return Err(ConfigError::invalid(
                    "roles",
                    format_args!("{bad:?} is no JSON pointer (RFC 6901): it starts with /"),
                ));
            }
            profile.roles = owned(pointers);
        }
        if let Some(types) = &self.types {
            if types.is_empty() {
                return Err(ConfigError::invalid("types", "is empty: every token would be refused"));
            }
            // RFC 8725 §3.11: without other marks, an ID token of the same issuer would pass.
            let own = |one: &String| profile.types.iter().any(|known| known.eq_ignore_ascii_case(one));
            if let Some(other) = types.iter().find(|one| profile.positive_marks.is_empty() && !own(one)) {
                return Err(ConfigError::invalid(
                    "types",
                    format_args!(
                        "{other:?} contradicts profile {name:?}, which knows access tokens by their type alone; \
                         profile \"generic\" tells them by other marks too"
                    ),
                ));
            }
            profile.types = owned(types);
        }
        let rules = IssuerRules::any_of(names.iter().map(|name| &**name), profile).map_err(policy_error)?;
        Ok(if self.danger_accept_missing_issuer { rules.danger_accept_missing_issuer() } else { rules })
    }

    pub(super) fn policy(&self) -> Result<ValidationPolicy, ConfigError> {
        let rule = match (&self.audience, self.danger_accept_any_audience) {
            (Some(_), true) => {
                return Err(ConfigError::invalid(
                    "audience",
                    "is given, and danger_accept_any_audience = true makes it void; leave one out",
                ));
            }
            (None, true) => AudienceRule::DangerAny,
            (None, false) => {
                return Err(ConfigError::invalid(
                    "audience",
                    "has to be given: who we are, as tokens name us; to accept tokens for anybody, \
                     danger_accept_any_audience = true",
                ));
            }
            (Some(audience), false) => AudienceRule::AnyOf {
                claim: self.audience_claim.as_deref().unwrap_or("aud").into(),
                values: audience.list().iter().map(|one| one.as_str().into()).collect(),
            },
        };
        if self.danger_accept_any_audience && self.audience_claim.is_some() {
            return Err(ConfigError::invalid(
                "audience_claim",
                "is given, and danger_accept_any_audience = true makes it void; leave one out",
            ));
        }
        let mut policy = ValidationPolicy::with_audience_rule(rule);
        if let Some(leeway) = self.leeway {
            policy = policy.leeway(leeway.get());
        }
        if let Some(max) = self.max_age {
            policy = policy.max_age(positive("max_age", max.get())?);
        }
        if let Some(max) = self.max_lifetime {
            policy = policy.max_lifetime(positive("max_lifetime", max.get())?);
        }
        for claim in &self.required_claims {
            policy = policy.require_claim(claim);
        }
        for scope in &self.required_scopes {
            policy = policy.require_scope(scope);
        }
        policy.build().map_err(policy_error)
    }
}

fn hybrid_config(section: &RevocationSection, opaque: Opaque) -> HybridConfig {
    let claims = match section.claims.unwrap_or_default() {
        ClaimsSide::Token => ClaimsFrom::Token,
        ClaimsSide::Introspection => ClaimsFrom::Introspection,
    };
    let mut config = HybridConfig::default().with_claims(claims).with_opaque(opaque);
    match section.freshness {
        Some(FreshnessSetting::AtMost(span)) => config = config.with_freshness(span.get()),
        Some(FreshnessSetting::UntilExpiry) => config.freshness = StatusFreshness::UntilExpiry,
        None => {}
    }
    if let Some(WhenUnknown::AllowStale(up_to)) = section.when_unknown {
        config = config.with_when_unknown(verifier_hybrid::WhenUnknown::AllowStale { up_to: up_to.get() });
    }
    if let Some(CheckWhen::LifetimeOver(threshold)) = section.check_when {
        config = config.with_check_when(verifier_hybrid::CheckWhen::LifetimeOver(threshold.get()));
    }
    if section.danger_skip_identity_check {
        config = config.with_identity(IdentityRule::DangerNoSharedMember);
    }
    config
}

/// The core's errors begin with their key.
fn policy_error(error: PolicyError) -> ConfigError {
    let text = error.to_string();
    let (key, message) = text.split_once(": ").unwrap_or(("", &text));
    ConfigError::invalid(
        if matches!(error, PolicyError::ImpossibleScope) { "required_scopes" } else { key },
        message,
    )
}
