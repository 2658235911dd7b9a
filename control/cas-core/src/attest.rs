//! Attestation: may this requester have this service's configuration?
//!
//! The order of the checks decides what a stranger learns. First come those that depend on the
//! request and this CAS alone, and their reasons are told in full: is the evidence well-formed, for
//! the service asked for and this CAS, genuine, current, and of this very connection? Only then is
//! the session looked at. Whether it exists, has the service and names the evidence's root is not
//! told apart; a requester whose evidence is rooted where the service's policy says is told which
//! claim differs.

use crate::{
    Context, Decision, Event, Undecided, View, Write,
    audit::{Action, Outcome, shorten},
    chain,
    record::{Floor, StoredSession},
    session,
};
use bannock_cas_api::Hash;
use bannock_evidence::{Collateral, Rejection, TrustAnchors, TrustDomain, Verdict};
use bannock_policy::{
    Appraisal, Claims as PolicyClaims, Ground, SessionName, Unattested, appraise,
    ast::{Service, Variant},
    provision,
};
use bannock_wire::{
    binding::{Channel, Claims, Role, report_data},
    channel::{Evidence, EvidenceFormat},
    config::ServiceConfig,
    launch::{Isolation, LaunchIdentity},
};
use std::{error::Error, panic::catch_unwind};

/// A request for a configuration, with this CAS's own view of the connection.
pub struct Configure<'a> {
    /// TLS exporter of the connection.
    pub exporter: [u8; 32],
    /// SHA-256 of the client's SubjectPublicKeyInfo, from the handshake.
    pub client_key: Option<Hash>,
    /// `SESSION/SERVICE`.
    pub config_id: &'a str,
    /// The evidence; an empty quote for none.
    pub evidence: &'a Evidence,
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Evidence or policy say no.
    #[error("{0}")]
    Denied(String),
    /// The configuration cannot be made.
    #[error("{0}")]
    Failed(String),
}

/// Decides about `request`.
///
/// # Errors
/// [`Undecided`] when the store fails.
pub fn configure(
    context: &Context<'_>,
    view: &dyn View,
    request: &Configure<'_>,
) -> Result<Decision<Result<ServiceConfig, Refused>>, Undecided> {
    let mut trail = Event {
        requester: request.client_key,
        ..Event::new(Action::Configure, Outcome::Deny, "")
    };
    let Some((session, service)) = split(request.config_id) else {
        return Ok(refuse(
            trail,
            Refusal::open(format!(
                "`{}` is not a configuration: SESSION/SERVICE is expected",
                shorten(request.config_id).escape_debug()
            )),
        ));
    };
    trail.session = Some(session.to_string());
    trail.service = Some(shorten(service));

    let verified = match verify(context, view, request)? {
        Ok(verified) => verified,
        Err(refusal) => return Ok(refuse(trail, refusal)),
    };
    if let Some(Verified { verdict, .. }) = &verified {
        trail.measurement = Some(Hash(verdict.measurement));
        trail.trust_domain = Some(verdict.trust_domain.to_string());
    }

    let found = session::load(view, session.as_str())?.map(|(stored, _)| stored);
    let stored = match admit(found, service, request.config_id, verified.as_ref()) {
        Ok(stored) => stored,
        Err(refusal) => return Ok(refuse(trail, refusal)),
    };
    trail.session_hash = Some(Hash(stored.session.hash().0));

    let claims = verified.as_ref().map(|it| PolicyClaims::from(&it.verdict));
    let expected = expected_identity(context, request.config_id).config_id();
    let unattested = if context.allow_unattested {
        Unattested::AllowInsecurely
    } else {
        Unattested::Refuse
    };
    let ground = match appraise(&stored.session, service, claims.as_ref(), &expected, unattested) {
        Appraisal::Permit(Ground::Variant(index)) => format!("attestation[{index}] of the service is satisfied"),
        Appraisal::Permit(Ground::Unattested) => "the session demands no attestation, and the CAS was started with --insecure-allow-unattested".to_owned(),
        Appraisal::Deny(reasons) => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            let text = format!("the policy of `{}` is not satisfied: {}", request.config_id, reasons.join("; "));
            return Ok(refuse(trail, Refusal::open(text)));
        }
    };
    let config = match provision(&stored.session, service, &stored.secrets) {
        Ok(config) => config,
        Err(source) => {
            let text = format!(
                "the configuration of `{}` cannot be made: {}",
                request.config_id,
                chain(&source)
            );
            trail.outcome = Outcome::Fail;
            trail.reason = shorten(&text);
            return Ok(Decision {
                answer: Err(Refused::Failed(text)),
                writes: Vec::new(),
                event: trail,
            });
        }
    };
    trail.outcome = Outcome::Permit;
    trail.reason = shorten(&ground);
    Ok(Decision {
        answer: Ok(config),
        writes: verified.and_then(|it| it.raise).into_iter().collect(),
        event: trail,
    })
}

