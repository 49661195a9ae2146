//! One request to its handler, and who may ask what.

use std::{net::IpAddr, sync::Arc};

use model::{CciError, Code};
use protocol::{
    Kind, RequestId, codec,
    horcm::{Answer, Asked, Reply, Request, Selection, Target},
};

use crate::{
    change, control, daemon::Daemon, finding, inventory, members, registration, sides::Details,
    summary, users,
};

/// A datagram's request as it arrived.
#[derive(Debug)]
pub struct Arrived {
    /// Its id, which goes along to the storage system.
    pub id: RequestId,
    /// What its sender says it does.
    pub kind: Kind,
    /// Its sender's host.
    pub from: IpAddr,
    /// How many bytes its answer may have.
    pub room: usize,
    /// The request, encoded.
    pub body: Vec<u8>,
}

/// Reads a request and checks that it may be carried out.
///
/// # Errors
/// EX_UNWCMD for a body that is no request of this version, EX_INVCMD for a change sent as a
/// question, EX_EACCES for what only commands of this host may ask.
pub fn admit(daemon: &Daemon, arrived: &Arrived) -> Result<Asked, CciError> {
    let (logins, request): Asked = codec::decode(&arrived.body).map_err(|_| {
        CciError::new(Code::ExUnwcmd)
            .cause("the request is none of this version's")
            .advice("run the same version of the commands and of horcmd")
    })?;
    if request.mutates() && arrived.kind == Kind::Read {
        return Err(CciError::new(Code::ExInvcmd)
            .cause("a change was sent as a question, which may be carried out twice"));
    }
    if !for_peers(&request) && !daemon.is_this_host(arrived.from) {
        return Err(CciError::new(Code::ExEacces)
            .object(arrived.from.to_string())
            .cause("only commands on this instance's own host may ask this")
            .advice("run the command there, or against an instance of your host"));
    }
    Ok((logins, request))
}

/// What remote instances ask of each other.
const fn for_peers(request: &Request) -> bool {
    matches!(request, Request::Ping | Request::Units | Request::Partners { .. })
}

/// Carries out a request.
///
/// # Errors
/// Those of the handlers.
pub async fn carry_out(
    daemon: &Arc<Daemon>,
    id: RequestId,
    room: usize,
    request: Request,
) -> Answer {
    match request {
        Request::Ping => Ok(Reply::Alive {
            instance: daemon.instance,
            pid: std::process::id(),
            host: daemon.host.clone(),
        }),
        Request::Shutdown => Ok(Reply::Done),
        Request::Units => inventory::units(daemon).await,
        Request::RemoteUnits(group) => inventory::remote_units(daemon, &group).await,
        Request::Groups { from } => inventory::groups(daemon, from, room),
        Request::Scan { serial, filter, devices, from } => {
            inventory::scan(daemon, serial, filter, devices, from, room).await
        }
        Request::Find { names, holders, from } => {
            finding::find(daemon, &names, holders, from, room).await
        }
        Request::Register { names } => registration::register(daemon, &names).await,
        Request::Sync { names, group, from } => {
            finding::sync(daemon, &names, group.as_ref(), from, room).await
        }
        Request::Members { selection, remote, guards, devices, from } => {
            let selection = finding::selection(daemon, selection).await?;
            let details = Details { guards, devices };
            members::members(daemon, &selection, remote, details, from, room).await
        }
        Request::Partners { group, mode, mirror, guards, devices, names } => {
            let selection = Selection {
                target: Target::Group { group: group.clone(), volume: None },
                mode,
                mirror,
            };
            let details = Details { guards, devices };
            members::partners(daemon, &group, &selection, details, &names).await
        }
        Request::Summary { selection, remote } => {
            let selection = finding::selection(daemon, selection).await?;
            summary::summary(daemon, &selection, remote, room).await
        }
        Request::Change { selection, change, primary, local_only } => {
            let selection = finding::selection(daemon, selection).await?;
            change::change(daemon, id, &selection, change, primary, local_only).await
        }
        Request::SetGuard { selection, guard, retention_days } => {
            let selection = finding::selection(daemon, selection).await?;
            change::set_guard(daemon, id, &selection, guard, retention_days).await
        }
        Request::Login { at, user, password } => users::login(daemon, id, at, user, password).await,
        Request::Logout { at } => users::logout(daemon, id, at).await,
        Request::Control(order) => control::control(daemon, order).await,
    }
}
