//! First contact: from evidence to a key that can be pinned.

use crate::{
    ClientFault, Distrust,
    tls::{self, Connection, Peer},
};
use bannock_cas_api::Hash;
use bannock_evidence::{Collateral, TcbStatus, TrustAnchors, TrustDomain};
use bannock_wire::{
    binding::{Channel, Claims, EXPORTER_LABEL, Role, report_data},
    cas::{ALPN, Reply, Request},
    channel::{Evidence, EvidenceFormat, MAX_MESSAGE},
    frame,
    launch::{Isolation, LaunchIdentity},
};
use std::io::{Read as _, Write as _};

/// What a CAS must prove.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// SHA-256 of the published `bannock-cas`.
    pub measurement: Hash,
    /// SHA-256 of the DER of the simulated platform's root certificate; none for Intel's root only.
    pub simulated_root: Option<Hash>,
    /// TCB statuses besides UpToDate that are tolerated.
    pub tolerated: Vec<TcbStatus>,
}

/// A CAS that proved what it is.
#[derive(Clone, Debug)]
pub struct AttestedCas {
    /// SHA-256 of its SubjectPublicKeyInfo: what to pin.
    pub key: Hash,
    /// Its measurement.
    pub measurement: Hash,
    /// Who vouches for its platform.
    pub trust_domain: TrustDomain,
    /// State of its platform.
    pub tcb_status: TcbStatus,
}

/// Lets the CAS at `address` prove what it is, at the time `now` (seconds since the Unix epoch).
///
/// # Errors
/// [`ClientFault::Distrusted`] when it does not; otherwise what went wrong on the way.
pub fn attest(
    address: &str,
    expectation: &Expectation,
    now: u64,
) -> Result<AttestedCas, ClientFault> {
    let mut connection = tls::connect(address, &Peer::Any, None, ALPN)?;
    let key = key_of(address, &connection)?;
    let exporter = connection
        .conn
        .export_keying_material([0; 32], EXPORTER_LABEL, None)
        .map_err(|source| ClientFault::Tls {
            address: address.to_owned(),
            source,
        })?;
    let channel = Channel {
        role: Role::Server,
        exporter,
        attester_key: key.0,
        peer_key: [0; 32],
    };
    let evidence = match ask(address, &mut connection)? {
        Reply::Evidence { evidence } => evidence,
        Reply::Failed { reason } | Reply::Denied { reason } => {
            return Err(Distrust::NoEvidence(reason).into());
        }
        Reply::Configuration { .. } | Reply::Noted => {
            return Err(ClientFault::Answer(
                "it answers another question".to_owned(),
            ));
        }
    };
    Ok(appraise(&evidence, &channel, expectation, now)?)
}

/// The key of whoever answers at `address`, which has proved nothing but that it holds the key.
///
/// # Errors
/// [`ClientFault`] when nobody answers.
pub fn trust_on_first_use(address: &str) -> Result<Hash, ClientFault> {
    let connection = tls::connect(address, &Peer::Any, None, bannock_cas_api::ALPN)?;
    key_of(address, &connection)
}

/// Whether `evidence` proves that the attester of `channel` is the CAS that is expected.
///
/// # Errors
/// [`Distrust`].
fn appraise(
    evidence: &Evidence,
    channel: &Channel,
    expectation: &Expectation,
    now: u64,
) -> Result<AttestedCas, Distrust> {
    let EvidenceFormat::SgxDcapV3 = evidence.format;
    let claims: Claims = bannock_wire::decode("claims", &evidence.claims)?;
    let anchors = match expectation.simulated_root {
        Some(root) => TrustAnchors::vendors().with_simulated_root(root.0),
        None => TrustAnchors::vendors(),
    };
    let verdict = bannock_evidence::verify(
        &bannock_evidence::Evidence {
            quote: evidence.quote.clone(),
            collateral: Collateral::from_json(&evidence.collateral)?,
        },
        &anchors,
        now,
    )?;
    if verdict.report_data != report_data(channel, &claims) {
        return Err(Distrust::NotBound);
    }
    if claims.launch != LaunchIdentity::Cas {
        return Err(Distrust::NotACas {
            found: claims.launch,
        });
    }
    if verdict.config_id != LaunchIdentity::Cas.config_id() {
        return Err(Distrust::Claims);
    }
    if verdict.measurement != expectation.measurement.0 {
        return Err(Distrust::Measurement {
            expected: expectation.measurement,
            found: Hash(verdict.measurement),
        });
    }
    if verdict.debug {
        return Err(Distrust::Debug);
    }
    if verdict.trust_domain.is_simulated() {
        let isolation = Isolation(verdict.config_svn);
        if isolation != claims.isolation {
            return Err(Distrust::Claims);
        }
        if !isolation.contains(Isolation::FULL) {
            let missing: Vec<_> = Isolation::FULL.missing_in(isolation).collect();
            return Err(Distrust::Isolation {
                missing: missing.join(", "),
            });
        }
    }
    let status = verdict.tcb.status;
    if status != TcbStatus::UpToDate && !expectation.tolerated.contains(&status) {
        return Err(Distrust::Tcb { status });
    }
    Ok(AttestedCas {
        key: Hash(channel.attester_key),
        measurement: Hash(verdict.measurement),
        trust_domain: verdict.trust_domain,
        tcb_status: status,
    })
}

fn key_of(address: &str, connection: &Connection) -> Result<Hash, ClientFault> {
    tls::peer_key(connection)
        .ok_or_else(|| ClientFault::Answer(format!("the one at {address} shows no key")))
}

fn ask(address: &str, connection: &mut Connection) -> Result<Reply, ClientFault> {
    let request = bannock_wire::encode(&Request::AttestYourself);
    let prefix = frame::prefix(request.len()).map_err(Distrust::from)?;
    let broken = |error| tls::broken(address, error);
    connection
        .write_all(&[&prefix, request.as_slice()].concat())
        .and_then(|()| connection.flush())
        .map_err(broken)?;
    let mut prefix = [0; frame::PREFIX];
    connection.read_exact(&mut prefix).map_err(broken)?;
    let mut reply = vec![0; frame::length(prefix, MAX_MESSAGE).map_err(Distrust::from)?];
    connection.read_exact(&mut reply).map_err(broken)?;
    Ok(bannock_wire::decode("reply", &reply).map_err(Distrust::from)?)
}
