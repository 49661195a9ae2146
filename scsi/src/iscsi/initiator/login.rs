//! Logging in (RFC 7143, 6.3), from the initiator's side.

use bytes::{Bytes, BytesMut};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Initiator, InitiatorError};
use crate::iscsi::{
    chap::{Algorithm, Challenge, Denied, challenge_of, encode},
    keys::{DEFAULT_SEGMENT, Negotiation, OWN_SEGMENT, Parameters},
    pdu::{LoginRequest, LoginResponse},
    text::{Gather, Text},
    wire::{Decoder, Outbox, Pdu, WireError},
};

/// A connection that is logged in.
pub(super) struct Ready {
    pub(super) reader: OwnedReadHalf,
    pub(super) writer: OwnedWriteHalf,
    pub(super) decoder: Decoder,
    pub(super) outbox: Outbox,
    pub(super) parameters: Parameters,
    /// The number of the next command.
    pub(super) cmd_sn: u32,
    /// The highest one that the target takes.
    pub(super) max_cmd_sn: u32,
    pub(super) exp_stat_sn: u32,
}

/// A login on its way.
pub(super) struct Login<'a> {
    initiator: &'a Initiator,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    decoder: Decoder,
    request: LoginRequest,
    last: LoginResponse,
}

const CMD_SN: u32 = 1;

impl<'a> Login<'a> {
    pub(super) fn new(
        initiator: &'a Initiator,
        reader: OwnedReadHalf,
        writer: OwnedWriteHalf,
    ) -> Self {
        let decoder = Decoder::new(DEFAULT_SEGMENT as usize);
        let request =
            LoginRequest { isid: initiator.isid, cmd_sn: CMD_SN, ..LoginRequest::default() };
        Self { initiator, reader, writer, decoder, request, last: LoginResponse::default() }
    }

    pub(super) async fn run(mut self, target: Option<&str>) -> Result<Ready, InitiatorError> {
        self.secure(target).await?;
        let mut negotiation = Negotiation::new(self.initiator.wishes, target.is_none());
        let mut text = negotiation.offers();
        (self.request.csg, self.request.nsg) = (1, 3);
        loop {
            let answer = self.exchange(true, &text).await?;
            for (key, value) in answer.pairs() {
                let settled = negotiation.settle(key, value);
                settled.map_err(|_| InitiatorError::Protocol("an answer that was not offered"))?;
            }
            if self.last.transit {
                break;
            }
            text = Text::default();
        }
        let parameters = negotiation.result();
        let Self { reader, writer, mut decoder, last, .. } = self;
        decoder.most = OWN_SEGMENT as usize;
        (decoder.header_digest, decoder.data_digest) =
            (parameters.header_digest, parameters.data_digest);
        let outbox = Outbox::new(parameters.header_digest, parameters.data_digest);
        let (max_cmd_sn, exp_stat_sn) = (last.max_cmd_sn, last.stat_sn.wrapping_add(1));
        Ok(Ready {
            reader,
            writer,
            decoder,
            outbox,
            parameters,
            cmd_sn: CMD_SN,
            max_cmd_sn,
            exp_stat_sn,
        })
    }

    async fn secure(&mut self, target: Option<&str>) -> Result<(), InitiatorError> {
        let initiator = self.initiator;
        let mut text = Text::default();
        text.push("InitiatorName", initiator.name.as_str());
        match target {
            Some(target) => {
                text.push("SessionType", "Normal");
                text.push("TargetName", target);
            }
            None => text.push("SessionType", "Discovery"),
        }
        (self.request.csg, self.request.nsg) = (0, 1);
        let Some(own) = &initiator.credentials else {
            text.push("AuthMethod", "None");
            self.exchange(true, &text).await?;
            return self.moved();
        };
        text.push("AuthMethod", if initiator.target.is_some() { "CHAP" } else { "CHAP,None" });
        let answer = self.exchange(false, &text).await?;
        if answer.get("AuthMethod") == Some("None") && initiator.target.is_none() {
            self.exchange(true, &Text::default()).await?;
            return self.moved();
        }
        let mut text = Text::default();
        text.push("CHAP_A", "7,5");
        let answer = self.exchange(false, &text).await?;
        let algorithm = match answer.get("CHAP_A") {
            Some("5") => Algorithm::Md5,
            Some("7") => Algorithm::Sha256,
            _ => return Err(Denied::NoAlgorithm.into()),
        };
        let (id, challenge) = challenge_of(&answer)?;
        let mut text = Text::default();
        text.push("CHAP_N", own.name.as_str());
        text.push("CHAP_R", encode(&algorithm.response(id, &own.secret, &challenge)));
        let Some(other) = &initiator.target else {
            self.exchange(true, &text).await?;
            return self.moved();
        };
        if other.secret == own.secret {
            return Err(Denied::Reflected.into());
        }
        let challenge = Challenge::new()?;
        challenge.write(&mut text);
        let answer = self.exchange(true, &text).await?;
        challenge.check(algorithm, other, &answer)?;
        self.moved()
    }

    /// Whether the target has gone on to the next stage.
    fn moved(&self) -> Result<(), InitiatorError> {
        if self.last.transit {
            Ok(())
        } else {
            Err(InitiatorError::Protocol("a login that stands"))
        }
    }

    async fn exchange(&mut self, transit: bool, text: &Text) -> Result<Text, InitiatorError> {
        self.send(transit, Bytes::from(text.encode())).await?;
        let mut gather = Gather::default();
        loop {
            let pdu = self.receive().await?;
            if pdu.bhs[0] & 0x3f != LoginResponse::OPCODE {
                return Err(InitiatorError::Protocol("no login response"));
            }
            self.last = LoginResponse::read(&pdu.bhs);
            if self.last.status != 0 {
                return Err(InitiatorError::Refused(self.last.status));
            }
            self.request.exp_stat_sn = self.last.stat_sn.wrapping_add(1);
            match gather.take(&pdu.data, self.last.more)? {
                Some(text) => return Ok(text),
                None => self.send(transit, Bytes::new()).await?,
            }
        }
    }

    async fn send(&mut self, transit: bool, text: Bytes) -> Result<(), InitiatorError> {
        let mut request = LoginRequest { transit, ..self.request };
        if !transit {
            request.nsg = 0;
        }
        let mut outbox = Outbox::default();
        outbox.push(request.write(), &[], &[text]);
        Ok(outbox.flush(&mut self.writer).await?)
    }

    async fn receive(&mut self) -> Result<Pdu, InitiatorError> {
        loop {
            let next = self.decoder.next(|_, _| Ok::<_, WireError>(BytesMut::new()));
            if let Some(pdu) = next.map_err(|_| InitiatorError::Protocol("no PDU"))? {
                return Ok(pdu);
            }
            if self.decoder.fill(&mut self.reader).await? == 0 {
                return Err(InitiatorError::Lost);
            }
        }
    }
}
