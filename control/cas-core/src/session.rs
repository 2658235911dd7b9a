//! Sessions: check, create, read, update. None is ever deleted.

use crate::{
    Context, Decision, Event, Undecided, View, Write,
    audit::{Action, Outcome},
    record::{StoredSession, session_key},
};
use bannock_cas_api::{
    ApiError, Checked, Created, ErrorCode, Hash, Identity, MAX_SESSION_TEXT, Problem, SessionView,
    Updated,
};
use bannock_policy::{
    Access, Diagnostics, Digest, GenerateError, Requester, SecretValues, Session, SessionName,
    ast::AttestationMode, may_create, may_read, may_update,
};
use zeroize::Zeroizing;

/// Checks the session in `text` without storing it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn check(text: &[u8]) -> Result<Checked, ApiError> {
    let (session, _) = parse(text)?;
    Ok(Checked {
        name: session.name().to_string(),
        hash: Hash(session.hash().0),
    })
}

/// Stores the session in `text` under the new name `name`; `requester` becomes its creator.
///
/// A name `PARENT/REST` needs a session `PARENT` whose `create_sessions` admits the requester.
///
/// # Errors
/// [`Undecided`] when the store fails.
pub fn create(
    context: &Context<'_>,
    view: &dyn View,
    requester: Identity,
    name: &str,
    text: &[u8],
) -> Result<Decision<Result<Created, ApiError>>, Undecided> {
    let trail = Trail::new(Action::CreateSession, name, requester);
    let (session, text) = match parse_named(name, text) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(trail.deny(error)),
    };
    if session.predecessor().is_some() {
        let error = error(
            ErrorCode::InvalidSession,
            format!("session `{name}` is to be created, but names a predecessor"),
        );
        return Ok(trail.deny(with_help(
            error,
            "remove `predecessor`, or update the session that it names",
        )));
    }
    let parent_rule = match parent_access(view, requester, name)? {
        Ok(rule) => rule,
        Err(refusal) => return Ok(trail.deny_telling(refusal.told, refusal.logged)),
    };
    if view.record(&session_key(name))?.is_some() {
        // That a name is taken cannot be hidden from whoever may create it.
        let error = error(
            ErrorCode::Exists,
            format!("session `{name}` exists, and a name is given once"),
        );
        return Ok(trail.deny(with_help(
            error,
            "choose another name, or update the session",
        )));
    }
    let secrets = match SecretValues::generate(&session, context.now, context.random) {
        Ok(secrets) => secrets,
        Err(source) => return Ok(trail.fail(generation_failed(&source))),
    };
    let hash = Hash(session.hash().0);
    let stored = StoredSession {
        creator: requester.0,
        stored_at: context.now,
        session,
        text,
        secrets,
    };
    let write = Write {
        key: session_key(name),
        expected: 0,
        value: stored.encode(),
    };
    let answer = Created {
        name: name.to_owned(),
        hash,
    };
    Ok(trail.permit(parent_rule, hash, answer, vec![write]))
}

/// Reads the session `name`.
///
/// # Errors
/// [`Undecided`] when the store fails.
pub fn read(
    view: &dyn View,
    requester: Identity,
    name: &str,
) -> Result<Decision<Result<SessionView, ApiError>>, Undecided> {
    let trail = Trail::new(Action::ReadSession, name, requester);
    let Some((stored, _)) = load(view, name)? else {
        return Ok(trail.deny_telling(hidden(name, "read"), no_session(name)));
    };
    let access = may_read(&stored.session, &Digest(stored.creator), &who(requester));
    if !access.is_permitted() {
        return Ok(trail.deny_telling(hidden(name, "read"), access.to_string()));
    }
    let hash = Hash(stored.session.hash().0);
    let answer = SessionView {
        name: name.to_owned(),
        hash,
        creator: Hash(stored.creator),
        stored_at: stored.stored_at,
        session: stored.text.to_string(),
    };
    Ok(trail.permit(access.to_string(), hash, answer, Vec::new()))
}

