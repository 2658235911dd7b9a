//! The asking side: fetches collateral to staple it to quotes.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use bannock_evidence::{Collateral, CollateralParts};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    API_PATH,
    message::{MAX_RESPONSE_LEN, Response, ResponseFault, parse_response, percent_decode},
};

/// One resource must have arrived after this long.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why collateral could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchFault {
    /// The URL is not one this client can use.
    #[error("cannot fetch collateral from `{url}`: only http://HOST:PORT URLs are supported")]
    Url {
        /// The URL given.
        url: String,
    },
    /// Nobody answers there.
    #[error("cannot reach the PCS at {address}; is it running?")]
    Connect {
        /// Host and port.
        address: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The connection broke or was too slow.
    #[error("the PCS at {address} did not deliver `{resource}`")]
    Transfer {
        /// Host and port.
        address: String,
        /// What was asked for.
        resource: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// What came back is not HTTP.
    #[error("the PCS at {address} answered the request for `{resource}` unintelligibly")]
    Http {
        /// Host and port.
        address: String,
        /// What was asked for.
        resource: String,
        /// What is wrong with the response.
        #[source]
        source: ResponseFault,
    },
    /// The PCS refused.
    #[error("the PCS at {address} refused `{resource}` with status {status}: {text}")]
    Refused {
        /// Host and port.
        address: String,
        /// What was asked for.
        resource: String,
        /// HTTP status code.
        status: u16,
        /// The start of what it said, printable characters only.
        text: String,
    },
    /// A header or the body is not what the API promises.
    #[error("the PCS at {address} answered `{resource}` without a usable {part}")]
    Unusable {
        /// Host and port.
        address: String,
        /// What was asked for.
        resource: String,
        /// What is missing or cannot be read.
        part: &'static str,
    },
}

/// Fetches all collateral for platforms of this `fmspc` from the PCS at `url`,
/// `http://HOST:PORT`, with or without the API's path behind it.
///
/// Nothing fetched is trusted: the verifier checks it.
///
/// # Errors
/// [`FetchFault`] names the address and the resource.
pub fn fetch_collateral(url: &str, fmspc: [u8; 6]) -> Result<Collateral, FetchFault> {
    let pcs = Pcs::parse(url)?;
    let pck_crl = pcs.get("/pckcrl?ca=processor&encoding=der")?;
    let root_ca_crl = pcs.get("/rootcacrl")?;
    let tcb = pcs.get(&format!("/tcb?fmspc={}", hex::encode_upper(fmspc)))?;
    let qe = pcs.get("/qe/identity")?;

    let (tcb_info, tcb_info_signature) =
        tcb.signed(|body: TcbBody<'_>| (body.tcb_info.get().to_owned(), body.signature))?;
    let (qe_identity, qe_identity_signature) =
        qe.signed(|body: QeBody<'_>| (body.enclave_identity.get().to_owned(), body.signature))?;
    let root_ca_crl_der =
        hex::decode(&root_ca_crl.response.body).map_err(|_| root_ca_crl.unusable("body"))?;
    Ok(CollateralParts {
        pck_crl_issuer_chain: pck_crl.chain("SGX-PCK-CRL-Issuer-Chain")?,
        pck_crl: pck_crl.response.body,
        root_ca_crl: root_ca_crl_der,
        tcb_info_issuer_chain: tcb.chain("TCB-Info-Issuer-Chain")?,
        tcb_info,
        tcb_info_signature,
        qe_identity_issuer_chain: qe.chain("SGX-Enclave-Identity-Issuer-Chain")?,
        qe_identity,
        qe_identity_signature,
    }
    .into())
}

/// Collateral from a PCS, fetched again when it is older than the given age.
#[derive(Debug)]
pub struct CollateralSource {
    url: String,
    fmspc: [u8; 6],
    max_age: Duration,
    cached: Option<(Instant, Collateral)>,
}

impl CollateralSource {
    /// A source that has fetched nothing yet.
    #[must_use]
    pub fn new(url: impl Into<String>, fmspc: [u8; 6], max_age: Duration) -> Self {
        Self {
            url: url.into(),
            fmspc,
            max_age,
            cached: None,
        }
    }

    /// The collateral, at most as old as allowed at the time `now`.
    ///
    /// If it is older and the PCS fails, the old copy is given: a verifier checks its dates
    /// anyway, and an attestation should not depend on a PCS that is briefly away.
    ///
    /// # Errors
    /// [`FetchFault`], if there is no copy at all.
    pub fn get(&mut self, now: Instant) -> Result<&Collateral, FetchFault> {
        let fresh = self
            .cached
            .as_ref()
            .is_some_and(|(fetched, _)| now.saturating_duration_since(*fetched) <= self.max_age);
        if !fresh {
            match fetch_collateral(&self.url, self.fmspc) {
                Ok(collateral) => return Ok(&self.cached.insert((now, collateral)).1),
                Err(fault) if self.cached.is_none() => return Err(fault),
                Err(_) => {}
            }
        }
        match &self.cached {
            Some((_, collateral)) => Ok(collateral),
            None => Err(FetchFault::Url {
                url: self.url.clone(),
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TcbBody<'a> {
    #[serde(borrow)]
    tcb_info: &'a RawValue,
    signature: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QeBody<'a> {
    #[serde(borrow)]
    enclave_identity: &'a RawValue,
    signature: String,
}

/// Where a PCS listens.
struct Pcs {
    /// Host and port.
    address: String,
}

/// A successful answer, with what errors need to say about it.
struct Answer {
    address: String,
    resource: String,
    response: Response,
}

impl Pcs {
    fn parse(url: &str) -> Result<Self, FetchFault> {
        let fault = || FetchFault::Url {
            url: url.to_owned(),
        };
        let rest = url.strip_prefix("http://").ok_or_else(fault)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let address = rest.strip_suffix(API_PATH).unwrap_or(rest);
        let (host, port) = address.rsplit_once(':').ok_or_else(fault)?;
        let host_ok = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.[]:".contains(&byte));
        if !host_ok || port.parse::<u16>().is_err() {
            return Err(fault());
        }
        Ok(Self {
            address: address.to_owned(),
        })
    }

    fn get(&self, resource: &str) -> Result<Answer, FetchFault> {
        let address = || self.address.clone();
        let start = Instant::now();
        let stream = self.connect().map_err(|source| FetchFault::Connect {
            address: address(),
            source,
        })?;
        let bytes =
            self.transfer(&stream, resource, start)
                .map_err(|source| FetchFault::Transfer {
                    address: address(),
                    resource: resource.to_owned(),
                    source,
                })?;
        let response = parse_response(&bytes).map_err(|source| FetchFault::Http {
            address: address(),
            resource: resource.to_owned(),
            source,
        })?;
        if response.status != 200 {
            let text = String::from_utf8_lossy(&response.body);
            let text = text.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(FetchFault::Refused {
                address: address(),
                resource: resource.to_owned(),
                status: response.status,
                text,
            });
        }
        Ok(Answer {
            address: address(),
            resource: resource.to_owned(),
            response,
        })
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let addresses: Vec<SocketAddr> = self.address.to_socket_addrs()?.collect();
        for address in addresses {
            match TcpStream::connect_timeout(&address, DEADLINE) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn transfer(
        &self,
        mut stream: &TcpStream,
        resource: &str,
        start: Instant,
    ) -> io::Result<Vec<u8>> {
        stream.set_write_timeout(Some(DEADLINE))?;
        let request = format!(
            "GET {API_PATH}{resource} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::with_capacity(8 * 1024);
        let mut chunk = [0; 4096];
        loop {
            let left = DEADLINE.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            let len = stream.read(&mut chunk)?;
            // One byte too many is enough for the parser to refuse it.
            if len == 0 || bytes.len() > MAX_RESPONSE_LEN {
                return Ok(bytes);
            }
            bytes.extend(chunk.iter().take(len));
        }
    }
}

impl Answer {
    fn unusable(&self, part: &'static str) -> FetchFault {
        FetchFault::Unusable {
            address: self.address.clone(),
            resource: self.resource.clone(),
            part,
        }
    }

    fn chain(&self, header: &'static str) -> Result<String, FetchFault> {
        self.response
            .header(header)
            .and_then(percent_decode)
            .ok_or_else(|| self.unusable(header))
    }

    /// The exact text that was signed, and its signature.
    fn signed<'a, B: Deserialize<'a>>(
        &'a self,
        split: impl FnOnce(B) -> (String, String),
    ) -> Result<(String, Vec<u8>), FetchFault> {
        let body =
            serde_json::from_slice(&self.response.body).map_err(|_| self.unusable("body"))?;
        let (text, signature) = split(body);
        let signature = hex::decode(signature).map_err(|_| self.unusable("signature"))?;
        Ok((text, signature))
    }
}
