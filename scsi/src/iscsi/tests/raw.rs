//! An initiator that sends whatever it is told.

use bytes::{Bytes, BytesMut};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{HOST, LUN, Serving, TARGET, within};
use crate::iscsi::{
    pdu::{Bhs, LoginRequest, LoginResponse, Response, ScsiCommand},
    text::Text,
    wire::{Decoder, Outbox, Pdu, WireError},
};

pub(super) struct Raw {
    pub(super) stream: TcpStream,
    pub(super) decoder: Decoder,
    pub(super) outbox: Outbox,
    pub(super) cmd_sn: u32,
}

impl Raw {
    pub(super) async fn connect(serving: &Serving) -> Self {
        let stream = TcpStream::connect(serving.address).await.unwrap();
        Self { stream, decoder: Decoder::new(1 << 20), outbox: Outbox::default(), cmd_sn: 100 }
    }

    /// Logs in at once, with these keys besides the names.
    pub(super) async fn login(serving: &Serving, keys: &[(&str, &str)]) -> Self {
        Self::login_as(serving, HOST, keys).await
    }

    /// The same under a name.
    pub(super) async fn login_as(serving: &Serving, name: &str, keys: &[(&str, &str)]) -> Self {
        let mut raw = Self::connect(serving).await;
        let response = raw.try_login(name, keys).await.unwrap();
        assert_eq!((response.status, response.transit, response.nsg), (0, true, 3));
        assert_ne!(response.tsih, 0);
        for (key, value) in keys {
            match (*key, *value) {
                ("HeaderDigest", "CRC32C") => {
                    (raw.decoder.header_digest, raw.outbox.header_digest) = (true, true);
                }
                ("DataDigest", "CRC32C") => {
                    (raw.decoder.data_digest, raw.outbox.data_digest) = (true, true);
                }
                _ => {}
            }
        }
        raw
    }

    pub(super) fn names() -> Text {
        Self::names_of(HOST)
    }

    fn names_of(name: &str) -> Text {
        let mut text = Text::default();
        text.push("InitiatorName", name);
        text.push("TargetName", TARGET);
        text
    }

    pub(super) const fn request(&self) -> LoginRequest {
        LoginRequest {
            transit: true,
            more: false,
            csg: 1,
            nsg: 3,
            version_max: 0,
            version_min: 0,
            isid: [0x80, 1, 2, 3, 4, 5],
            tsih: 0,
            itt: 1,
            cid: 1,
            cmd_sn: self.cmd_sn,
            exp_stat_sn: 0,
        }
    }

    async fn try_login(&mut self, name: &str, keys: &[(&str, &str)]) -> Option<LoginResponse> {
        let mut text = Self::names_of(name);
        for (key, value) in keys {
            text.push(key, *value);
        }
        self.send(self.request().write(), &text.encode()).await;
        let pdu = self.receive().await?;
        Some(LoginResponse::read(&pdu.bhs))
    }

    pub(super) async fn send(&mut self, bhs: Bhs, data: &[u8]) {
        self.outbox.push(bhs, &[], &[Bytes::copy_from_slice(data)]);
        // The other end may have hung up, which is for the test to see when it reads.
        let _ = self.outbox.flush(&mut self.stream).await;
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next PDU; `None` at the end of the stream.
    pub(super) async fn receive(&mut self) -> Option<Pdu> {
        within(async {
            loop {
                let next = self.decoder.next(|_, _| Ok::<_, WireError>(BytesMut::new()));
                if let Some(pdu) = next.unwrap() {
                    return Some(pdu);
                }
                if !matches!(self.decoder.fill(&mut self.stream).await, Ok(1..)) {
                    return None;
                }
            }
        })
        .await
    }

    pub(super) async fn response(&mut self) -> Option<Response> {
        Some(Response::read(&self.receive().await?.bhs).unwrap())
    }

    /// A command with the next number.
    pub(super) fn command(&mut self, itt: u32, cdb: &[u8]) -> ScsiCommand {
        let mut whole = [0; 16];
        whole[..cdb.len()].copy_from_slice(cdb);
        let cmd_sn = self.cmd_sn;
        self.cmd_sn += 1;
        ScsiCommand {
            last: true,
            attribute: 1,
            lun: LUN,
            itt,
            cmd_sn,
            cdb: whole,
            ..ScsiCommand::default()
        }
    }

    /// Sends TEST UNIT READY and says whether GOOD comes back next.
    pub(super) async fn ready(&mut self, itt: u32) -> bool {
        let command = self.command(itt, &[0; 6]);
        self.send(command.write(), &[]).await;
        match self.response().await {
            Some(Response::ScsiResponse(response)) => response.itt == itt && response.status == 0,
            _ => false,
        }
    }
}