/// Replaces the session `name` by the one in `text`, whose predecessor must be the stored one.
///
/// # Errors
/// [`Undecided`] when the store fails.
pub fn update(
    context: &Context<'_>,
    view: &dyn View,
    requester: Identity,
    name: &str,
    text: &[u8],
) -> Result<Decision<Result<Updated, ApiError>>, Undecided> {
    let trail = Trail::new(Action::UpdateSession, name, requester);
    let (session, text) = match parse_named(name, text) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(trail.deny(error)),
    };
    let Some((old, version)) = load(view, name)? else {
        return Ok(trail.deny_telling(hidden(name, "update"), no_session(name)));
    };
    let access = may_update(&old.session, &Digest(old.creator), &who(requester));
    if !access.is_permitted() {
        // Who may read the session knows of it, and of its rules.
        let readable = may_read(&old.session, &Digest(old.creator), &who(requester));
        let told = if readable.is_permitted() {
            error(
                ErrorCode::Denied,
                format!("you may not update session `{name}`: {access}"),
            )
        } else {
            hidden(name, "update")
        };
        return Ok(trail.deny_telling(told, access.to_string()));
    }
    let old_hash = Hash(old.session.hash().0);
    let named = session.predecessor().map(|digest| Hash(digest.0));
    if named != Some(old_hash) {
        return Ok(trail.deny(stale(name, named, old_hash)));
    }
    let updated = old
        .secrets
        .update(&old.session, &session, context.now, context.random);
    let secrets = match updated {
        Ok(secrets) => secrets,
        Err(source) => return Ok(trail.fail(generation_failed(&source))),
    };
    let hash = Hash(session.hash().0);
    let stored = StoredSession {
        creator: old.creator,
        stored_at: context.now,
        session,
        text,
        secrets,
    };
    let write = Write {
        key: session_key(name),
        expected: version,
        value: stored.encode(),
    };
    let answer = Updated {
        name: name.to_owned(),
        old_hash,
        hash,
    };
    Ok(trail.permit(access.to_string(), hash, answer, vec![write]))
}

/// The session `name` and the version of its record.
pub(crate) fn load(view: &dyn View, name: &str) -> Result<Option<(StoredSession, u64)>, Undecided> {
    let key = session_key(name);
    let Some(record) = view.record(&key)? else {
        return Ok(None);
    };
    let stored = StoredSession::decode(&key, &record.value)?;
    Ok(Some((stored, record.version)))
}

/// What is told to the requester, and what is logged.
struct Refusal {
    told: ApiError,
    logged: String,
}

/// Whether the session above `name` lets `requester` create below it; the rule that says so.
fn parent_access(
    view: &dyn View,
    requester: Identity,
    name: &str,
) -> Result<Result<String, Refusal>, Undecided> {
    let Some((parent, _)) = name.rsplit_once('/') else {
        return Ok(Ok("top-level names are open to everyone".to_owned()));
    };
    let told = || {
        let error = error(
            ErrorCode::NotFoundOrDenied,
            format!(
                "you may not create `{name}`: session `{parent}` does not exist, or does not let you create sessions below it"
            ),
        );
        with_help(
            error,
            &format!(
                "ask the creator of `{parent}` to list your key in `access_policy.create_sessions`, or create `{parent}` first"
            ),
        )
    };
    let Some((stored, _)) = load(view, parent)? else {
        return Ok(Err(Refusal {
            told: told(),
            logged: no_session(parent),
        }));
    };
    match may_create(&stored.session, &Digest(stored.creator), &who(requester)) {
        access @ Access::Permit(_) => Ok(Ok(access.to_string())),
        access @ Access::Deny(_) => Ok(Err(Refusal {
            told: told(),
            logged: access.to_string(),
        })),
    }
}

fn parse(text: &[u8]) -> Result<(Session, Zeroizing<String>), ApiError> {
    if text.len() > MAX_SESSION_TEXT {
        return Err(error(
            ErrorCode::TooLarge,
            format!(
                "a session of {} bytes is over the limit of {MAX_SESSION_TEXT}",
                text.len()
            ),
        ));
    }
    let session = Session::parse(text).map_err(|found| invalid(&found))?;
    // The parser accepts UTF-8 only.
    match std::str::from_utf8(text) {
        Ok(text) => Ok((session, Zeroizing::new(text.to_owned()))),
        Err(_) => Err(error(
            ErrorCode::InvalidSession,
            "the session is not UTF-8".to_owned(),
        )),
    }
}

fn parse_named(name: &str, text: &[u8]) -> Result<(Session, Zeroizing<String>), ApiError> {
    let (session, text) = parse(text)?;
    if session.name().as_str() != name {
        return Err(error(
            ErrorCode::NameMismatch,
            format!(
                "the request is for `{}`, the session's name is `{}`",
                name.escape_debug(),
                session.name()
            ),
        ));
    }
    Ok((session, text))
}

