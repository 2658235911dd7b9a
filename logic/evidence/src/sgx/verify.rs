//! Verification of an SGX quote: admits the root, lets `dcap-qvl` check, and types its answer.

use dcap_qvl::{Policy, QuoteClaims, configs::RustCryptoConfig, verify::QuoteVerifier};
use x509_cert::{Certificate, certificate::TbsCertificate};

use super::{Quote, classify, pck_chain::check_links};
use crate::{
    Collateral, PlatformId, Rejection, Tcb, TcbStatus, Tee, TrustAnchors, Verdict,
    rejection::{CertificateRole, Dated},
};

/// Leaves appraisal to the caller. The library still rejects whatever is revoked.
struct NoPolicy;

impl Policy for NoPolicy {
    fn validate(&self, _claims: &QuoteClaims) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Verifies an SGX quote; see [`crate::verify`].
pub(crate) fn verify(
    quote_bytes: &[u8],
    collateral: &Collateral,
    anchors: &TrustAnchors,
    now: u64,
) -> Result<Verdict, Rejection> {
    let quote = Quote::parse(quote_bytes).map_err(Rejection::MalformedQuote)?;
    let root = quote.pck_chain.root();
    let trust_domain = anchors.admit(root)?;
    // Path building takes a trust anchor's key and name only, never its dates.
    check_validity(
        root.certificate().tbs_certificate(),
        CertificateRole::Root,
        now,
    )?;

    let sgx = collateral.as_sgx();
    for chain in [
        &sgx.pck_crl_issuer_chain,
        &sgx.tcb_info_issuer_chain,
        &sgx.qe_identity_issuer_chain,
    ] {
        check_collateral_chain(chain)?;
    }

    // Debug enclaves are reported in the verdict instead of being refused here: whether one is
    // acceptable is the policy's decision. The quoting enclave itself may never be one.
    let claims = QuoteVerifier::<RustCryptoConfig>::new_with_config(root.der().to_vec())
        .allow_debug(true)
        .verify_with_policy(quote_bytes, collateral.as_sgx(), now, &NoPolicy)
        .map_err(|error| classify::classify(error, &quote, collateral.as_sgx(), now))?;

    let report = quote.report;
    Ok(Verdict {
        trust_domain,
        tee: Tee::Sgx,
        measurement: report.mr_enclave,
        signer: report.mr_signer,
        isv_prod_id: report.isv_prod_id,
        isv_svn: report.isv_svn,
        config_id: report.config_id,
        config_svn: report.config_svn,
        report_data: report.report_data,
        debug: report.attributes.debug(),
        kss: report.attributes.kss(),
        tcb: Tcb {
            status: status(claims.tcb.status)?,
            date: claims.platform.tcb_date_tag,
            advisories: claims.tcb.advisory_ids,
            evaluation_data_number: claims.tcb.eval_data_number,
        },
        platform_id: PlatformId {
            fmspc: claims.platform.pck.fmspc,
            ppid: claims.platform.pck.ppid,
        },
        collateral_expiry: claims.earliest_expiration_date,
        collateral_issued: claims.latest_issue_date,
        quote_version: quote.header.version,
    })
}

/// Refuses an issuer chain of the collateral whose certificates do not belong together.
fn check_collateral_chain(pem: &str) -> Result<(), Rejection> {
    let chain = Certificate::load_pem_chain(pem.as_bytes())
        .map_err(|error| Rejection::CertificateChain(error.into()))?;
    check_links(&chain.iter().collect::<Vec<_>>())
        .map_err(|fault| Rejection::CertificateChain(fault.into()))
}

fn status(status: dcap_qvl::TcbStatus) -> Result<TcbStatus, Rejection> {
    use dcap_qvl::TcbStatus as Intel;
    match status {
        Intel::UpToDate => Ok(TcbStatus::UpToDate),
        Intel::SWHardeningNeeded => Ok(TcbStatus::SwHardeningNeeded),
        Intel::ConfigurationNeeded => Ok(TcbStatus::ConfigurationNeeded),
        Intel::ConfigurationAndSWHardeningNeeded => {
            Ok(TcbStatus::ConfigurationAndSwHardeningNeeded)
        }
        Intel::OutOfDate => Ok(TcbStatus::OutOfDate),
        Intel::OutOfDateConfigurationNeeded => Ok(TcbStatus::OutOfDateConfigurationNeeded),
        Intel::Revoked => Err(Rejection::RevokedTcb),
        Intel::TDRelaunchAdvised | Intel::TDRelaunchAdvisedConfigurationNeeded => {
            Err(Rejection::UnexpectedTcbStatus(status.to_string()))
        }
    }
}

fn check_validity(
    certificate: &TbsCertificate,
    role: CertificateRole,
    now: u64,
) -> Result<(), Rejection> {
    let validity = certificate.validity();
    let not_before = validity.not_before.to_unix_duration().as_secs();
    let not_after = validity.not_after.to_unix_duration().as_secs();
    if now < not_before {
        return Err(Rejection::NotYetValid {
            what: Dated::Certificate(role),
            not_before,
            now,
        });
    }
    if now > not_after {
        return Err(Rejection::Expired {
            what: Dated::Certificate(role),
            not_after,
            now,
        });
    }
    Ok(())
}
