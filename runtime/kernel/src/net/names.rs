//! Names of local sockets that exist only within the container.
//!
//! Abstract names, and names in file systems that are the kernel's own, must mean nothing outside
//! of the container and must not be found from there. On the host such a socket is bound to an
//! abstract name of 128 random bits; this table translates both ways.

use super::address::{Address, LocalName};
use alloc::{collections::BTreeMap, format, sync::Arc, vec::Vec};
use bannock_platform::{Errno, host, sync::Mutex};

/// What a name refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// An abstract name.
    Abstract(Vec<u8>),
    /// A socket node of one of the kernel's file systems.
    Node {
        /// Device number of the file system.
        device: u64,
        /// Inode number.
        inode: u64,
    },
}

/// All such names of a container.
pub struct Names {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Names on the host, as abstract names.
    by_key: BTreeMap<Key, Vec<u8>>,
    /// Names in the container by those on the host.
    by_host: BTreeMap<Vec<u8>, LocalName>,
}

/// A name in use; free again when dropped.
pub struct Registration {
    names: Arc<Names>,
    key: Key,
    host: Vec<u8>,
}

impl Names {
    /// An empty table.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner::default()),
        })
    }

    /// Registers `key`, which programs see as `shown`.
    ///
    /// # Errors
    /// `EADDRINUSE` when it is registered, and what the host's random generator said.
    pub fn register(self: &Arc<Self>, key: Key, shown: LocalName) -> Result<Registration, Errno> {
        let mut random = [0; 16];
        host::random(&mut random)?;
        let host = format!("bannock-{:032x}", u128::from_le_bytes(random)).into_bytes();
        let mut inner = self.inner.lock();
        if inner.by_key.contains_key(&key) {
            return Err(Errno::EADDRINUSE);
        }
        inner.by_key.insert(key.clone(), host.clone());
        inner.by_host.insert(host.clone(), shown);
        Ok(Registration {
            names: Arc::clone(self),
            key,
            host,
        })
    }

    /// Registers a fresh abstract name of five hexadecimal digits (unix(7), "Autobind feature").
    ///
    /// # Errors
    /// `ENOSPC` when none is found, and what the host's random generator said.
    pub fn register_any(self: &Arc<Self>) -> Result<(Registration, LocalName), Errno> {
        const TRIES: u32 = 64;
        for _ in 0..TRIES {
            let mut random = [0; 4];
            host::random(&mut random)?;
            let name = format!("{:05x}", u32::from_le_bytes(random) & 0xf_ffff).into_bytes();
            let shown = LocalName::Abstract(name.clone());
            match self.register(Key::Abstract(name), shown.clone()) {
                Ok(registration) => return Ok((registration, shown)),
                Err(Errno::EADDRINUSE) => {}
                Err(other) => return Err(other),
            }
        }
        Err(Errno::ENOSPC)
    }

    /// The host's address of `key`.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<Vec<u8>> {
        let name = self.inner.lock().by_key.get(key).cloned()?;
        Some(Address::Local(LocalName::Abstract(name)).encode())
    }

    /// How programs see a name that the host told: peers outside of the container have none.
    #[must_use]
    pub fn shown(&self, host: &LocalName) -> LocalName {
        let LocalName::Abstract(name) = host else {
            return LocalName::Unnamed;
        };
        self.inner
            .lock()
            .by_host
            .get(name)
            .cloned()
            .unwrap_or(LocalName::Unnamed)
    }
}

impl Registration {
    /// The host's address of the name.
    #[must_use]
    pub fn address(&self) -> Vec<u8> {
        Address::Local(LocalName::Abstract(self.host.clone())).encode()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut inner = self.names.inner.lock();
        inner.by_key.remove(&self.key);
        inner.by_host.remove(&self.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_translate_both_ways_until_dropped() {
        bannock_platform::hosted::install();
        let names = Names::new();
        let key = Key::Abstract(b"bus".to_vec());
        let shown = LocalName::Abstract(b"bus".to_vec());
        let held = names.register(key.clone(), shown.clone()).unwrap();
        assert_eq!(
            names.register(key.clone(), shown.clone()).err(),
            Some(Errno::EADDRINUSE)
        );
        let address = names.find(&key).unwrap();
        assert_eq!(address, held.address());
        let Ok(Address::Local(host)) = Address::parse(&address) else {
            panic!("not a local name")
        };
        assert_ne!(host, shown, "the host must not learn the container's name");
        assert_eq!(names.shown(&host), shown);
        drop(held);
        assert_eq!(names.find(&key), None);
        assert_eq!(names.shown(&host), LocalName::Unnamed);
    }

    #[test]
    fn a_peer_outside_cannot_pretend_to_have_a_name_of_the_container() {
        bannock_platform::hosted::install();
        let names = Names::new();
        let shown = LocalName::Path(b"/run/db.sock".to_vec());
        let _held = names
            .register(
                Key::Node {
                    device: 1,
                    inode: 2,
                },
                shown.clone(),
            )
            .unwrap();
        for forged in [shown, LocalName::Abstract(b"/run/db.sock".to_vec())] {
            assert_eq!(names.shown(&forged), LocalName::Unnamed);
        }
    }
}
