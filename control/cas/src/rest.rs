//! The REST API: routes to decisions, decisions to answers.

use crate::{
    cas::{Cas, Decided, Outage},
    http::{self, BadRequest, Request},
    server::{ANSWER_TIMEOUT, Connection},
    tls,
};
use bannock_cas_api::{ApiError, ErrorCode, Identity, paths};
use bannock_cas_core::session;
use serde::Serialize;
use std::io;
use zeroize::Zeroizing;

/// A status and a JSON body, which may hold secrets that a session's author wrote into it.
struct Answer {
    status: u16,
    body: Zeroizing<Vec<u8>>,
}

/// Serves one request.
pub(crate) fn serve(cas: &Cas, connection: &mut Connection) -> io::Result<()> {
    let requester = tls::peer_key(&connection.conn);
    let answer = match http::read(connection) {
        Ok(request) => route(cas, requester, &request),
        Err(BadRequest::Io(error)) => return Err(error),
        Err(error @ BadRequest::Malformed(_)) => {
            Err(api(ErrorCode::BadRequest, &error.to_string()))
        }
        Err(error @ BadRequest::TooLarge { .. }) => {
            Err(api(ErrorCode::TooLarge, &error.to_string()))
        }
    };
    let answer = answer.unwrap_or_else(|error| failure(&error));
    connection.sock.extend(ANSWER_TIMEOUT);
    http::write(connection, answer.status, &answer.body)
}

fn route(cas: &Cas, requester: Option<Identity>, request: &Request) -> Result<Answer, ApiError> {
    let outage = |outage: Outage| outage.to_api_error();
    let method = request.method.as_str();
    if let Some(name) = request.path.strip_prefix(paths::SESSIONS) {
        if !matches!(method, "GET" | "POST" | "PUT") {
            return Err(wrong_method(request));
        }
        let requester = requester.ok_or_else(no_identity)?;
        return match method {
            "GET" => decided(
                200,
                cas.decide(|_, view| session::read(view, requester, name)),
            ),
            "POST" => decided(
                201,
                cas.decide(|context, view| {
                    session::create(context, view, requester, name, &request.body)
                }),
            ),
            _ => decided(
                200,
                cas.decide(|context, view| {
                    session::update(context, view, requester, name, &request.body)
                }),
            ),
        };
    }
    match (method, request.path.as_str()) {
        ("POST", paths::CHECK) => Ok(success(200, &session::check(&request.body)?)),
        ("GET", paths::STATUS) => Ok(success(200, &cas.status().map_err(outage)?)),
        ("GET", paths::AUDIT) => {
            let requester = requester.ok_or_else(no_identity)?;
            Ok(success(200, &cas.audit_of(requester).map_err(outage)?))
        }
        (_, paths::CHECK | paths::STATUS | paths::AUDIT) => Err(wrong_method(request)),
        _ => Err(api(
            ErrorCode::NoSuchPath,
            &format!("there is no `{}` in this API", request.path.escape_debug()),
        )),
    }
}

/// The answer for a decision, with the number of its audit record when it is a refusal.
fn decided<T: Serialize>(
    status: u16,
    decided: Result<Decided<Result<T, ApiError>>, Outage>,
) -> Result<Answer, ApiError> {
    let decided = decided.map_err(|outage| outage.to_api_error())?;
    match decided.answer {
        Ok(value) => Ok(success(status, &value)),
        Err(error) => Err(ApiError {
            audit_record: Some(decided.audit_record),
            ..error
        }),
    }
}

fn success<T: Serialize>(status: u16, value: &T) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => Answer {
            status,
            body: Zeroizing::new(body),
        },
        Err(_) => failure(&api(ErrorCode::Internal, "the answer cannot be encoded")),
    }
}

fn failure(error: &ApiError) -> Answer {
    Answer {
        status: error.code.http_status(),
        // The types of an error are plain text and numbers, which always encode.
        body: Zeroizing::new(serde_json::to_vec(error).unwrap_or_default()),
    }
}

fn no_identity() -> ApiError {
    ApiError {
        help: Some("connect with a client certificate; any self-signed one will do".to_owned()),
        ..api(
            ErrorCode::NoIdentity,
            "this request needs an identity, and the connection has none",
        )
    }
}

fn wrong_method(request: &Request) -> ApiError {
    api(
        ErrorCode::MethodNotAllowed,
        &format!(
            "`{}` does not know the method `{}`",
            request.path.escape_debug(),
            request.method.escape_debug()
        ),
    )
}

fn api(code: ErrorCode, message: &str) -> ApiError {
    ApiError {
        code,
        message: message.to_owned(),
        help: None,
        details: Vec::new(),
        stored_hash: None,
        audit_record: None,
    }
}
