//! The little of HTTP/1.1 that a PCS needs: bounded parsers, percent coding, responses.

/// Longest request head accepted, in bytes.
pub const MAX_HEAD_LEN: usize = 8 * 1024;
/// Longest response read, in bytes, head included.
pub const MAX_RESPONSE_LEN: usize = 512 * 1024;
const MAX_HEADERS: usize = 32;

/// A request for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path without query.
    pub path: String,
    /// Query parameters, as they are: none of the values that the API knows needs decoding.
    pub query: Vec<(String, String)>,
}

impl Request {
    /// The value of the query parameter `name`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFault {
    /// The head does not end yet.
    #[error("the request head is incomplete")]
    Incomplete,
    /// Longer than [`MAX_HEAD_LEN`], or with too many headers.
    #[error("the request head is too long")]
    TooLong,
    /// Not HTTP.
    #[error("the request is not HTTP/1.x")]
    Malformed,
    /// A method other than GET.
    #[error("only GET is supported")]
    Method,
    /// A body, which no request of the API has.
    #[error("a request with a body is not supported")]
    Body,
}

/// Parses the head of a request.
///
/// # Errors
/// [`RequestFault`]. Never panics, whatever the bytes.
pub fn parse_request(bytes: &[u8]) -> Result<Request, RequestFault> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len > MAX_HEAD_LEN => {
            return Err(RequestFault::TooLong);
        }
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if bytes.len() >= MAX_HEAD_LEN => {
            return Err(RequestFault::TooLong);
        }
        Ok(httparse::Status::Partial) => return Err(RequestFault::Incomplete),
        Err(httparse::Error::TooManyHeaders) => return Err(RequestFault::TooLong),
        Err(_) => return Err(RequestFault::Malformed),
    }
    if head.method != Some("GET") {
        return Err(RequestFault::Method);
    }
    let has_body = head.headers.iter().any(|header| {
        header.name.eq_ignore_ascii_case("transfer-encoding")
            || (header.name.eq_ignore_ascii_case("content-length") && header.value != b"0")
    });
    if has_body {
        return Err(RequestFault::Body);
    }
    let target = head.path.ok_or(RequestFault::Malformed)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        })
        .collect();
    Ok(Request {
        path: path.to_owned(),
        query,
    })
}

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why bytes are not a whole response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseFault {
    /// Longer than [`MAX_RESPONSE_LEN`].
    #[error("the response is longer than {MAX_RESPONSE_LEN} bytes")]
    TooLong,
    /// Not HTTP.
    #[error("the answer is not an HTTP/1.x response")]
    Malformed,
    /// The body is shorter or longer than its announced length, or that is missing.
    #[error("the response's body does not have the announced length")]
    BodyLength,
}

/// Parses a response that was read up to the end of its connection.
///
/// # Errors
/// [`ResponseFault`]. Never panics, whatever the bytes.
pub fn parse_response(bytes: &[u8]) -> Result<Response, ResponseFault> {
    if bytes.len() > MAX_RESPONSE_LEN {
        return Err(ResponseFault::TooLong);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head_len)) = head.parse(bytes) else {
        return Err(ResponseFault::Malformed);
    };
    let status = head.code.ok_or(ResponseFault::Malformed)?;
    let body = bytes.get(head_len..).ok_or(ResponseFault::Malformed)?;
    let headers = head
        .headers
        .iter()
        .map(|header| {
            let value = core::str::from_utf8(header.value).map_err(|_| ResponseFault::Malformed)?;
            Ok((header.name.to_owned(), value.to_owned()))
        })
        .collect::<Result<Vec<_>, ResponseFault>>()?;
    let response = Response {
        status,
        headers,
        body: body.to_vec(),
    };
    let announced = response
        .header("content-length")
        .and_then(|len| len.parse::<usize>().ok());
    if announced != Some(body.len()) {
        return Err(ResponseFault::BodyLength);
    }
    Ok(response)
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self {
            status,
            headers,
            body,
        }
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of the header `name`, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let end = format!(
            "Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.body.len()
        );
        out.extend_from_slice(end.as_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(super) fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}

/// The inverse of [`percent_encode`]; `None` for what it cannot have produced.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        out.extend(hex::decode(digits).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_parsed() {
        let request = parse_request(b"GET /a/b?x=1&y=&z HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert_eq!(request.path, "/a/b");
        assert_eq!(request.parameter("x"), Some("1"));
        assert_eq!(request.parameter("y"), Some(""));
        assert_eq!(request.parameter("z"), Some(""));
        assert_eq!(request.parameter("w"), None);
    }

    #[test]
    fn what_is_not_a_plain_get_is_refused() {
        let cases: [(&[u8], RequestFault); 7] = [
            (b"", RequestFault::Incomplete),
            (b"GET / HTTP/1.1\r\n", RequestFault::Incomplete),
            (b"POST / HTTP/1.1\r\n\r\n", RequestFault::Method),
            (b"\x16\x03\x01\x02\x00", RequestFault::Malformed),
            (
                b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
                RequestFault::Body,
            ),
            (
                b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                RequestFault::Body,
            ),
            (b"GET / HTTP/2.0\r\n\r\n", RequestFault::Malformed),
        ];
        for (bytes, fault) in cases {
            assert_eq!(parse_request(bytes), Err(fault), "{}", bytes.escape_ascii());
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(MAX_HEAD_LEN));
        assert_eq!(parse_request(long.as_bytes()), Err(RequestFault::TooLong));
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "A: b\r\n".repeat(MAX_HEADERS + 1)
        );
        assert_eq!(parse_request(many.as_bytes()), Err(RequestFault::TooLong));
    }

    #[test]
    fn responses_round_trip_and_truncated_ones_are_refused() {
        let response = Response::new(200, "application/json", b"{}".to_vec()).with_header("X", "y");
        let bytes = response.to_bytes();
        let parsed = parse_response(&bytes).unwrap();
        assert_eq!((parsed.status, parsed.body.as_slice()), (200, &b"{}"[..]));
        assert_eq!(parsed.header("x"), Some("y"));
        for len in 0..bytes.len() {
            assert!(
                parse_response(&bytes[..len]).is_err(),
                "{len} bytes are no response"
            );
        }
        let mut longer = bytes;
        longer.push(b'!');
        assert_eq!(parse_response(&longer), Err(ResponseFault::BodyLength));
        assert_eq!(
            parse_response(b"HTTP/1.1 200 OK\r\n\r\n"),
            Err(ResponseFault::BodyLength)
        );
    }

    #[test]
    fn percent_coding_round_trips() {
        let text = "-----BEGIN CERTIFICATE-----\nA+/=\n";
        assert_eq!(percent_decode(&percent_encode(text)).as_deref(), Some(text));
        assert!(!percent_encode(text).contains(['\n', ' ', '+']));
        assert_eq!(percent_decode("%4"), None);
        assert_eq!(percent_decode("%zz"), None);
        assert_eq!(percent_decode("%ff"), None);
    }
}
