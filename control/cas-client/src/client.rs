//! The REST API of a pinned CAS.

use crate::{
    ClientFault, OwnerIdentity, http,
    tls::{self, Peer},
};
use bannock_cas_api::{
    ALPN, ApiError, AuditPage, Checked, Created, Hash, SessionView, Status, Updated, paths,
};
use serde::de::DeserializeOwned;

/// A client of one CAS, known by its key.
pub struct Client<'a> {
    address: String,
    pin: Hash,
    identity: Option<&'a OwnerIdentity>,
}

impl<'a> Client<'a> {
    /// A client of the CAS at `address` (`HOST:PORT`) that holds the key `pin`.
    #[must_use]
    pub fn new(address: &str, pin: Hash, identity: Option<&'a OwnerIdentity>) -> Self {
        Self {
            address: address.to_owned(),
            pin,
            identity,
        }
    }

    /// What the CAS says about itself.
    ///
    /// # Errors
    /// [`ClientFault`].
    pub fn status(&self) -> Result<Status, ClientFault> {
        self.call("GET", paths::STATUS, &[])
    }

    /// Checks the session in `text` without storing it.
    ///
    /// # Errors
    /// [`ClientFault`].
    pub fn check(&self, text: &[u8]) -> Result<Checked, ClientFault> {
        self.call("POST", paths::CHECK, text)
    }

    /// Creates the session `name` from `text`.
    ///
    /// # Errors
    /// [`ClientFault`].
    pub fn create(&self, name: &str, text: &[u8]) -> Result<Created, ClientFault> {
        self.call("POST", &session(name), text)
    }

    /// Reads the session `name`.
    ///
    /// # Errors
    /// [`ClientFault`].
    pub fn read(&self, name: &str) -> Result<SessionView, ClientFault> {
        self.call("GET", &session(name), &[])
    }

    /// Replaces the session `name` by `text`, which names its predecessor.
    ///
    /// # Errors
    /// [`ClientFault`].
    pub fn update(&self, name: &str, text: &[u8]) -> Result<Updated, ClientFault> {
        self.call("PUT", &session(name), text)
    }

    /// The newest audit records of the identity's own sessions.
    ///
    /// # Errors
    /// [`ClientFault`].
    pub fn audit(&self) -> Result<AuditPage, ClientFault> {
        self.call("GET", paths::AUDIT, &[])
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Result<T, ClientFault> {
        let mut connection =
            tls::connect(&self.address, &Peer::Pinned(self.pin), self.identity, ALPN)?;
        let bytes = http::exchange(&mut connection, method, path, body)
            .map_err(|error| tls::broken(&self.address, error))?;
        let answer = http::parse(&bytes)?;
        if (200..300).contains(&answer.status) {
            return decode(&answer.body);
        }
        Err(decode::<ApiError>(&answer.body)?.into())
    }
}

fn session(name: &str) -> String {
    format!("{}{}", paths::SESSIONS, http::path_part(name))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientFault> {
    serde_json::from_slice(body).map_err(|error| ClientFault::Answer(error.to_string()))
}
