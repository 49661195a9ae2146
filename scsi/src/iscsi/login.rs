//! The target's side of login (RFC 7143, 6.3 and 11.12), as a function from requests to responses.
//!
//! The first request says who wants what. In the security stage the initiator shows who it is, in
//! the operational stage the keys of [`super::keys`] are negotiated; either may be left out where
//! nothing is asked. What goes wrong ends the login with a [`Status`].

use std::sync::Arc;

use super::{
    chap::{Denied, Verifier},
    directory::{Admission, Directory, Refusal, Scope},
    keys::{Negotiation, OWN_SEGMENT, Parameters},
    name,
    pdu::{LoginRequest, LoginResponse},
    text::{Gather, Text, TextError},
};
use crate::nexus::InitiatorPort;

/// The most requests of one login.
const MOST_REQUESTS: u32 = 64;

/// Why a login is refused: class above, detail below (RFC 7143, 11.13.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[repr(u16)]
pub enum Status {
    /// Something the initiator did, with no code of its own.
    #[error("the initiator is in error")]
    InitiatorError = 0x0200,
    /// It did not show who it is.
    #[error("authentication failed")]
    Authentication = 0x0201,
    /// It may not use the target.
    #[error("it is forbidden")]
    Forbidden = 0x0202,
    /// There is no such target.
    #[error("there is no such target")]
    NotFound = 0x0203,
    /// No version in common.
    #[error("no version in common")]
    Version = 0x0205,
    /// A session has one connection.
    #[error("too many connections")]
    TooManyConnections = 0x0206,
    /// A key is missing.
    #[error("a key is missing")]
    Missing = 0x0207,
    /// There is no such type of session.
    #[error("there is no such type of session")]
    SessionType = 0x0209,
    /// There is no such session.
    #[error("there is no such session")]
    NoSession = 0x020a,
    /// A request that should not come now.
    #[error("the request is invalid")]
    Invalid = 0x020b,
    /// The target is in error.
    #[error("the target is in error")]
    TargetError = 0x0300,
    /// It is not available now.
    #[error("the target is not available")]
    Unavailable = 0x0301,
    /// Too many sessions.
    #[error("out of resources")]
    OutOfResources = 0x0302,
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::Forbidden => Self::Forbidden,
            Refusal::Unavailable => Self::Unavailable,
        }
    }
}

impl From<TextError> for Status {
    fn from(_: TextError) -> Self {
        Self::InitiatorError
    }
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        if denied == Denied::NoRandom { Self::TargetError } else { Self::Authentication }
    }
}

/// A login that succeeded.
pub struct Established<S> {
    /// Who.
    pub initiator: InitiatorPort,
    /// The target; `None` for a discovery session.
    pub admission: Option<Admission<S>>,
    /// With which parameters.
    pub parameters: Parameters,
    /// The longest data segment that the initiator was told to send, in bytes.
    pub own_segment: u32,
    /// Its connection.
    pub cid: u16,
    /// The command number that comes first.
    pub cmd_sn: u32,
}

/// What a request leads to. Numbers and TSIH are not in the responses yet.
pub enum Step<S> {
    /// The login goes on.
    Reply(LoginResponse, Vec<u8>),
    /// It has failed; the connection ends.
    Refuse(LoginResponse, Status),
    /// It has succeeded, unless there are too many sessions.
    Finish(LoginResponse, Vec<u8>, Box<Established<S>>),
}

/// What must not change from one request to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fixed {
    isid: [u8; 6],
    tsih: u16,
    itt: u32,
    cid: u16,
}

/// Who wants what, from the first request.
struct Purpose<S> {
    initiator: String,
    admission: Option<Admission<S>>,
    /// What the initiator still has to show.
    verifier: Option<Verifier>,
    method_agreed: bool,
    negotiation: Negotiation,
    declared: bool,
}

/// A login on its way.
pub struct Login<D: Directory> {
    directory: Arc<D>,
    wishes: Parameters,
    fixed: Option<Fixed>,
    cmd_sn: u32,
    stage: u8,
    requests: u32,
    gather: Gather,
    purpose: Option<Purpose<D::Service>>,
}

const SECURITY: u8 = 0;
const OPERATIONAL: u8 = 1;
const FULL: u8 = 3;

impl<D: Directory> Login<D> {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(directory: Arc<D>, wishes: Parameters) -> Self {
        let gather = Gather::default();
        let (fixed, purpose) = (None, None);
        Self { directory, wishes, fixed, cmd_sn: 0, stage: 0, requests: 0, gather, purpose }
    }

    /// Takes a request with its text.
    pub fn step(&mut self, request: &LoginRequest, data: &[u8]) -> Step<D::Service> {
        let mut response = LoginResponse {
            csg: request.csg,
            isid: request.isid,
            tsih: request.tsih,
            itt: request.itt,
            ..LoginResponse::default()
        };
        match self.take(request, data, &mut response) {
            Err(status) => {
                let response =
                    LoginResponse { transit: false, nsg: 0, status: status as u16, ..response };
                Step::Refuse(response, status)
            }
            Ok(answer) => {
                let answer = answer.encode();
                if !(response.transit && response.nsg == FULL) {
                    return Step::Reply(response, answer);
                }
                match self.established(request) {
                    Some(established) => Step::Finish(response, answer, Box::new(established)),
                    None => Step::Refuse(response, Status::Invalid),
                }
            }
        }
    }

