//! The remote instances of HORCM_INST, and the way of a request to the one that holds the other
//! side of a group.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex as StdMutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use confparse::{Host, Service};
use model::{CciError, Code};
use protocol::{
    CallError, Caller, Key, Kind, RequestId, Strangers, codec,
    horcm::{Answer, Reply, Request},
    login::Login,
};
use tokio::sync::Mutex;

use crate::{catalog::Group, hosts, room, services};

/// Every address of HORCM_INST, each once.
#[derive(Debug)]
pub struct Peers {
    peers: Vec<Peer>,
    key: Key,
    strangers: Strangers,
    timeout: Duration,
    /// Process id and host of this daemon: a peer that says the same is no peer.
    own: (u32, String),
}

/// One address of a remote instance.
#[derive(Debug)]
pub struct Peer {
    host: Host,
    service: Service,
    caller: Mutex<Option<Caller>>,
    address: OnceLock<SocketAddr>,
    /// Why it did not answer last time; `None` when it did, or was not asked yet.
    lost: StdMutex<Option<String>>,
    is_self: AtomicBool,
}

/// Why a peer did not answer.
#[derive(Debug)]
enum PeerFault {
    Address(String),
    Call(CallError),
    OtherKey(String),
    Malformed,
    Itself,
}

impl fmt::Display for PeerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(reason) | Self::OtherKey(reason) => f.write_str(reason),
            Self::Call(CallError::Refused) => f.write_str("refused: no HORCM runs there"),
            Self::Call(CallError::Silent) => f.write_str("silent: no answer within the timeout"),
            Self::Call(other) => other.fmt(f),
            Self::Malformed => f.write_str("its answer is not understood: another version?"),
            Self::Itself => f.write_str("it leads back to this very instance"),
        }
    }
}

impl Peer {
    /// The instance at that host and service.
    #[must_use]
    pub fn new(host: Host, service: Service) -> Self {
        Self {
            host,
            service,
            caller: Mutex::new(None),
            address: OnceLock::new(),
            lost: StdMutex::new(None),
            is_self: AtomicBool::new(false),
        }
    }

    /// Whether this is the peer of that row of HORCM_INST.
    #[must_use]
    pub fn is(&self, host: &Host, service: &Service) -> bool {
        self.host == *host && self.service == *service
    }

    /// The host as the configuration spells it.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Its UDP port; 0 when its service name is unknown here.
    #[must_use]
    pub fn port(&self) -> u16 {
        services::port(&self.service).unwrap_or_default()
    }

    async fn caller(&self, key: &Key) -> Result<Caller, PeerFault> {
        let mut slot = self.caller.lock().await;
        if let Some(caller) = &*slot {
            return Ok(caller.clone());
        }
        let port = services::port(&self.service).map_err(PeerFault::Address)?;
        let address = hosts::first(&self.host, port).await.map_err(PeerFault::Address)?;
        let caller = Caller::connect(address, key.clone()).await;
        let caller =
            caller.map_err(|e| PeerFault::Address(format!("no socket towards {address}: {e}")))?;
        let _ = self.address.set(address);
        *slot = Some(caller.clone());
        Ok(caller)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} service {}", self.host, self.service)
    }
}

impl Peers {
    /// The peers of a configuration. `strangers` tells who sends datagrams under another key;
    /// `timeout` bounds a peer's silence; `host` is this host's name.
    #[must_use]
    pub fn new(
        peers: Vec<Peer>,
        key: Key,
        strangers: Strangers,
        timeout: Duration,
        host: String,
    ) -> Self {
        Self { peers, key, strangers, timeout, own: (std::process::id(), host) }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Peer] {
        &self.peers
    }

    /// The address in use for a group.
    ///
    /// # Errors
    /// EX_ENORMT when the group has none.
    pub fn of(&self, group: &Group) -> Result<&Peer, CciError> {
        let peer = group.remote().and_then(|number| self.peers.get(number as usize));
        peer.ok_or_else(|| {
            CciError::new(Code::ExEnormt)
                .object(group.name.to_string())
                .cause("HORCM_INST has no line for this group")
                .advice("add the remote instance's address to HORCM_INST")
        })
    }

    /// How many bytes an answer of the group's peer may have.
    #[must_use]
    pub fn room(&self, group: &Group) -> usize {
        let numbers = group.remotes.iter();
        let peers = numbers.filter_map(|number| self.peers.get(*number as usize));
        let rooms = peers.map(|peer| room::towards(peer.address.get().map(SocketAddr::ip)));
        rooms.min().unwrap_or(room::NETWORK)
    }

