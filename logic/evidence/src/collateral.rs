//! The endorsements that come with a quote.

use dcap_qvl::QuoteCollateralV3;

/// Longest collateral accepted, in bytes of JSON. Real collateral is about 25 KiB.
pub const MAX_COLLATERAL_LEN: usize = 512 * 1024;

/// Why bytes are not collateral.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralFault {
    /// More bytes than any real collateral has.
    #[error("collateral of {len} bytes is longer than the {MAX_COLLATERAL_LEN} accepted")]
    TooLong {
        /// Length of the input in bytes.
        len: usize,
    },
    /// Not the expected JSON document.
    #[error("collateral is not the expected JSON document")]
    Json(#[source] serde_json::Error),
}

/// The pieces of SGX collateral as a PCS serves them.
///
/// Certificate chains are PEM, leaf first, root last. Signatures are raw `r ‖ s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollateralParts {
    /// Issuer chain of the PCK CRL.
    pub pck_crl_issuer_chain: String,
    /// Root CA CRL, DER.
    pub root_ca_crl: Vec<u8>,
    /// PCK CRL, DER.
    pub pck_crl: Vec<u8>,
    /// Chain of the TCB info's signer.
    pub tcb_info_issuer_chain: String,
    /// The signed JSON text, byte for byte.
    pub tcb_info: String,
    /// Signature over [`Self::tcb_info`].
    pub tcb_info_signature: Vec<u8>,
    /// Chain of the QE identity's signer.
    pub qe_identity_issuer_chain: String,
    /// The signed JSON text, byte for byte.
    pub qe_identity: String,
    /// Signature over [`Self::qe_identity`].
    pub qe_identity_signature: Vec<u8>,
}

/// Certificates, revocation lists and TCB statements that endorse a platform.
///
/// Parsed for shape only. Nothing in it is trusted before [`crate::verify`] has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collateral {
    sgx: QuoteCollateralV3,
}

impl Collateral {
    /// Parses the JSON form (as the DCAP tools write it, with byte fields in hex).
    ///
    /// # Errors
    /// [`CollateralFault`], for input that is too long or is not such a document.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CollateralFault> {
        if bytes.len() > MAX_COLLATERAL_LEN {
            return Err(CollateralFault::TooLong { len: bytes.len() });
        }
        let mut sgx: QuoteCollateralV3 =
            serde_json::from_slice(bytes).map_err(CollateralFault::Json)?;
        // The PCK chain is taken from the quote alone. The library would prefer one found here,
        // and then the root that was admitted would not be that of the chain that was verified.
        sgx.pck_certificate_chain = None;
        Ok(Self { sgx })
    }

    /// The JSON form that [`Self::from_json`] reads.
    ///
    /// # Errors
    /// [`CollateralFault::TooLong`], if the parts were too large to be read again.
    pub fn to_json(&self) -> Result<Vec<u8>, CollateralFault> {
        let bytes = serde_json::to_vec(&self.sgx).map_err(CollateralFault::Json)?;
        if bytes.len() > MAX_COLLATERAL_LEN {
            return Err(CollateralFault::TooLong { len: bytes.len() });
        }
        Ok(bytes)
    }

    pub(crate) fn as_sgx(&self) -> &QuoteCollateralV3 {
        &self.sgx
    }
}

impl From<CollateralParts> for Collateral {
    fn from(parts: CollateralParts) -> Self {
        Self {
            sgx: QuoteCollateralV3 {
                pck_crl_issuer_chain: parts.pck_crl_issuer_chain,
                root_ca_crl: parts.root_ca_crl,
                pck_crl: parts.pck_crl,
                tcb_info_issuer_chain: parts.tcb_info_issuer_chain,
                tcb_info: parts.tcb_info,
                tcb_info_signature: parts.tcb_info_signature,
                qe_identity_issuer_chain: parts.qe_identity_issuer_chain,
                qe_identity: parts.qe_identity,
                qe_identity_signature: parts.qe_identity_signature,
                pck_certificate_chain: None,
            },
        }
    }
}

impl From<Collateral> for CollateralParts {
    fn from(collateral: Collateral) -> Self {
        let sgx = collateral.sgx;
        Self {
            pck_crl_issuer_chain: sgx.pck_crl_issuer_chain,
            root_ca_crl: sgx.root_ca_crl,
            pck_crl: sgx.pck_crl,
            tcb_info_issuer_chain: sgx.tcb_info_issuer_chain,
            tcb_info: sgx.tcb_info,
            tcb_info_signature: sgx.tcb_info_signature,
            qe_identity_issuer_chain: sgx.qe_identity_issuer_chain,
            qe_identity: sgx.qe_identity,
            qe_identity_signature: sgx.qe_identity_signature,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        include_bytes!("../tests/data/sgx_quote_collateral.json").to_vec()
    }

    #[test]
    fn round_trips_through_json_and_parts() {
        let collateral = Collateral::from_json(&sample()).unwrap();
        let again = Collateral::from_json(&collateral.to_json().unwrap()).unwrap();
        assert_eq!(collateral, again);
        assert_eq!(Collateral::from(CollateralParts::from(again)), collateral);
    }

    #[test]
    fn ignores_a_pck_chain_smuggled_into_the_collateral() {
        let mut value: serde_json::Value = serde_json::from_slice(&sample()).unwrap();
        value["pck_certificate_chain"] = "-----BEGIN CERTIFICATE-----".into();
        let collateral = Collateral::from_json(&serde_json::to_vec(&value).unwrap()).unwrap();
        assert_eq!(collateral, Collateral::from_json(&sample()).unwrap());
    }

    #[test]
    fn refuses_oversized_and_malformed_input() {
        let mut long = sample();
        long.resize(MAX_COLLATERAL_LEN + 1, b' ');
        assert!(matches!(
            Collateral::from_json(&long),
            Err(CollateralFault::TooLong { len }) if len == MAX_COLLATERAL_LEN + 1
        ));
        for bad in [&b""[..], b"{}", b"[]", b"\xff", &sample()[..100]] {
            assert!(matches!(
                Collateral::from_json(bad),
                Err(CollateralFault::Json(_))
            ));
        }
    }
}
