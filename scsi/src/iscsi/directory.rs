//! What a portal asks of whatever it offers.

use std::sync::Arc;

use crate::{nexus::TargetPort, service::Service};

/// A target that an initiator may know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its iSCSI name, in lower case.
    pub name: String,
    /// The tag of the portal group that it is reached by.
    pub portal_group: u16,
}

/// A target that an initiator may use.
pub struct Admission<S> {
    /// Its device servers.
    pub service: Arc<S>,
    /// Its port.
    pub port: TargetPort,
}

/// Why an initiator may not use a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such target, as far as this initiator is concerned.
    NotFound,
    /// It is not allowed to use it.
    Forbidden,
    /// Not now.
    Unavailable,
}

/// A user's name and secret (RFC 7143, 12.1.3).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `CHAP_N`.
    pub name: String,
    /// The secret: 12 bytes or more, where it can be chosen.
    pub secret: Vec<u8>,
}

impl std::fmt::Debug for Credentials {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the two sides of a CHAP prove to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What the initiator proves.
    pub initiator: Credentials,
    /// What the target proves, where the initiator asks. The secrets must differ.
    pub target: Option<Credentials>,
}

/// How an initiator shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// By its name alone.
    None,
    /// By CHAP, with any one of these accounts.
    Chap(Vec<Account>),
}

/// What somebody logs in to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// A discovery session.
    Discovery,
    /// A target, by its name in lower case.
    Target(&'a str),
}

/// What a portal offers. Names are iSCSI names in lower case.
pub trait Directory: Send + Sync + 'static {
    /// What is behind its targets.
    type Service: Service;

    /// The targets that an initiator finds by SendTargets.
    fn targets(&self, initiator: &str) -> Vec<Target>;

    /// The target of that name, for an initiator.
    ///
    /// # Errors
    /// A [`Refusal`].
    fn admit(&self, target: &str, initiator: &str) -> Result<Admission<Self::Service>, Refusal>;

    /// How an initiator has to show who it is.
    fn authentication(&self, scope: Scope<'_>, initiator: &str) -> Authentication;
}
