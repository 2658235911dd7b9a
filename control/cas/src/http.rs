//! As much of HTTP/1.1 (RFC 9112) as the REST API needs: one request, one answer, close.

use crate::server::Connection;
use bannock_cas_api::MAX_SESSION_TEXT;
use std::io::{self, Read as _, Write as _};
use zeroize::Zeroizing;

/// Longest request line with headers in bytes.
pub(crate) const MAX_HEAD: usize = 16 << 10;

/// Most header fields.
const MAX_FIELDS: usize = 64;

/// A request.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path without query, percent-decoded.
    pub(crate) path: String,
    /// The body; it may hold secrets.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    /// It is not HTTP/1.1 as understood here.
    #[error("{0}")]
    Malformed(&'static str),
    /// The body is too large.
    #[error("the body of {length} bytes is over the limit of {MAX_SESSION_TEXT}")]
    TooLarge {
        /// Announced length in bytes.
        length: usize,
    },
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
}

/// Start and headers of a request, parsed.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    method: String,
    path: String,
    length: usize,
    expects_continue: bool,
}

/// Reads one request.
pub(crate) fn read(connection: &mut Connection) -> Result<Request, BadRequest> {
    let mut buffer = Zeroizing::new(Vec::with_capacity(MAX_HEAD));
    let (head, used) = loop {
        if let Some(parsed) = parse_head(&buffer)? {
            break parsed;
        }
        if buffer.len() >= MAX_HEAD {
            return Err(BadRequest::Malformed("the headers are over 16 KiB"));
        }
        let mut chunk = Zeroizing::new([0; 4096]);
        let read = connection.read(chunk.as_mut_slice())?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
    };
    if head.expects_continue {
        connection.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        connection.flush()?;
    }
    let early = buffer.get(used..).unwrap_or_default();
    let early = early.get(..head.length).unwrap_or(early);
    // Allocated at once: a body that grows would leave copies behind.
    let mut body = Zeroizing::new(vec![0; head.length]);
    if let Some((start, rest)) = body.split_at_mut_checked(early.len()) {
        start.copy_from_slice(early);
        connection.read_exact(rest)?;
    }
    Ok(Request {
        method: head.method,
        path: head.path,
        body,
    })
}

/// Parses the start of `bytes` as a request's head; nothing while it is incomplete.
///
/// Also gives the number of bytes that the head takes. The bytes are the peer's, and may be any.
///
/// # Errors
/// [`BadRequest`] when it is not HTTP/1.1 as understood here.
pub fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, BadRequest> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let used = match request.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(BadRequest::Malformed("this is not an HTTP/1.1 request")),
    };
    let mut length = None;
    let mut expects_continue = false;
    for field in request.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            // Two lengths, even equal ones, are how requests are smuggled (RFC 9112 §11.2).
            if length.is_some() {
                return Err(BadRequest::Malformed("there are two Content-Length fields"));
            }
            length = Some(parse_length(field.value)?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(BadRequest::Malformed(
                "Transfer-Encoding is not supported: send a Content-Length",
            ));
        } else if field.name.eq_ignore_ascii_case("expect") {
            expects_continue = field.value.eq_ignore_ascii_case(b"100-continue");
        }
    }
    let target = request.path.unwrap_or_default();
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    Ok(Some((
        Head {
            method: request.method.unwrap_or_default().to_owned(),
            path: percent_decode(path).ok_or(BadRequest::Malformed("the path is malformed"))?,
            length: length.unwrap_or(0),
            expects_continue,
        },
        used,
    )))
}

fn parse_length(value: &[u8]) -> Result<usize, BadRequest> {
    let malformed = BadRequest::Malformed("the Content-Length is not a number");
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(malformed);
    }
    let length: usize = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(malformed)?;
    if length > MAX_SESSION_TEXT {
        return Err(BadRequest::TooLarge { length });
    }
    Ok(length)
}

fn percent_decode(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            out.push(first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let [high, low] = *digits;
        out.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
        rest = after;
    }
    String::from_utf8(out).ok()
}

/// Writes the answer `status` with the JSON `body`.
pub(crate) fn write(connection: &mut Connection, status: u16, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        reason(status),
        body.len()
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body)?;
    connection.flush()
}

/// The reason phrase (RFC 9110 §15).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<(Head, usize)>, String> {
        parse_head(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_is_parsed_once_it_is_complete() {
        let text = "PUT /v1/sessions/a/b%20c?x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
        let (parsed, used) = head(text).unwrap().unwrap();
        assert_eq!(parsed.path, "/v1/sessions/a/b c");
        assert_eq!((parsed.method.as_str(), parsed.length), ("PUT", 3));
        assert_eq!(&text[used..], "abc");
        assert_eq!(head(&text[..40]), Ok(None));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for fields in [
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: +3",
            "Content-Length: 3, 3",
            "Content-Length:",
            "Content-Length: 99999999999999999999999",
            "Transfer-Encoding: chunked",
        ] {
            let text = format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
            assert!(head(&text).is_err(), "{fields}");
        }
        for path in ["/%", "/%4", "/%zz", "/%ff"] {
            assert!(
                head(&format!("GET {path} HTTP/1.1\r\n\r\n")).is_err(),
                "{path}"
            );
        }
        let large = format!(
            "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n",
            MAX_SESSION_TEXT + 1
        );
        assert!(head(&large).unwrap_err().contains("over the limit"));
    }
}