    fn take(
        &mut self,
        request: &LoginRequest,
        data: &[u8],
        response: &mut LoginResponse,
    ) -> Result<Text, Status> {
        let LoginRequest { isid, tsih, itt, cid, .. } = *request;
        let fixed = Fixed { isid, tsih, itt, cid };
        if self.fixed.is_none() {
            if request.version_min > 0 {
                return Err(Status::Version);
            }
            self.cmd_sn = request.cmd_sn;
            self.stage = request.csg;
        }
        self.requests += 1;
        let legal = *self.fixed.get_or_insert(fixed) == fixed
            && request.csg == self.stage
            && matches!(request.csg, SECURITY | OPERATIONAL)
            && !(request.transit && request.more)
            && (!request.transit || request.nsg > request.csg && request.nsg != 2)
            && self.requests <= MOST_REQUESTS;
        if !legal {
            return Err(Status::Invalid);
        }
        let Some(text) = self.gather.take(data, request.more)? else {
            return Ok(Text::default());
        };
        let mut answer = Text::default();
        if self.purpose.is_none() {
            let purpose = self.identify(&text)?;
            if let Some(admission) = &purpose.admission {
                answer.push("TargetPortalGroupTag", admission.port.portal_group.to_string());
            }
            self.purpose = Some(purpose);
        } else if ["InitiatorName", "TargetName", "SessionType"]
            .iter()
            .any(|key| text.get(key).is_some())
        {
            return Err(Status::InitiatorError);
        }
        let purpose = self.purpose.as_mut().ok_or(Status::Invalid)?;
        if self.stage == SECURITY {
            purpose.secure(&text, &mut answer)?;
        } else {
            purpose.negotiate(&text, &mut answer)?;
        }
        if request.transit && purpose.verified() {
            response.transit = true;
            response.nsg = request.nsg;
            self.stage = request.nsg;
        }
        Ok(answer)
    }

    /// Reads the first text.
    fn identify(&self, text: &Text) -> Result<Purpose<D::Service>, Status> {
        let named = |key| match text.get(key) {
            None => Err(Status::Missing),
            Some(value) => Ok(name::normal(value)),
        };
        let initiator = named("InitiatorName")?.ok_or(Status::InitiatorError)?;
        let discovery = match text.get("SessionType") {
            None | Some("Normal") => false,
            Some("Discovery") => true,
            Some(_) => return Err(Status::SessionType),
        };
        let (admission, authentication) = if discovery {
            (None, self.directory.authentication(Scope::Discovery, &initiator))
        } else {
            let target = named("TargetName")?.ok_or(Status::NotFound)?;
            let admission = self.directory.admit(&target, &initiator)?;
            let scope = Scope::Target(&target);
            (Some(admission), self.directory.authentication(scope, &initiator))
        };
        let verifier = Verifier::new(authentication);
        if self.stage == OPERATIONAL && verifier.is_some() {
            return Err(Status::Authentication);
        }
        let negotiation = Negotiation::new(self.wishes, discovery);
        let (method_agreed, declared) = (false, false);
        Ok(Purpose { initiator, admission, verifier, method_agreed, negotiation, declared })
    }

    fn established(&mut self, request: &LoginRequest) -> Option<Established<D::Service>> {
        let purpose = self.purpose.take()?;
        let [a, b, c, d, e, f] = request.isid;
        let isid = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let own_segment = if purpose.declared { OWN_SEGMENT } else { super::keys::DEFAULT_SEGMENT };
        Some(Established {
            initiator: InitiatorPort { name: purpose.initiator, isid },
            admission: purpose.admission,
            parameters: purpose.negotiation.result(),
            own_segment,
            cid: request.cid,
            cmd_sn: self.cmd_sn,
        })
    }
}

impl<S> Purpose<S> {
    fn verified(&self) -> bool {
        self.verifier.as_ref().is_none_or(Verifier::done)
    }

    fn secure(&mut self, text: &Text, answer: &mut Text) -> Result<(), Status> {
        if let Some(methods) = text.get("AuthMethod") {
            if self.method_agreed {
                return Err(Status::InitiatorError);
            }
            let wanted = if self.verifier.is_some() { "CHAP" } else { "None" };
            if !methods.split(',').any(|method| method == wanted) {
                return Err(Status::Authentication);
            }
            self.method_agreed = true;
            answer.push("AuthMethod", wanted);
        }
        match &mut self.verifier {
            Some(_) if !self.method_agreed => return Err(Status::Authentication),
            Some(verifier) if text.pairs().any(|(key, _)| key.starts_with("CHAP_")) => {
                for (key, value) in verifier.step(text)?.pairs() {
                    answer.push(key, value);
                }
            }
            // Asked for CHAP, it has to go on with CHAP.
            Some(verifier) if text.get("AuthMethod").is_none() && !verifier.done() => {
                return Err(Status::Missing);
            }
            _ => {}
        }
        for (key, value) in text.pairs() {
            // Operational keys in the security stage are the standard's mistake to make.
            if key != "AuthMethod" && !key.starts_with("CHAP_") {
                self.offer(key, value, answer)?;
            }
        }
        Ok(())
    }

    fn negotiate(&mut self, text: &Text, answer: &mut Text) -> Result<(), Status> {
        for (key, value) in text.pairs() {
            if key == "AuthMethod" || key.starts_with("CHAP_") {
                return Err(Status::InitiatorError);
            }
            self.offer(key, value, answer)?;
        }
        if !self.declared {
            answer.push("MaxRecvDataSegmentLength", OWN_SEGMENT.to_string());
            self.declared = true;
        }
        Ok(())
    }

    fn offer(&mut self, key: &str, value: &str, answer: &mut Text) -> Result<(), Status> {
        let reply = self.negotiation.offer(key, value).map_err(|_| Status::InitiatorError)?;
        if let Some(reply) = reply {
            answer.push(key, reply);
        }
        Ok(())
    }
}
