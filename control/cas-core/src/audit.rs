//! The audit log: one line of JSON per decision, each naming the hash of the line before it and
//! signed by the CAS, so that nobody else can write, edit, reorder or drop lines unnoticed.
//!
//! Lines cut off at the end cannot be noticed from the log alone; the CAS keeps the position of
//! its last line in its store and refuses to go on with a log that lacks it.

use bannock_cas_api::Hash;
use bannock_crypto::digest::sha256;
use serde::{Deserialize, Serialize};

/// Longest text of a requester that enters a record, in bytes.
pub const MAX_TEXT: usize = 1024;

/// Longest line in bytes.
pub const MAX_LINE: usize = 64 << 10;

/// What happened, in the words of the log. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What was asked for.
    pub action: Action,
    /// What was decided.
    pub outcome: Outcome,
    /// The session that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The service that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Identity of the requester: SHA-256 of its key's SubjectPublicKeyInfo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Hash>,
    /// Measurement in the verified evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement: Option<Hash>,
    /// Who vouches for the verified evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_domain: Option<String>,
    /// Hash of the session that decided, or that was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_hash: Option<Hash>,
    /// Which rule decided, on which claim.
    pub reason: String,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The CAS started.
    Start,
    /// Create a session.
    CreateSession,
    /// Read a session.
    ReadSession,
    /// Update a session.
    UpdateSession,
    /// Configure an attested service.
    Configure,
    /// An attested instance reported something.
    InstanceReport,
    /// Remove the oldest records of the log.
    DropRecords,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Granted.
    Permit,
    /// Refused by a rule.
    Deny,
    /// Not decided, as something failed.
    Fail,
    /// Only noted.
    Note,
}

impl Event {
    /// An event with nothing but its reason.
    #[must_use]
    pub fn new(action: Action, outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            action,
            outcome,
            session: None,
            service: None,
            requester: None,
            measurement: None,
            trust_domain: None,
            session_hash: None,
            reason: shorten(&reason.into()),
        }
    }
}

/// At most [`MAX_TEXT`] bytes of `text`, cut at a character.
#[must_use]
pub fn shorten(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = (0..=MAX_TEXT).rev().find(|&at| text.is_char_boundary(at));
    let mut short = text.get(..end.unwrap_or(0)).unwrap_or("").to_owned();
    short.push('…');
    short
}

/// An event in its place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Position in the log, from 0.
    pub sequence: u64,
    /// The host's clock in seconds since the Unix epoch.
    pub time: u64,
    /// What happened.
    pub event: Event,
    /// SHA-256 of the line before; zeros in the first.
    pub previous: Hash,
}

/// Signs log lines with the CAS's identity key.
pub trait Sign {
    /// The signature over `message`.
    ///
    /// # Errors
    /// When the key cannot sign.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignFault>;
}

/// Checks log lines.
pub trait Verify {
    /// Whether `signature` is the CAS's over `message`.
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// The key did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the identity key did not sign the audit record")]
pub struct SignFault;

/// The end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Number of lines.
    pub length: u64,
    /// SHA-256 of the last line without its line feed; zeros for none.
    pub head: Hash,
}

impl Position {
    /// The empty log.
    pub const START: Self = Self {
        length: 0,
        head: Hash([0; 32]),
    };
}