fn invalid(found: &Diagnostics) -> ApiError {
    let number = |position: usize| u64::try_from(position).unwrap_or(u64::MAX);
    let details: Vec<Problem> = found
        .iter()
        .map(|diagnostic| Problem {
            line: diagnostic.position.map_or(0, |at| number(at.line)),
            column: diagnostic.position.map_or(0, |at| number(at.column)),
            path: diagnostic.path.to_string(),
            message: diagnostic.problem.to_string(),
            help: diagnostic.problem.help().map(|help| help.to_string()),
        })
        .collect();
    let count = details.len();
    let problems = if count == 1 { "problem" } else { "problems" };
    ApiError {
        details,
        ..error(
            ErrorCode::InvalidSession,
            format!("the session has {count} {problems}"),
        )
    }
}

/// One answer for a session that does not exist and for one that must not be seen.
fn hidden(name: &str, verb: &str) -> ApiError {
    let error = error(
        ErrorCode::NotFoundOrDenied,
        format!(
            "session `{}` does not exist, or you may not {verb} it",
            name.escape_debug()
        ),
    );
    with_help(error, "its creator finds the reason in the audit log")
}

fn stale(name: &str, named: Option<Hash>, stored: Hash) -> ApiError {
    let message = match named {
        Some(named) => format!(
            "the update of session `{name}` names predecessor {named}, but the stored session is {stored}"
        ),
        None => format!(
            "the update of session `{name}` names no predecessor; the stored session is {stored}"
        ),
    };
    let error = error(ErrorCode::StalePredecessor, message);
    ApiError {
        stored_hash: Some(Box::new(stored)),
        ..with_help(
            error,
            &format!(
                "read the stored session, merge your change, and write `predecessor: {stored}`"
            ),
        )
    }
}

fn generation_failed(source: &GenerateError) -> ApiError {
    let mut message = format!("the session's secrets were not generated: {source}");
    let mut cause = std::error::Error::source(source);
    while let Some(error) = cause {
        message.push_str(&format!(": {error}"));
        cause = error.source();
    }
    error(ErrorCode::Internal, message)
}

fn no_session(name: &str) -> String {
    format!("there is no session `{}`", name.escape_debug())
}

fn who(requester: Identity) -> Requester {
    Requester {
        key_hash: Digest(requester.0),
    }
}

fn error(code: ErrorCode, message: String) -> ApiError {
    ApiError {
        code,
        message,
        help: None,
        details: Vec::new(),
        stored_hash: None,
        audit_record: None,
    }
}

fn with_help(error: ApiError, help: &str) -> ApiError {
    ApiError {
        help: Some(help.to_owned()),
        ..error
    }
}

/// The event of a decision in the making.
struct Trail {
    action: Action,
    session: Option<String>,
    requester: Identity,
}

impl Trail {
    fn new(action: Action, name: &str, requester: Identity) -> Self {
        Self {
            action,
            // A text that is no name belongs to no session, and is the requester's to make up.
            session: SessionName::parse(name).ok().map(|name| name.to_string()),
            requester,
        }
    }

    fn event(self, outcome: Outcome, reason: String) -> Event {
        Event {
            session: self.session,
            requester: Some(self.requester),
            ..Event::new(self.action, outcome, reason)
        }
    }

    fn permit<T>(
        self,
        rule: String,
        hash: Hash,
        answer: T,
        writes: Vec<Write>,
    ) -> Decision<Result<T, ApiError>> {
        Decision {
            answer: Ok(answer),
            writes,
            event: Event {
                session_hash: Some(hash),
                ..self.event(Outcome::Permit, rule)
            },
        }
    }

    /// Denies with a reason that the requester may know.
    fn deny<T>(self, error: ApiError) -> Decision<Result<T, ApiError>> {
        // Details quote the session's text, which may hold secrets: they are not logged.
        let logged = error.message.clone();
        self.deny_telling(error, logged)
    }

    fn deny_telling<T>(self, told: ApiError, logged: String) -> Decision<Result<T, ApiError>> {
        Decision {
            answer: Err(told),
            writes: Vec::new(),
            event: self.event(Outcome::Deny, logged),
        }
    }

    fn fail<T>(self, error: ApiError) -> Decision<Result<T, ApiError>> {
        Decision {
            event: self.event(Outcome::Fail, error.message.clone()),
            answer: Err(error),
            writes: Vec::new(),
        }
    }
}

/// Whether the session asks for no evidence at all.
pub(crate) fn is_unattested(session: &Session) -> bool {
    session.security().mode == AttestationMode::None
}