    /// Changes a group to its next remote address.
    ///
    /// # Errors
    /// EX_ENORMT when the group has none.
    pub fn rotate(&self, group: &Group) -> Result<&Peer, CciError> {
        let count = u32::try_from(group.remotes.len()).unwrap_or(u32::MAX).max(1);
        let next = (group.remote_in_use.load(Ordering::Relaxed) + 1) % count;
        group.remote_in_use.store(next, Ordering::Relaxed);
        self.of(group)
    }

    /// Asks the instance that holds the other side of a group; its addresses are alternates.
    /// Only questions go to peers, so asking again changes nothing. The peer asks its storage
    /// systems for the user of these logins.
    ///
    /// # Errors
    /// What the peer refuses; EX_ENORMT with the reason of each address when none answers.
    pub async fn ask(&self, group: &Group, logins: &[Login], request: &Request) -> Answer {
        self.of(group)?;
        let count = group.remotes.len();
        let first = group.remote_in_use.load(Ordering::Relaxed) as usize;
        let mut faults = Vec::new();
        for step in 0..count {
            let index = (first + step) % count;
            let Some(peer) = self.peers.get(group.remotes[index] as usize) else {
                continue;
            };
            match self.call(peer, logins, request).await {
                Ok(answer) => {
                    if step > 0 {
                        let index = u32::try_from(index).unwrap_or_default();
                        group.remote_in_use.store(index, Ordering::Relaxed);
                        log::warn!("{}: remote address changed to {peer}", group.name);
                    }
                    return answer;
                }
                Err(fault) => faults.push(format!("{peer}: {fault}")),
            }
        }
        Err(CciError::new(Code::ExEnormt)
            .object(group.name.to_string())
            .cause(faults.join("; "))
            .advice("start the remote instance, check HORCM_INST and the key"))
    }

    /// Asks every peer whether it is there, all at once, and logs who was lost or came back.
    pub async fn ping_all(self: &Arc<Self>) {
        let mut asked = tokio::task::JoinSet::new();
        for index in 0..self.peers.len() {
            let peers = self.clone();
            asked.spawn(async move {
                let Some(peer) = peers.peers.get(index) else {
                    return;
                };
                if let Ok(Ok(Reply::Alive { pid, host, .. })) =
                    peers.call(peer, &[], &Request::Ping).await
                    && (pid, host) == peers.own
                    && !peer.is_self.swap(true, Ordering::Relaxed)
                {
                    log::error!("HORCM_INST names {peer}, which is this very instance");
                }
            });
        }
        while asked.join_next().await.is_some() {}
    }

    async fn call(
        &self,
        peer: &Peer,
        logins: &[Login],
        request: &Request,
    ) -> Result<Answer, PeerFault> {
        let answer = self.call_once(peer, logins, request).await;
        let reason = answer.as_ref().err().map(ToString::to_string);
        let mut lost = peer.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if *lost != reason {
            match &reason {
                Some(reason) => log::warn!("remote instance at {peer} does not answer: {reason}"),
                None => log::info!("remote instance at {peer} answers"),
            }
            *lost = reason;
        }
        drop(lost);
        answer
    }

    async fn call_once(
        &self,
        peer: &Peer,
        logins: &[Login],
        request: &Request,
    ) -> Result<Answer, PeerFault> {
        if peer.is_self.load(Ordering::Relaxed) {
            return Err(PeerFault::Itself);
        }
        let caller = peer.caller(&self.key).await?;
        let id = RequestId::random();
        let body = codec::encode(&(logins, request));
        match caller.call(id, Kind::Read, body, self.timeout).await {
            Ok(bytes) => codec::decode(&bytes).map_err(|_| PeerFault::Malformed),
            Err(CallError::Silent) => Err(self.why_silent(&caller)),
            Err(CallError::Refused) => {
                // The next question gets a socket of its own: nobody listens, so no session is
                // lost, and on Windows a socket that was told so may hear nothing any more.
                *peer.caller.lock().await = None;
                Err(PeerFault::Call(CallError::Refused))
            }
            Err(error) => Err(PeerFault::Call(error)),
        }
    }

    /// A peer with another key does not answer, and its own questions do not open here: that they
    /// came is the trace it leaves.
    fn why_silent(&self, caller: &Caller) -> PeerFault {
        match self.strangers.seen(caller.remote().ip()) {
            Some(theirs) => PeerFault::OtherKey(format!(
                "silent: that host seals with another key (key id {theirs}, ours {}); \
                 give both hosts the same horcm.key",
                self.key.id()
            )),
            None => PeerFault::Call(CallError::Silent),
        }
    }
}