/// Why a log is not a genuine one.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the audit log {reason}")]
pub struct BrokenLog {
    /// Number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Separates a record from its signature.
const SIGNATURE: &str = ",\"signature\":\"";

/// The line (without line feed) for `event` after `position`, and the position after it.
///
/// # Errors
/// [`SignFault`] when there is no signature.
pub fn append(
    position: &Position,
    time: u64,
    event: Event,
    signer: &dyn Sign,
) -> Result<(String, Position), SignFault> {
    let record = Record {
        sequence: position.length,
        time,
        event,
        previous: position.head,
    };
    let body = serde_json::to_string(&record).map_err(|_| SignFault)?;
    let signature = signer.sign(body.as_bytes())?;
    let open = body.strip_suffix('}').ok_or(SignFault)?;
    let digits: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!("{open}{SIGNATURE}{digits}\"}}");
    let position = Position {
        length: position.length.saturating_add(1),
        head: Hash(sha256(line.as_bytes())),
    };
    Ok((line, position))
}

/// Checks `line` as the one after `position`; its record, and the position after it.
///
/// Without a verifier the signature is left unchecked: enough for a line that a later, checked one
/// covers through its hash chain.
///
/// # Errors
/// [`BrokenLog`] when it is not a genuine line, or not the next.
pub fn check(
    position: &Position,
    line: &str,
    verifier: Option<&dyn Verify>,
) -> Result<(Record, Position), BrokenLog> {
    let number = position.length.saturating_add(1);
    let broken = |reason| BrokenLog {
        line: number,
        reason,
    };
    if line.len() > MAX_LINE {
        return Err(broken("is too long"));
    }
    let (open, rest) = line
        .rsplit_once(SIGNATURE)
        .ok_or_else(|| broken("has no signature"))?;
    let signature = rest
        .strip_suffix("\"}")
        .and_then(unhex)
        .ok_or_else(|| broken("has a malformed signature"))?;
    let body = format!("{open}}}");
    if verifier.is_some_and(|verifier| !verifier.verify(body.as_bytes(), &signature)) {
        return Err(broken("was not signed by this CAS"));
    }
    let record: Record =
        serde_json::from_str(&body).map_err(|_| broken("is not an audit record"))?;
    if record.sequence != position.length || record.previous != position.head {
        return Err(broken("does not follow the line before it"));
    }
    let position = Position {
        length: number,
        head: Hash(sha256(line.as_bytes())),
    };
    Ok((record, position))
}

/// Where `line` says that it belongs, which only the lines after it can confirm.
///
/// # Errors
/// [`BrokenLog`] when it is not a line of a log; its number is then not known.
pub fn position_before(line: &str) -> Result<Position, BrokenLog> {
    let broken = |reason| BrokenLog { line: 0, reason };
    if line.len() > MAX_LINE {
        return Err(broken("is too long"));
    }
    let (open, _) = line
        .rsplit_once(SIGNATURE)
        .ok_or_else(|| broken("has no signature"))?;
    let record: Record =
        serde_json::from_str(&format!("{open}}}")).map_err(|_| broken("is not an audit record"))?;
    Ok(Position {
        length: record.sequence,
        head: record.previous,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signs with a keyed hash: the real signature is tested where the key lives.
    struct Key(u8);

    impl Sign for Key {
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignFault> {
            Ok(sha256(&[&[self.0], message].concat()).to_vec())
        }
    }

    impl Verify for Key {
        fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
            self.sign(message).is_ok_and(|wanted| wanted == signature)
        }
    }

    fn log(reasons: &[&str]) -> Vec<String> {
        let mut position = Position::START;
        reasons
            .iter()
            .map(|reason| {
                let event = Event::new(Action::Configure, Outcome::Deny, *reason);
                let (line, next) = append(&position, 7, event, &Key(1)).unwrap();
                position = next;
                line
            })
            .collect()
    }

    fn check_all(lines: &[String], key: u8) -> Result<(), BrokenLog> {
        let mut position = Position::START;
        for line in lines {
            position = check(&position, line, Some(&Key(key)))?.1;
        }
        Ok(())
    }

    #[test]
    fn a_genuine_log_passes_and_text_of_a_requester_stays_on_its_line() {
        let lines = log(&[
            "one",
            "two\n{\"sequence\":9}",
            "three,\"signature\":\"00\"}",
        ]);
        assert!(lines.iter().all(|line| !line.contains('\n')));
        check_all(&lines, 1).unwrap();
    }

    #[test]
    fn edits_swaps_gaps_and_foreign_lines_are_noticed() {
        let lines = log(&["one", "two", "three"]);
        let edited = |at: usize, from: &str, to: &str| {
            let mut lines = lines.clone();
            lines[at] = lines[at].replace(from, to);
            lines
        };
        for bad in [
            edited(1, "two", "too"),
            edited(0, "deny", "permit"),
            vec![lines[0].clone(), lines[2].clone()],
            vec![lines[1].clone(), lines[0].clone()],
            vec![lines[0].clone(), lines[0].clone()],
            vec![lines[0].clone(), "garbage".into()],
        ] {
            assert!(check_all(&bad, 1).is_err());
        }
        assert!(check_all(&lines, 2).is_err());
    }

    #[test]
    fn a_line_says_where_it_belongs() {
        let lines = log(&["one", "two"]);
        assert_eq!(position_before(&lines[0]).unwrap(), Position::START);
        let second = position_before(&lines[1]).unwrap();
        assert_eq!(second.length, 1);
        check(&second, &lines[1], Some(&Key(1))).unwrap();
        for bad in ["", "{}", "{},\"signature\":\"\"}"] {
            assert!(position_before(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let short = shorten(&"é".repeat(MAX_TEXT));
        assert_eq!(short.chars().count(), MAX_TEXT / 2 + 1);
        assert_eq!(shorten("x"), "x");
    }
}
