//! What a host sees of the array by iSCSI.

use std::net::SocketAddr;

use ::provider::{
    guid::Guid,
    lun::{Identifier, LunInfo},
};
use bytes::Bytes;
use lab::Lab;
use scsi::{
    iscsi::{Initiator, Session},
    task::LunAddress,
};

/// What a host sees of the array by iSCSI.
pub struct Hosts {
    runtime: tokio::runtime::Runtime,
    session: Session,
}

impl Hosts {
    pub fn of(lab: &Lab) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let session = runtime.block_on(async {
            let initiator = Initiator::new("iqn.2026-11.internal.test:vss").unwrap();
            let target = "iqn.2026-11.internal.raidmanager:62496.cl2-c";
            initiator.login(SocketAddr::from((lab.ip(), 3260)), target).await.unwrap()
        });
        Self { runtime, session }
    }

    pub fn inquiry(&self, lun: u16, page: Option<u8>) -> Vec<u8> {
        let lun = LunAddress::from_number(lun).unwrap();
        let cdb = [0x12, u8::from(page.is_some()), page.unwrap_or(0), 1, 0, 0];
        let asked = self.session.command(lun, &cdb, Bytes::new(), 256);
        self.runtime.block_on(asked).unwrap().data.to_vec()
    }

    pub fn is_hidden(&self, lun: u16) -> bool {
        self.inquiry(lun, None)[0] == 0x7f
    }

    /// A LUN as VSS reads it: of page 83h, what names the logical unit.
    pub fn lun(&self, lun: u16) -> LunInfo {
        let standard = self.inquiry(lun, None);
        assert_eq!(standard[0], 0, "there is a disk");
        let text = |range: std::ops::Range<usize>| {
            Some(String::from_utf8(standard[range].to_vec()).unwrap())
        };
        let mut identifiers = Vec::new();
        let page = self.inquiry(lun, Some(0x83));
        let mut rest = &page[4..];
        while let [code_set, kind, _, length, more @ ..] = rest {
            let (bytes, after) = more.split_at(usize::from(*length));
            if kind >> 4 & 3 == 0 {
                let (code_set, kind) = (u32::from(code_set & 15), u32::from(kind & 15));
                identifiers.push(Identifier { code_set, kind, bytes: bytes.to_vec() });
            }
            rest = after;
        }
        LunInfo {
            version: 1,
            command_queueing: true,
            bus: 9,
            vendor: text(8..16),
            product: text(16..32),
            revision: text(32..36),
            serial: Some(String::from_utf8(self.inquiry(lun, Some(0x80))[4..].to_vec()).unwrap()),
            signature: Guid(0x1234),
            identifiers,
            ..LunInfo::default()
        }
    }
}