/// The event for what an instance, configured as `config_id`, reports.
#[must_use]
pub fn report(config_id: &str, client_key: Option<Hash>, reason: &str) -> Event {
    let (session, service) = config_id.rsplit_once('/').unwrap_or((config_id, ""));
    Event {
        session: Some(session.to_owned()),
        service: Some(service.to_owned()),
        requester: client_key,
        ..Event::new(Action::InstanceReport, Outcome::Note, reason)
    }
}

/// What is told to the requester, and what is logged.
struct Refusal {
    told: String,
    logged: String,
}

impl Refusal {
    /// A reason that the requester may know.
    fn open(reason: String) -> Self {
        Self {
            told: reason.clone(),
            logged: reason,
        }
    }
}

fn refuse(mut trail: Event, refusal: Refusal) -> Decision<Result<ServiceConfig, Refused>> {
    trail.outcome = Outcome::Deny;
    trail.reason = shorten(&refusal.logged);
    Decision {
        answer: Err(Refused::Denied(refusal.told)),
        writes: Vec::new(),
        event: trail,
    }
}

fn split(config_id: &str) -> Option<(SessionName, &str)> {
    let (session, service) = config_id.rsplit_once('/')?;
    let session = SessionName::parse(session).ok()?;
    (!service.is_empty()).then_some((session, service))
}

/// The identity that an instance of the requested service must have been launched with.
fn expected_identity(context: &Context<'_>, config_id: &str) -> LaunchIdentity {
    LaunchIdentity::Service {
        config_id: config_id.to_owned(),
        cas_key: context.own_key,
    }
}

/// Genuine, current evidence of an instance launched for what it asks, on this connection.
struct Verified {
    verdict: Verdict,
    /// Raises the floor of the evidence's trust domain; to be written only when the policy names
    /// that domain, lest strangers fill the store with domains of their own.
    raise: Option<Write>,
}

