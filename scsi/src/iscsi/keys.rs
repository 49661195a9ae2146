//! What the operational keys mean (RFC 7143, 13): their ranges, and how a value comes about.

use super::text::Text;

/// The longest data segment that this side takes, in bytes.
pub const OWN_SEGMENT: u32 = 256 << 10;
/// The longest data segment where nothing else was declared, in bytes.
pub const DEFAULT_SEGMENT: u32 = 8192;

/// What a session has agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// HeaderDigest is CRC32C.
    pub header_digest: bool,
    /// DataDigest is CRC32C.
    pub data_digest: bool,
    /// No unsolicited Data-Out.
    pub initial_r2t: bool,
    /// Data in the PDU of its command is allowed.
    pub immediate_data: bool,
    /// The most data of a sequence, in bytes.
    pub max_burst: u32,
    /// The most unsolicited data of a command, immediate data included, in bytes.
    pub first_burst: u32,
    /// How many R2Ts of a command may be outstanding.
    pub max_outstanding_r2t: u32,
    /// The longest data segment that the peer takes, in bytes.
    pub peer_segment: u32,
    /// DefaultTime2Wait, in seconds.
    pub time2wait: u32,
    /// DefaultTime2Retain, in seconds.
    pub time2retain: u32,
    /// iSCSIProtocolLevel (RFC 7144).
    pub protocol_level: u32,
}

impl Default for Parameters {
    /// What holds where a key was not negotiated.
    fn default() -> Self {
        Self {
            header_digest: false,
            data_digest: false,
            initial_r2t: true,
            immediate_data: true,
            max_burst: 256 << 10,
            first_burst: 64 << 10,
            max_outstanding_r2t: 1,
            peer_segment: DEFAULT_SEGMENT,
            time2wait: 2,
            time2retain: 20,
            protocol_level: 1,
        }
    }
}

impl Parameters {
    /// What this side wishes for; results are the weaker of both wishes.
    #[must_use]
    pub fn wishes() -> Self {
        Self {
            header_digest: true,
            data_digest: true,
            initial_r2t: false,
            max_burst: 1 << 20,
            max_outstanding_r2t: 8,
            time2retain: 0,
            ..Self::default()
        }
    }
}

/// How the value of a key comes about.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// A list, of which the first is taken that both know.
    Digest(fn(&mut Parameters) -> &mut bool),
    /// Yes if both say so.
    And(fn(&mut Parameters) -> &mut bool),
    /// Yes if one says so.
    Or(fn(&mut Parameters) -> &mut bool),
    /// The lesser.
    Least(u32, u32, fn(&mut Parameters) -> &mut u32),
    /// The greater.
    Most(u32, u32, fn(&mut Parameters) -> &mut u32),
    /// Each side's own; not answered.
    Declared(u32, u32, fn(&mut Parameters) -> &mut u32),
    /// Always this number, the lesser of all.
    Always(u32, u32, u32),
    /// Always Yes, by Or.
    Yes,
    /// Names that say who, not how.
    Word,
    /// Of RFC 3720, to be rejected (13.25).
    Gone,
}

const SEGMENT: u32 = (1 << 24) - 1;

/// Each key, and whether it means something in a discovery session.
const KEYS: &[(&str, bool, Rule)] = &[
    ("HeaderDigest", true, Rule::Digest(|p| &mut p.header_digest)),
    ("DataDigest", true, Rule::Digest(|p| &mut p.data_digest)),
    ("MaxConnections", false, Rule::Always(1, 65535, 1)),
    ("InitialR2T", false, Rule::Or(|p| &mut p.initial_r2t)),
    ("ImmediateData", false, Rule::And(|p| &mut p.immediate_data)),
    ("MaxRecvDataSegmentLength", true, Rule::Declared(512, SEGMENT, |p| &mut p.peer_segment)),
    ("MaxBurstLength", false, Rule::Least(512, SEGMENT, |p| &mut p.max_burst)),
    ("FirstBurstLength", false, Rule::Least(512, SEGMENT, |p| &mut p.first_burst)),
    ("DefaultTime2Wait", true, Rule::Most(0, 3600, |p| &mut p.time2wait)),
    ("DefaultTime2Retain", true, Rule::Least(0, 3600, |p| &mut p.time2retain)),
    ("MaxOutstandingR2T", false, Rule::Least(1, 65535, |p| &mut p.max_outstanding_r2t)),
    ("DataPDUInOrder", false, Rule::Yes),
    ("DataSequenceInOrder", false, Rule::Yes),
    ("ErrorRecoveryLevel", true, Rule::Always(0, 2, 0)),
    ("iSCSIProtocolLevel", true, Rule::Least(0, 31, |p| &mut p.protocol_level)),
    ("InitiatorName", true, Rule::Word),
    ("InitiatorAlias", true, Rule::Word),
    ("TargetName", true, Rule::Word),
    ("TargetAlias", true, Rule::Word),
    ("TargetAddress", true, Rule::Word),
    ("TargetPortalGroupTag", true, Rule::Word),
    ("SessionType", true, Rule::Word),
    ("IFMarker", true, Rule::Gone),
    ("OFMarker", true, Rule::Gone),
    ("IFMarkInt", true, Rule::Gone),
    ("OFMarkInt", true, Rule::Gone),
];

