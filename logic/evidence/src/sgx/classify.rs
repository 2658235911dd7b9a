//! Turns `dcap-qvl`'s errors into [`Rejection`]s.
//!
//! The library reports text, and below it the typed error of its path builder where there is one.
//! Everything here describes a rejection that has already happened: a misread error can make a
//! message worse, never a verdict better. Tests provoke each case with real input, so a new
//! version of the library that words things differently is noticed.

use dcap_qvl::{QeIdentity, QuoteCollateralV3, TcbInfo};
use x509_cert::{
    Certificate,
    crl::CertificateList,
    der::{Decode, DecodePem},
};

use super::Quote;
use crate::rejection::{CertificateRole, CrlRole, Dated, Rejection, SignedObject};

pub(super) fn classify(
    error: anyhow::Error,
    quote: &Quote,
    collateral: &QuoteCollateralV3,
    now: u64,
) -> Rejection {
    let material = Material {
        quote,
        collateral,
        now,
    };
    match error.downcast_ref::<webpki::Error>() {
        Some(path_error) => {
            let path_error = path_error.clone();
            material.path(&path_error, error)
        }
        None => material.text(error),
    }
}

/// What there is to look up the details that an error leaves out.
struct Material<'a> {
    quote: &'a Quote,
    collateral: &'a QuoteCollateralV3,
    now: u64,
}

