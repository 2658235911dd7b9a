//! What may run, and what its evidence has to say.

use minicbor::{Decode, Encode};

use crate::template::Template;
use crate::values::{Digest, EnvironmentName, Name};

/// Something that may run.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Service {
    /// Unique in the session.
    #[n(0)]
    pub name: Name,
    /// Program and arguments; at least one.
    #[n(1)]
    pub command: Vec<Template>,
    /// Sorted by name.
    #[n(2)]
    pub environment: Vec<Variable>,
    /// Names of variables whose host values are admitted; sorted.
    #[n(3)]
    pub host_environment: Vec<EnvironmentName>,
    /// Working directory.
    #[n(4)]
    pub pwd: Template,
    /// The image that holds its files.
    #[n(5)]
    pub image: Option<Name>,
    /// Alternatives: evidence must satisfy one.
    #[n(6)]
    pub attestation: Vec<Variant>,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Variable {
    /// Its name.
    #[n(0)]
    pub name: EnvironmentName,
    /// Its value.
    #[n(1)]
    pub value: Template,
}

/// One alternative of a service's attestation; evidence must satisfy all of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Variant {
    /// Accepted MRENCLAVE values; empty accepts any.
    #[n(0)]
    pub measurements: Vec<Digest>,
    /// Who must have signed the enclave.
    #[n(1)]
    pub signer: Option<Signer>,
    /// SHA-256 of the DER of the simulated platform's root certificate. Absent: Intel's root only.
    #[n(2)]
    pub simulated: Option<Digest>,
    /// How far the LAS must have isolated a simulated instance.
    #[n(3)]
    pub isolation: IsolationRule,
}

/// The identity of an enclave's signer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signer {
    /// MRSIGNER.
    #[n(0)]
    pub mrsigner: Digest,
    /// ISVPRODID.
    #[n(1)]
    pub isv_prod_id: u16,
    /// Smallest accepted ISVSVN.
    #[n(2)]
    pub isv_svn_min: u16,
    /// Largest accepted ISVSVN.
    #[n(3)]
    pub isv_svn_max: u16,
}

/// Which isolation a variant demands on a simulated platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum IsolationRule {
    /// Every flag of the LAS.
    #[default]
    #[n(0)]
    Full,
    /// None: other processes of the host may read and change the instance.
    #[n(1)]
    None,
}