/// A value that its key cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot have that value")]
pub struct BadValue(pub String);

/// A negotiation of operational keys. Every key is taken once.
#[derive(Debug, Clone)]
pub struct Negotiation {
    /// What holds so far.
    pub parameters: Parameters,
    wishes: Parameters,
    discovery: bool,
    seen: Vec<&'static str>,
}

impl Negotiation {
    /// Nothing is negotiated yet.
    #[must_use]
    pub fn new(wishes: Parameters, discovery: bool) -> Self {
        Self { parameters: Parameters::default(), wishes, discovery, seen: Vec::new() }
    }

    /// As the responder: takes an offer, and answers it. A value out of range is answered
    /// `Reject`, and what held goes on holding. `None` where there is nothing to say.
    ///
    /// # Errors
    /// [`BadValue`] for a key that was negotiated already.
    pub fn offer(&mut self, key: &str, value: &str) -> Result<Option<String>, BadValue> {
        let Some((name, discovery, rule)) = KEYS.iter().find(|(name, ..)| *name == key) else {
            return Ok(Some("NotUnderstood".to_owned()));
        };
        if self.seen.contains(name) {
            return Err(BadValue(key.to_owned()));
        }
        self.seen.push(name);
        if self.discovery && !discovery {
            return Ok(Some("Irrelevant".to_owned()));
        }
        Ok(self.judge(rule, value))
    }

    fn judge(&mut self, rule: &Rule, value: &str) -> Option<String> {
        let (wishes, holds) = (&mut self.wishes, &mut self.parameters);
        let reject = || Some("Reject".to_owned());
        let word = |yes: bool| Some(if yes { "Yes" } else { "No" }.to_owned());
        match *rule {
            Rule::Digest(field) => {
                let known = |word: &&str| *word == "None" || *word == "CRC32C" && *field(wishes);
                let Some(choice) = value.split(',').find(known) else { return reject() };
                *field(holds) = choice == "CRC32C";
                Some(choice.to_owned())
            }
            Rule::And(field) => {
                let Some(offer) = boolean(value) else { return reject() };
                *field(holds) = offer && *field(wishes);
                word(*field(holds))
            }
            Rule::Or(field) => {
                let Some(offer) = boolean(value) else { return reject() };
                *field(holds) = offer || *field(wishes);
                word(*field(holds))
            }
            Rule::Least(from, to, field) => {
                let Some(offer) = number(value, from, to) else { return reject() };
                *field(holds) = offer.min(*field(wishes));
                Some(field(holds).to_string())
            }
            Rule::Most(from, to, field) => {
                let Some(offer) = number(value, from, to) else { return reject() };
                *field(holds) = offer.max(*field(wishes));
                Some(field(holds).to_string())
            }
            Rule::Declared(from, to, field) => {
                let Some(offer) = number(value, from, to) else { return reject() };
                *field(holds) = offer;
                None
            }
            Rule::Always(from, to, only) => {
                number(value, from, to).map_or_else(reject, |_| Some(only.to_string()))
            }
            Rule::Yes => boolean(value).map_or_else(reject, |_| word(true)),
            Rule::Word => None,
            Rule::Gone => reject(),
        }
    }

    /// As the initiator: what to offer.
    #[must_use]
    pub fn offers(&self) -> Text {
        let (mut wishes, mut text) = (self.wishes, Text::default());
        for (key, discovery, rule) in KEYS {
            if self.discovery && !discovery {
                continue;
            }
            let value = match *rule {
                Rule::Digest(field) => {
                    if *field(&mut wishes) { "CRC32C,None" } else { "None" }.into()
                }
                Rule::And(field) | Rule::Or(field) => {
                    if *field(&mut wishes) { "Yes" } else { "No" }.to_owned()
                }
                Rule::Least(_, _, field) | Rule::Most(_, _, field) => {
                    field(&mut wishes).to_string()
                }
                Rule::Declared(..) => OWN_SEGMENT.to_string(),
                Rule::Always(_, _, only) => only.to_string(),
                Rule::Yes => "Yes".to_owned(),
                Rule::Word | Rule::Gone => continue,
            };
            text.push(key, value);
        }
        text
    }

