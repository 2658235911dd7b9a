//! May this requester read, update or create a session?

use core::fmt;

use crate::ast::{AccessRule, Session};
use crate::values::Digest;

/// Who asks: the holder of a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    /// SHA-256 of the SubjectPublicKeyInfo of the client certificate, whose private key the TLS
    /// handshake proved.
    pub key_hash: Digest,
}

/// An answer, with the rule that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Permitted.
    Permit(Rule),
    /// Denied.
    Deny(Rule),
}

impl Access {
    /// Whether the answer is yes.
    #[must_use]
    pub const fn is_permitted(&self) -> bool {
        matches!(self, Self::Permit(_))
    }
}

/// The rule behind an [`Access`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What was asked for: `read`, `update` or `create_sessions` of `access_policy`.
    pub key: &'static str,
    /// The session whose rule it is.
    pub session: String,
    /// What decided.
    pub ground: RuleGround,
}

/// What decided about an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleGround {
    /// The rule says `ANY`.
    Any,
    /// The rule says `CREATOR`, and this is the creator.
    Creator,
    /// The rule lists this key.
    Key(Digest),
    /// The rule says `NONE`.
    None,
    /// Neither the creator nor a listed key.
    NotListed(Digest),
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, rule) = match self {
            Self::Permit(rule) => ("permitted", rule),
            Self::Deny(rule) => ("denied", rule),
        };
        let Rule {
            key,
            session,
            ground,
        } = rule;
        write!(
            f,
            "{verb} by `access_policy.{key}` of session `{session}`: "
        )?;
        match ground {
            RuleGround::Any => f.write_str("it admits anyone"),
            RuleGround::Creator => f.write_str("the requester is its creator"),
            RuleGround::Key(key) => write!(f, "it lists key {key}"),
            RuleGround::None => f.write_str("it admits nobody"),
            RuleGround::NotListed(key) => write!(f, "it does not list key {key}"),
        }
    }
}

/// May `requester` read `session`? `creator` is the key hash of who created its first version.
#[must_use]
pub fn may_read(session: &Session, creator: &Digest, requester: &Requester) -> Access {
    decide("read", &session.access.read, session, creator, requester)
}

/// May `requester` replace `session`?
#[must_use]
pub fn may_update(session: &Session, creator: &Digest, requester: &Requester) -> Access {
    decide(
        "update",
        &session.access.update,
        session,
        creator,
        requester,
    )
}

/// May `requester` create a session directly below `parent`, as `PARENT/NAME`?
///
/// Sessions without a `/` in their name have no parent; who may create them is not the session
/// language's to say.
#[must_use]
pub fn may_create(parent: &Session, creator: &Digest, requester: &Requester) -> Access {
    decide(
        "create_sessions",
        &parent.access.create_sessions,
        parent,
        creator,
        requester,
    )
}

fn decide(
    key: &'static str,
    rule: &AccessRule,
    session: &Session,
    creator: &Digest,
    requester: &Requester,
) -> Access {
    let who = requester.key_hash;
    let (permitted, ground) = match rule {
        AccessRule::Any => (true, RuleGround::Any),
        AccessRule::None => (false, RuleGround::None),
        AccessRule::Listed { creator: true, .. } if who == *creator => (true, RuleGround::Creator),
        AccessRule::Listed { keys, .. } if keys.contains(&who) => (true, RuleGround::Key(who)),
        AccessRule::Listed { .. } => (false, RuleGround::NotListed(who)),
    };
    let rule = Rule {
        key,
        session: session.name().to_string(),
        ground,
    };
    if permitted {
        Access::Permit(rule)
    } else {
        Access::Deny(rule)
    }
}
