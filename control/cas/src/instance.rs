//! The attestation protocol (ALPN `bannock-attest/1`): framed CBOR.

use crate::{
    cas::{Cas, Outage},
    log,
    server::{ANSWER_TIMEOUT, Connection},
    tls,
};
use bannock_cas_core::attest::{self, Configure, Refused};
use bannock_wire::{
    PROTOCOL_VERSION,
    binding::{Channel, Role},
    cas::{MAX_REQUEST, Reply, Request},
    frame,
};
use std::io::{self, Read as _, Write as _};
use zeroize::Zeroizing;

/// Most requests on one connection: a bound on log lines and quote work per connection.
pub(crate) const MAX_REQUESTS: u32 = 64;

/// Serves one connection until the peer closes it or is refused.
pub(crate) fn serve(cas: &Cas, connection: &mut Connection) -> io::Result<()> {
    let mut configured: Option<String> = None;
    for _ in 0..MAX_REQUESTS {
        let Some(request) = receive(connection)? else {
            return Ok(());
        };
        connection.sock.extend(ANSWER_TIMEOUT);
        let (reply, go_on) = answer(cas, connection, request, &mut configured)?;
        send(connection, &reply)?;
        if !go_on {
            return Ok(());
        }
        if configured.is_some() {
            connection.sock.lift()?;
        }
    }
    Ok(())
}

/// The reply, and whether the connection goes on.
fn answer(
    cas: &Cas,
    connection: &Connection,
    request: Request,
    configured: &mut Option<String>,
) -> io::Result<(Reply, bool)> {
    let exporter = tls::exporter(&connection.conn).map_err(io::Error::other)?;
    let client_key = tls::peer_key(&connection.conn);
    Ok(match request {
        Request::Configure { version, .. } if version > PROTOCOL_VERSION => {
            let reason = format!(
                "the runtime speaks protocol version {version}, this CAS up to {PROTOCOL_VERSION}"
            );
            (Reply::Failed { reason }, false)
        }
        Request::Configure {
            config_id,
            evidence,
            ..
        } => {
            let reply = configure(
                cas,
                &Configure {
                    exporter,
                    client_key,
                    config_id: &config_id,
                    evidence: &evidence,
                },
            );
            let granted = matches!(reply, Reply::Configuration { .. });
            if granted {
                *configured = Some(config_id);
            }
            (reply, granted)
        }
        Request::Report { reason } => match configured.as_deref() {
            Some(config_id) => match cas.note(attest::report(config_id, client_key, &reason)) {
                Ok(_) => (Reply::Noted, true),
                Err(outage) => (failed(&outage), false),
            },
            // Strangers do not write into the log what they like.
            None => (
                Reply::Denied {
                    reason: "only a configured instance can report".to_owned(),
                },
                false,
            ),
        },
        Request::AttestYourself => {
            let channel = Channel {
                role: Role::Server,
                exporter,
                attester_key: cas.identity().key_hash().0,
                peer_key: client_key.map_or([0; 32], |key| key.0),
            };
            match cas.platform().evidence(&channel) {
                Ok(evidence) => (Reply::Evidence { evidence }, true),
                Err(fault) => {
                    let reason = log::chain(&fault);
                    log::note(&reason);
                    (Reply::Failed { reason }, false)
                }
            }
        }
    })
}

fn configure(cas: &Cas, request: &Configure<'_>) -> Reply {
    let decided = match cas.decide(|context, view| attest::configure(context, view, request)) {
        Ok(decided) => decided,
        Err(outage) => return failed(&outage),
    };
    let numbered = |reason: String| format!("{reason} (audit record {})", decided.audit_record);
    match decided.answer {
        Ok(config) => Reply::Configuration { config },
        Err(Refused::Denied(reason)) => Reply::Denied {
            reason: numbered(reason),
        },
        Err(Refused::Failed(reason)) => Reply::Failed {
            reason: numbered(reason),
        },
    }
}

fn failed(outage: &Outage) -> Reply {
    Reply::Failed {
        reason: outage.to_api_error().message,
    }
}

/// The next request; nothing when the peer closed the connection between requests.
fn receive(connection: &mut Connection) -> io::Result<Option<Request>> {
    let mut prefix = [0; frame::PREFIX];
    let mut filled = 0;
    while let Some(rest) = prefix.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match connection.read(rest)? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled = filled.saturating_add(read),
        }
    }
    let malformed = |connection: &mut Connection, reason: String| {
        send(connection, &Reply::Failed { reason })?;
        Ok(None)
    };
    let length = match frame::length(prefix, MAX_REQUEST) {
        Ok(length) => length,
        Err(oversize) => return malformed(connection, oversize.to_string()),
    };
    let mut bytes = vec![0; length];
    connection.read_exact(&mut bytes)?;
    match bannock_wire::decode("request", &bytes) {
        Ok(request) => Ok(Some(request)),
        Err(fault) => malformed(connection, fault.to_string()),
    }
}

fn send(connection: &mut Connection, reply: &Reply) -> io::Result<()> {
    let bytes = Zeroizing::new(bannock_wire::encode(reply));
    match frame::prefix(bytes.len()) {
        Ok(prefix) => {
            connection.write_all(&prefix)?;
            connection.write_all(&bytes)?;
            connection.flush()
        }
        Err(oversize) => {
            let reason = format!("the configuration is too large: {oversize}");
            log::note(&reason);
            send(connection, &Reply::Failed { reason })
        }
    }
}