    /// As the initiator: takes the answer to an offer.
    ///
    /// # Errors
    /// [`BadValue`] for an answer that does not follow from the offer.
    pub fn settle(&mut self, key: &str, value: &str) -> Result<(), BadValue> {
        let bad = || BadValue(key.to_owned());
        if matches!(value, "Irrelevant" | "NotUnderstood" | "Reject") {
            return Ok(());
        }
        let Some((_, _, rule)) = KEYS.iter().find(|(name, ..)| *name == key) else {
            return Ok(());
        };
        if matches!(rule, Rule::Declared(..) | Rule::Word) {
            self.judge(rule, value);
            return Ok(());
        }
        // The answer must be what this side makes of it too.
        let own = self.judge(rule, value);
        if own.as_deref() == Some(value) { Ok(()) } else { Err(bad()) }
    }

    /// The result, where what was not said is as the standard has it.
    #[must_use]
    pub fn result(&self) -> Parameters {
        let mut result = self.parameters;
        result.first_burst = result.first_burst.min(result.max_burst);
        result
    }
}

fn boolean(value: &str) -> Option<bool> {
    match value {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}

/// A number in decimal or hexadecimal.
pub(crate) fn number(value: &str, from: u32, to: u32) -> Option<u32> {
    let number = match value.strip_prefix("0x").or_else(|| value.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u32::from_str_radix(hex, 16).ok()?
        }
        None if value.bytes().all(|byte| byte.is_ascii_digit()) => value.parse().ok()?,
        _ => return None,
    };
    (from..=to).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_answered_as_the_table_of_keys_says() {
        for (key, value, answer) in [
            ("HeaderDigest", "CRC32C,None", Some("CRC32C")),
            ("HeaderDigest", "None,CRC32C", Some("None")),
            ("DataDigest", "X-other,CRC32C", Some("CRC32C")),
            ("DataDigest", "X-other", Some("Reject")),
            ("MaxConnections", "8", Some("1")),
            ("MaxConnections", "0", Some("Reject")),
            ("InitialR2T", "No", Some("No")),
            ("InitialR2T", "Yes", Some("Yes")),
            ("InitialR2T", "yes", Some("Reject")),
            ("ImmediateData", "Yes", Some("Yes")),
            ("ImmediateData", "No", Some("No")),
            ("MaxRecvDataSegmentLength", "65536", None),
            ("MaxRecvDataSegmentLength", "511", Some("Reject")),
            ("MaxBurstLength", "16776192", Some("1048576")),
            ("MaxBurstLength", "0x2000", Some("8192")),
            ("FirstBurstLength", "262144", Some("65536")),
            ("FirstBurstLength", "16777216", Some("Reject")),
            ("DefaultTime2Wait", "0", Some("2")),
            ("DefaultTime2Wait", "3601", Some("Reject")),
            ("DefaultTime2Retain", "20", Some("0")),
            ("MaxOutstandingR2T", "1", Some("1")),
            ("MaxOutstandingR2T", "100", Some("8")),
            ("MaxOutstandingR2T", "-1", Some("Reject")),
            ("DataPDUInOrder", "No", Some("Yes")),
            ("DataSequenceInOrder", "Yes", Some("Yes")),
            ("ErrorRecoveryLevel", "2", Some("0")),
            ("ErrorRecoveryLevel", "3", Some("Reject")),
            ("iSCSIProtocolLevel", "2", Some("1")),
            ("InitiatorAlias", "host", None),
            ("IFMarker", "No", Some("Reject")),
            ("X-com.example.key", "1", Some("NotUnderstood")),
        ] {
            let mut negotiation = Negotiation::new(Parameters::wishes(), false);
            let got = negotiation.offer(key, value).unwrap();
            assert_eq!(got.as_deref(), answer, "{key}={value}");
        }
    }

    #[test]
    fn a_key_is_taken_once_and_some_are_irrelevant_to_discovery() {
        let mut negotiation = Negotiation::new(Parameters::wishes(), true);
        let irrelevant = negotiation.offer("MaxBurstLength", "8192").unwrap();
        assert_eq!(irrelevant.as_deref(), Some("Irrelevant"));
        assert_eq!(negotiation.offer("MaxRecvDataSegmentLength", "1024"), Ok(None));
        assert_eq!(negotiation.result().peer_segment, 1024);
        assert!(negotiation.offer("MaxRecvDataSegmentLength", "1024").is_err());
    }

    #[test]
    fn both_sides_come_to_the_same_result() {
        let wishes = Parameters { max_burst: 8192, data_digest: false, ..Parameters::wishes() };
        let mut initiator = Negotiation::new(wishes, false);
        let mut target = Negotiation::new(Parameters::wishes(), false);
        for (key, value) in initiator.offers().pairs() {
            if let Some(answer) = target.offer(key, value).unwrap() {
                initiator.settle(key, &answer).unwrap();
            }
        }
        initiator.settle("MaxRecvDataSegmentLength", &OWN_SEGMENT.to_string()).unwrap();
        assert_eq!(initiator.result(), target.result());
        let result = target.result();
        assert_eq!((result.first_burst, result.max_burst), (8192, 8192), "no more than a burst");
        assert!(initiator.settle("MaxBurstLength", "16384").is_err(), "more than was offered");
    }
}
