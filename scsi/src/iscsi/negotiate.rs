//! Text in the full feature phase (RFC 7143, 11.10 and 11.11): SendTargets, and the few keys that
//! may change.

use bytes::Bytes;

use super::{
    connection::{Connection, Trouble},
    directory::Directory,
    keys::{Negotiation, number},
    name,
    pdu::{NO_TAG, Reason, TextRequest, TextResponse},
    text::{Gather, Text},
    wire::Pdu,
};

/// Text on its way.
#[derive(Default)]
pub(super) struct TextState {
    gather: Gather,
    /// The rest of an answer, and the tag under which the initiator asks for it.
    rest: Option<(u32, Bytes)>,
}

impl<D: Directory> Connection<'_, D> {
    pub(super) fn text(&mut self, header: &TextRequest, pdu: &Pdu) -> Result<(), Trouble> {
        let protocol = || Trouble::Reject(Reason::Protocol, pdu.bhs);
        if !self.comes(header.immediate, header.cmd_sn, &pdu.bhs)? {
            return Ok(());
        }
        if header.itt == NO_TAG || header.last && header.more {
            return Err(protocol());
        }
        if let Some((tag, rest)) = self.text.rest.take()
            && header.ttt == tag
            && !rest.is_empty()
        {
            self.text_part(header, rest);
            return Ok(());
        }
        if header.ttt == NO_TAG {
            // A new one; what there was of another is forgotten.
            self.text.gather = Gather::default();
        }
        let gathered = self.text.gather.take(&pdu.data, header.more);
        match gathered.map_err(|_| protocol())? {
            None => self.text_part(header, Bytes::new()),
            Some(text) => match self.text_answer(&text) {
                Some(answer) => self.text_part(header, answer.encode().into()),
                None => self.reject(Reason::Protocol, &pdu.bhs),
            },
        }
        Ok(())
    }

    /// Sends as much of a text as fits, and keeps the rest.
    fn text_part(&mut self, header: &TextRequest, mut text: Bytes) {
        let part = text.split_to(text.len().min(self.parameters.peer_segment as usize));
        let more = !text.is_empty();
        let last = header.last && !more;
        let ttt = if last { NO_TAG } else { self.next_tag() };
        let (lun, itt) = (header.lun, header.itt);
        self.text.rest = (!last).then_some((ttt, text));
        let response = TextResponse { last, more, lun, itt, ttt, ..TextResponse::default() };
        self.send(response.write(), &[part], true);
    }

    /// `None` for a text that is refused as a whole.
    fn text_answer(&mut self, text: &Text) -> Option<Text> {
        let mut answer = Text::default();
        for (key, value) in text.pairs() {
            match key {
                "SendTargets" => self.send_targets(value, &mut answer)?,
                // The one operational key that may change (RFC 7143, 13.12).
                "MaxRecvDataSegmentLength" => match number(value, 512, (1 << 24) - 1) {
                    Some(segment) => self.parameters.peer_segment = segment,
                    None => answer.push(key, "Reject"),
                },
                "InitiatorAlias" => {}
                // Of all others the answer matters only in that it is none that is unknown.
                _ => {
                    let mut known = Negotiation::new(self.parameters, false);
                    let unknown = known.offer(key, value) == Ok(Some("NotUnderstood".to_owned()));
                    answer.push(key, if unknown { "NotUnderstood" } else { "Reject" });
                }
            }
        }
        Some(answer)
    }

    fn send_targets(&self, value: &str, answer: &mut Text) -> Option<()> {
        let wanted = match (value, &self.bound) {
            ("All", None) => None,
            // All is for discovery, and none for the target that one is logged in to.
            ("All", Some(_)) | ("", None) => return None,
            ("", Some(bound)) => Some(bound.target.name.clone()),
            (name, _) => Some(name::normal(name)?),
        };
        for target in self.directory.targets(&self.initiator.name) {
            if wanted.as_ref().is_none_or(|wanted| *wanted == target.name) {
                let address = format!("{},{}", self.local, target.portal_group);
                answer.push("TargetName", target.name);
                answer.push("TargetAddress", address);
            }
        }
        Some(())
    }
}
