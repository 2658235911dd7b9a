//! The report body: what the CPU says about an enclave (Intel SDM volume 3D, REPORT structure).

use super::quote::QuoteFault;
use crate::reader::Reader;

/// Length of a report body in bytes.
pub const REPORT_BODY_LEN: usize = 384;

/// ATTRIBUTES of an enclave (Intel SDM volume 3D, section on SECS attributes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Bits 0 to 63, the flags.
    pub flags: u64,
    /// Bits 64 to 127, XFRM: the processor state components the enclave may use.
    pub xfrm: u64,
}

impl Attributes {
    /// The enclave has been initialized; set in every genuine report.
    pub const INIT: u64 = 1 << 0;
    /// A debugger may read and write the enclave's memory.
    pub const DEBUG: u64 = 1 << 1;
    /// The enclave runs in 64-bit mode.
    pub const MODE64BIT: u64 = 1 << 2;
    /// Key separation and sharing is on: CONFIGID, CONFIGSVN, ISVEXTPRODID, ISVFAMILYID count.
    pub const KSS: u64 = 1 << 7;

    /// Whether [`Self::DEBUG`] is set.
    #[must_use]
    pub fn debug(&self) -> bool {
        self.flags & Self::DEBUG != 0
    }

    /// Whether [`Self::KSS`] is set.
    #[must_use]
    pub fn kss(&self) -> bool {
        self.flags & Self::KSS != 0
    }
}

/// The fields of a report body, in the order of their offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportBody {
    /// Security version of the CPU (opaque; byte-wise comparable only by a TCB info).
    pub cpu_svn: [u8; 16],
    /// MISCSELECT: extra state saved on an asynchronous exit.
    pub misc_select: u32,
    /// ISVEXTPRODID.
    pub isv_ext_prod_id: [u8; 16],
    /// ATTRIBUTES.
    pub attributes: Attributes,
    /// MRENCLAVE: SHA-256 over the enclave's initial contents.
    pub mr_enclave: [u8; 32],
    /// MRSIGNER: SHA-256 of the signer's public key.
    pub mr_signer: [u8; 32],
    /// CONFIGID (offset 192).
    pub config_id: [u8; 64],
    /// ISVPRODID.
    pub isv_prod_id: u16,
    /// ISVSVN.
    pub isv_svn: u16,
    /// CONFIGSVN (offset 260).
    pub config_svn: u16,
    /// ISVFAMILYID.
    pub isv_family_id: [u8; 16],
    /// REPORTDATA.
    pub report_data: [u8; 64],
}

impl ReportBody {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, QuoteFault> {
        let cpu_svn = reader.array("CPUSVN")?;
        let misc_select = reader.u32("MISCSELECT")?;
        zeros::<12>(reader, "report body, reserved bytes at offset 20")?;
        let isv_ext_prod_id = reader.array("ISVEXTPRODID")?;
        let attributes = Attributes {
            flags: reader.u64("ATTRIBUTES.FLAGS")?,
            xfrm: reader.u64("ATTRIBUTES.XFRM")?,
        };
        let mr_enclave = reader.array("MRENCLAVE")?;
        zeros::<32>(reader, "report body, reserved bytes at offset 96")?;
        let mr_signer = reader.array("MRSIGNER")?;
        zeros::<32>(reader, "report body, reserved bytes at offset 160")?;
        let config_id = reader.array("CONFIGID")?;
        let isv_prod_id = reader.u16("ISVPRODID")?;
        let isv_svn = reader.u16("ISVSVN")?;
        let config_svn = reader.u16("CONFIGSVN")?;
        zeros::<42>(reader, "report body, reserved bytes at offset 262")?;
        let isv_family_id = reader.array("ISVFAMILYID")?;
        let report_data = reader.array("REPORTDATA")?;
        Ok(Self {
            cpu_svn,
            misc_select,
            isv_ext_prod_id,
            attributes,
            mr_enclave,
            mr_signer,
            config_id,
            isv_prod_id,
            isv_svn,
            config_svn,
            isv_family_id,
            report_data,
        })
    }

    /// The report body as the CPU lays it out.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; REPORT_BODY_LEN] {
        laid_out(&[
            (0, &self.cpu_svn),
            (16, &self.misc_select.to_le_bytes()),
            (32, &self.isv_ext_prod_id),
            (48, &self.attributes.flags.to_le_bytes()),
            (56, &self.attributes.xfrm.to_le_bytes()),
            (64, &self.mr_enclave),
            (128, &self.mr_signer),
            (192, &self.config_id),
            (256, &self.isv_prod_id.to_le_bytes()),
            (258, &self.isv_svn.to_le_bytes()),
            (260, &self.config_svn.to_le_bytes()),
            (304, &self.isv_family_id),
            (320, &self.report_data),
        ])
    }
}

/// A structure of `N` bytes with each field at its offset, and zeros elsewhere.
pub(super) fn laid_out<const N: usize>(fields: &[(usize, &[u8])]) -> [u8; N] {
    let mut out = [0; N];
    for (offset, field) in fields {
        out.iter_mut()
            .skip(*offset)
            .zip(*field)
            .for_each(|(to, from)| *to = *from);
    }
    out
}

/// Reserved bytes must be zero: a later processor may give them a meaning that this code would
/// otherwise not see.
fn zeros<const N: usize>(reader: &mut Reader<'_>, field: &'static str) -> Result<(), QuoteFault> {
    let bytes: [u8; N] = reader.array(field)?;
    if bytes.iter().any(|byte| *byte != 0) {
        return Err(QuoteFault::ReservedBits { field });
    }
    Ok(())
}