/// All checks that do not depend on any session; nothing when no evidence was presented.
fn verify(
    context: &Context<'_>,
    view: &dyn View,
    request: &Configure<'_>,
) -> Result<Result<Option<Verified>, Refusal>, Undecided> {
    if request.evidence.quote.is_empty() {
        return Ok(Ok(None));
    }
    let EvidenceFormat::SgxDcapV3 = request.evidence.format;
    let claims = match claims(context, request) {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let collateral = match Collateral::from_json(&request.evidence.collateral) {
        Ok(collateral) => collateral,
        Err(fault) => return Ok(Err(unverified(&fault))),
    };
    let evidence = bannock_evidence::Evidence {
        quote: request.evidence.quote.clone(),
        collateral,
    };
    let mut verdict = match verify_at(&evidence, context.now) {
        Ok(verdict) => verdict,
        Err(rejection) => return Ok(Err(unverified(&rejection))),
    };

    // Time and TCB evaluation never go back within one trust domain. Domains are kept apart: whoever
    // owns a simulated platform can sign any date.
    let key = floor_key(&verdict.trust_domain);
    let record = view.record(&key)?;
    let floor = match &record {
        Some(record) => Floor::decode(&key, &record.value)?,
        None => Floor::default(),
    };
    if floor.time > context.now {
        verdict = match verify_at(&evidence, floor.time) {
            Ok(verdict) => verdict,
            Err(rejection) => return Ok(Err(unverified(&rejection))),
        };
    }
    if verdict.tcb.evaluation_data_number < floor.evaluation {
        return Ok(Err(Refusal::open(format!(
            "the evidence's collateral has TCB evaluation data number {}, but {} was seen before: \
             update the collateral that the LAS serves",
            verdict.tcb.evaluation_data_number, floor.evaluation
        ))));
    }
    if let Err(refusal) = bound(context, request, &claims, &verdict) {
        return Ok(Err(refusal));
    }

    let raised = floor.raise(Floor {
        time: verdict.collateral_issued,
        evaluation: verdict.tcb.evaluation_data_number,
    });
    let raise = (raised != floor).then(|| Write {
        key,
        expected: record.map_or(0, |record| record.version),
        value: raised.encode(),
    });
    Ok(Ok(Some(Verified { verdict, raise })))
}

/// The claims of the evidence, which must be those of an instance launched for this request.
///
/// They are the requester's word until [`bound`] has compared them with the quote.
fn claims(context: &Context<'_>, request: &Configure<'_>) -> Result<Claims, Refusal> {
    let claims: Claims = bannock_wire::decode("claims", &request.evidence.claims)
        .map_err(|malformed| unverified(&malformed))?;
    let reason = match &claims.launch {
        LaunchIdentity::Standalone => "a stand-alone instance gets nothing from any CAS".to_owned(),
        LaunchIdentity::Cas => "a CAS gets no service's configuration".to_owned(),
        LaunchIdentity::Service { config_id, cas_key } => {
            if config_id != request.config_id {
                format!(
                    "the instance was launched as `{}` and asks for `{}`: an instance gets only \
                     what it was launched for",
                    shorten(config_id).escape_debug(),
                    shorten(request.config_id).escape_debug()
                )
            } else if *cas_key != context.own_key {
                format!(
                    "the instance was launched for the CAS with key {}, and this CAS has key {}",
                    Hash(*cas_key),
                    Hash(context.own_key)
                )
            } else {
                return Ok(claims);
            }
        }
    };
    Err(Refusal::open(reason))
}

/// Verifies against Intel's root or the evidence's own simulated one: which of them counts is the
/// policy's to say, and says nothing about any session here.
///
/// The libraries below assert on some certificate chains whose names do not fit, and the chain is the
/// requester's to choose: such a panic means that the evidence does not verify.
fn verify_at(evidence: &bannock_evidence::Evidence, now: u64) -> Result<Verdict, Rejection> {
    match catch_unwind(|| verify_own_root(evidence, now)) {
        Ok(result) => result,
        Err(_) => Err(Rejection::Unclassified(
            "the verifier gave up on its certificates".into(),
        )),
    }
}

fn verify_own_root(evidence: &bannock_evidence::Evidence, now: u64) -> Result<Verdict, Rejection> {
    match bannock_evidence::verify(evidence, &TrustAnchors::vendors(), now) {
        Err(Rejection::UnknownRoot {
            sha256,
            simulated: true,
        }) => {
            let anchors = TrustAnchors::vendors().with_simulated_root(sha256);
            bannock_evidence::verify(evidence, &anchors, now)
        }
        other => other,
    }
}

/// Whether the quote is of this connection and says what the claims say.
fn bound(
    context: &Context<'_>,
    request: &Configure<'_>,
    claims: &Claims,
    verdict: &Verdict,
) -> Result<(), Refusal> {
    let Some(client_key) = request.client_key else {
        return Err(Refusal::open(
            "the connection has no client key for evidence to be bound to".to_owned(),
        ));
    };
    let channel = Channel {
        role: Role::Client,
        exporter: request.exporter,
        attester_key: client_key.0,
        peer_key: context.own_key,
    };
    if verdict.report_data != report_data(&channel, claims) {
        return Err(Refusal::open(
            "the evidence is not of this connection: it was made for another one, or its claims \
             were changed"
                .to_owned(),
        ));
    }
    if verdict.config_id != claims.launch.config_id() {
        return Err(Refusal::open(
            "the quote's CONFIGID is not that of the launch identity in the claims".to_owned(),
        ));
    }
    let isolation = Isolation(verdict.config_svn);
    if verdict.trust_domain.is_simulated() && isolation != claims.isolation {
        return Err(Refusal::open(format!(
            "the quote's CONFIGSVN says isolation {isolation:?}, the claims say {:?}",
            claims.isolation
        )));
    }
    Ok(())
}

/// The session, when it has the service and the service's policy names the evidence's root.
fn admit(
    found: Option<StoredSession>,
    service: &str,
    config_id: &str,
    verified: Option<&Verified>,
) -> Result<StoredSession, Refusal> {
    let hidden = |logged| {
        let evidence = match verified {
            Some(verified) => format!(
                "does not accept evidence rooted in {}",
                root_name(&verified.verdict.trust_domain)
            ),
            None => "does not release its configuration without evidence".to_owned(),
        };
        Refusal {
            told: format!(
                "service `{}` was not found, or {evidence}; the session's creator finds the reason \
                 in the audit log",
                shorten(config_id).escape_debug()
            ),
            logged,
        }
    };
    let Some(stored) = found else {
        return Err(hidden("there is no such session".to_owned()));
    };
    let Some(rules) = stored.session.service(service) else {
        return Err(hidden("the session has no such service".to_owned()));
    };
    match verified {
        None if session::is_unattested(&stored.session) => Ok(stored),
        None => Err(hidden("no evidence was presented".to_owned())),
        Some(verified) if names(rules, &verified.verdict.trust_domain) => Ok(stored),
        // Such a session is open to all who ask, if the CAS allows that at all.
        Some(_) if session::is_unattested(&stored.session) => Ok(stored),
        Some(verified) => Err(hidden(format!(
            "no attestation variant of the service names {}",
            root_name(&verified.verdict.trust_domain)
        ))),
    }
}

/// Whether a variant of the service is meant for this trust domain.
fn names(service: &Service, domain: &TrustDomain) -> bool {
    let named = |variant: &Variant| match domain {
        TrustDomain::Intel => variant.simulated.is_none(),
        TrustDomain::Simulated { root } => variant.simulated.is_some_and(|it| it.0 == *root),
        _ => false,
    };
    service.attestation.iter().any(named)
}

fn root_name(domain: &TrustDomain) -> String {
    match domain {
        TrustDomain::Intel => "Intel's root".to_owned(),
        TrustDomain::Simulated { root } => format!("the simulated root {}", Hash(*root)),
        other => other.to_string(),
    }
}

fn floor_key(domain: &TrustDomain) -> String {
    match domain {
        TrustDomain::Simulated { root } => format!("floor/simulated/{}", Hash(*root)),
        other => format!("floor/{other}"),
    }
}

fn unverified(fault: &dyn Error) -> Refusal {
    Refusal::open(format!("the evidence does not verify: {}", chain(fault)))
}
