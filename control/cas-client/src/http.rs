//! As much of HTTP/1.1 (RFC 9112) as a client of the REST API needs.

use crate::{ClientFault, tls::Connection};
use bannock_cas_api::SESSION_MEDIA_TYPE;
use std::io::{self, Read as _, Write as _};
use zeroize::Zeroizing;

/// Longest answer in bytes: a page of audit records is the largest.
const MAX_ANSWER: u64 = 80 << 20;

/// Most header fields.
const MAX_FIELDS: usize = 64;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub(crate) status: u16,
    /// It may hold secrets that a session's author wrote into it.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Sends a request and reads the answer, after which the connection is over.
pub(crate) fn exchange(
    connection: &mut Connection,
    method: &str,
    path: &str,
    body: &[u8],
) -> io::Result<Zeroizing<Vec<u8>>> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: bannock-cas\r\nContent-Type: {SESSION_MEDIA_TYPE}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body)?;
    connection.flush()?;
    let mut answer = Zeroizing::new(Vec::new());
    // Ends in an error unless the peer closed with close_notify: nothing is cut off unnoticed.
    connection.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Parses a whole answer. The bytes are the peer's, and may be any.
///
/// # Errors
/// [`ClientFault::Answer`] when it is not HTTP, or cut off.
pub fn parse(bytes: &[u8]) -> Result<Answer, ClientFault> {
    let malformed = |what: &str| ClientFault::Answer(what.to_owned());
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let Ok(httparse::Status::Complete(used)) = response.parse(bytes) else {
        return Err(malformed("it is not HTTP"));
    };
    let body = bytes.get(used..).unwrap_or_default();
    let length = response
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"))
        .and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    if length != Some(body.len()) {
        return Err(malformed("its length is not the announced one"));
    }
    Ok(Answer {
        status: response.code.ok_or_else(|| malformed("it has no status"))?,
        body: Zeroizing::new(body.to_vec()),
    })
}

/// `name` as part of a path: `/` stays, everything unusual is percent-encoded (RFC 3986 §2.1).
pub(crate) fn path_part(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_must_have_the_announced_length() {
        let good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(parse(good).unwrap().body.as_slice(), b"{}");
        for bad in [
            &good[..good.len() - 1],
            b"HTTP/1.1 200 OK\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
            b"garbage\r\n\r\n",
            b"",
        ] {
            assert!(parse(bad).is_err());
        }
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_path() {
        assert_eq!(path_part("a/b-c"), "a/b-c");
        assert_eq!(path_part("a b\r\n?#%"), "a%20b%0D%0A%3F%23%25");
    }
}