impl Material<'_> {
    fn path(&self, path_error: &webpki::Error, error: anyhow::Error) -> Rejection {
        let now = self.now;
        match path_error {
            webpki::Error::CertExpired { not_after, .. } => {
                let not_after = not_after.as_secs();
                let role = self.certificate_where(|certificate| {
                    let validity = certificate.tbs_certificate().validity();
                    validity.not_after.to_unix_duration().as_secs() == not_after
                });
                Rejection::Expired {
                    what: Dated::Certificate(role),
                    not_after,
                    now,
                }
            }
            webpki::Error::CertNotValidYet { not_before, .. } => {
                let not_before = not_before.as_secs();
                let role = self.certificate_where(|certificate| {
                    let validity = certificate.tbs_certificate().validity();
                    validity.not_before.to_unix_duration().as_secs() == not_before
                });
                Rejection::NotYetValid {
                    what: Dated::Certificate(role),
                    not_before,
                    now,
                }
            }
            webpki::Error::CrlExpired { next_update, .. } => {
                let not_after = next_update.as_secs();
                let role = self.crl_expiring_at(not_after);
                Rejection::Expired {
                    what: Dated::Crl(role),
                    not_after,
                    now,
                }
            }
            webpki::Error::CertRevoked => self.revoked(),
            webpki::Error::InvalidCrlSignatureForPublicKey
            | webpki::Error::UnknownRevocationStatus
            | webpki::Error::IssuerNotCrlSigner
            | webpki::Error::InvalidCrlNumber
            | webpki::Error::UnsupportedCrlVersion
            | webpki::Error::UnsupportedDeltaCrl
            | webpki::Error::UnsupportedIndirectCrl => Rejection::Crl {
                crl: crl_named_in(&error),
                source: error.into(),
            },
            _ => match crl_named_in(&error) {
                CrlRole::Unidentified => Rejection::CertificateChain(error.into()),
                crl => Rejection::Crl {
                    crl,
                    source: error.into(),
                },
            },
        }
    }

    fn text(&self, error: anyhow::Error) -> Rejection {
        let now = self.now;
        let outermost = error.to_string();
        let root_cause = error.root_cause().to_string();
        match root_cause.as_str() {
            "TCBInfo expired" | "TCBInfo issue date is in the future" => {
                if let Some((issued, next_update)) = self.tcb_info_dates() {
                    return outside(Dated::TcbInfo, issued, next_update, now);
                }
                return Rejection::TcbInfo(error.into());
            }
            "QE Identity expired" | "QE Identity issue date is in the future" => {
                if let Some((issued, next_update)) = self.qe_identity_dates() {
                    return outside(Dated::QeIdentity, issued, next_update, now);
                }
                return Rejection::QeIdentity(error.into());
            }
            "Signature is invalid for tcb_info in quote_collateral" => {
                return Rejection::Signature(SignedObject::TcbInfo);
            }
            "Signature is invalid for qe_identity in quote_collateral" => {
                return Rejection::Signature(SignedObject::QeIdentity);
            }
            "Signature is invalid for qe_report in quote" => {
                return Rejection::Signature(SignedObject::QeReport);
            }
            "ISV enclave report signature is invalid" => {
                return Rejection::Signature(SignedObject::Quote);
            }
            "QE report hash mismatch" => return Rejection::AttestationKey,
            "No matching TCB level found" => return Rejection::NoMatchingTcbLevel,
            "TCB status is invalid: Revoked" => return Rejection::RevokedTcb,
            "Fmspc mismatch" => {
                if let Some(rejection) = self.fmspc_mismatch() {
                    return rejection;
                }
                return Rejection::TcbInfo(error.into());
            }
            "SGX quote with non-SGX TCB info in the collateral" => {
                return Rejection::TcbInfo(error.into());
            }
            _ => {}
        }
        let starts =
            |prefixes: &[&str]| prefixes.iter().any(|prefix| outermost.starts_with(prefix));
        if starts(&[
            "QE MRSIGNER",
            "QE ISVPRODID",
            "QE MISCSELECT",
            "QE ATTRIBUTES",
            "QE ISVSVN",
            "QE report validation failed",
        ]) {
            Rejection::QuotingEnclave(error.into())
        } else if starts(&[
            "Failed to decode TcbInfo",
            "Failed to parse TCB Info",
            "TCB Info signer",
            "Certificate chain is too short for TCB Info",
            "Failed to decode TCB FMSPC",
            "SGX component count mismatch",
        ]) {
            Rejection::TcbInfo(error.into())
        } else if starts(&[
            "Failed to decode QeIdentity",
            "Failed to parse QE Identity",
            "QE Identity signer",
            "Certificate chain is too short for QE Identity",
            "Unsupported QE Identity",
            "No TCB levels found in QE Identity",
        ]) {
            Rejection::QeIdentity(error.into())
        } else if starts(&[
            "Intel extension",
            "Failed to find",
            "CpuSvn length",
            "PceSvn length",
            "Fmspc length",
            "Failed to load sequence",
            "Failed to decode DER",
        ]) {
            Rejection::PckExtension(error.into())
        } else if starts(&[
            "Too many intermediate certificates",
            "Failed to parse certs",
        ]) {
            Rejection::CertificateChain(error.into())
        } else {
            Rejection::Unclassified(error.into())
        }
    }

    fn certificates(&self) -> Vec<(CertificateRole, Certificate)> {
        let chain = &self.quote.pck_chain;
        let mut all = vec![
            (CertificateRole::Pck, chain.leaf().clone()),
            (CertificateRole::PckCa, chain.intermediate().clone()),
        ];
        for (role, pem) in [
            (
                CertificateRole::TcbInfoSigner,
                &self.collateral.tcb_info_issuer_chain,
            ),
            (
                CertificateRole::QeIdentitySigner,
                &self.collateral.qe_identity_issuer_chain,
            ),
        ] {
            if let Some(signer) = first_certificate(pem) {
                all.push((role, signer));
            }
        }
        all.push((CertificateRole::Root, chain.root().certificate().clone()));
        all
    }

    fn certificate_where(&self, holds: impl Fn(&Certificate) -> bool) -> CertificateRole {
        self.certificates()
            .iter()
            .find(|(_, certificate)| holds(certificate))
            .map_or(CertificateRole::Unidentified, |(role, _)| *role)
    }

    fn crls(&self) -> impl Iterator<Item = (CrlRole, CertificateList)> {
        [
            (CrlRole::Root, &self.collateral.root_ca_crl),
            (CrlRole::Pck, &self.collateral.pck_crl),
        ]
        .into_iter()
        .filter_map(|(role, der)| Some((role, CertificateList::from_der(der).ok()?)))
    }

    fn crl_expiring_at(&self, next_update: u64) -> CrlRole {
        self.crls()
            .find(|(_, crl)| {
                let time = crl.tbs_cert_list.next_update;
                time.is_some_and(|time| time.to_unix_duration().as_secs() == next_update)
            })
            .map_or(CrlRole::Unidentified, |(role, _)| role)
    }

    fn revoked(&self) -> Rejection {
        let crls: Vec<_> = self.crls().map(|(_, crl)| crl.tbs_cert_list).collect();
        for (certificate, x509) in self.certificates() {
            let tbs = x509.tbs_certificate();
            let listed = crls
                .iter()
                .filter(|crl| crl.issuer == *tbs.issuer())
                .flat_map(|crl| crl.revoked_certificates.iter().flatten())
                .any(|entry| entry.serial_number == *tbs.serial_number());
            if listed {
                let serial = tbs.serial_number().as_bytes().to_vec();
                return Rejection::RevokedCertificate {
                    certificate,
                    serial,
                };
            }
        }
        let certificate = CertificateRole::Unidentified;
        Rejection::RevokedCertificate {
            certificate,
            serial: Vec::new(),
        }
    }

    fn tcb_info_dates(&self) -> Option<(u64, u64)> {
        let info: TcbInfo = serde_json::from_str(&self.collateral.tcb_info).ok()?;
        Some((
            unix_seconds(&info.issue_date)?,
            unix_seconds(&info.next_update)?,
        ))
    }

    fn qe_identity_dates(&self) -> Option<(u64, u64)> {
        let identity: QeIdentity = serde_json::from_str(&self.collateral.qe_identity).ok()?;
        Some((
            unix_seconds(&identity.issue_date)?,
            unix_seconds(&identity.next_update)?,
        ))
    }

    fn fmspc_mismatch(&self) -> Option<Rejection> {
        let info: TcbInfo = serde_json::from_str(&self.collateral.tcb_info).ok()?;
        let leaf = x509_cert::der::Encode::to_der(self.quote.pck_chain.leaf()).ok()?;
        let quote = dcap_qvl::intel::parse_pck_extension(&leaf).ok()?.fmspc;
        Some(Rejection::FmspcMismatch {
            quote,
            collateral: info.fmspc,
        })
    }
}

fn outside(what: Dated, not_before: u64, not_after: u64, now: u64) -> Rejection {
    if now < not_before {
        Rejection::NotYetValid {
            what,
            not_before,
            now,
        }
    } else {
        Rejection::Expired {
            what,
            not_after,
            now,
        }
    }
}

fn crl_named_in(error: &anyhow::Error) -> CrlRole {
    let text = error.to_string();
    if text == "Failed to parse root CA CRL" {
        CrlRole::Root
    } else if text == "Failed to parse PCK CRL" {
        CrlRole::Pck
    } else {
        CrlRole::Unidentified
    }
}

fn first_certificate(pem: &str) -> Option<Certificate> {
    const END: &str = "-----END CERTIFICATE-----";
    let first = pem.split_inclusive(END).next()?;
    Certificate::from_pem(first.trim_start()).ok()
}

/// Unix seconds of a date as Intel writes it, `2025-06-19T10:56:11Z`.
fn unix_seconds(date: &str) -> Option<u64> {
    let date: x509_cert::der::DateTime = date.parse().ok()?;
    Some(date.unix_duration().as_secs())
}
