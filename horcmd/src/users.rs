//! `raidcom -login` and `-logout`: who gives orders to a storage system (ADR 010).

use std::sync::Arc;

use model::{CciError, Code};
use protocol::{
    RequestId,
    horcm::{Answer, Reply, Which},
    login::{Login, Password},
    orders::{self, Order},
};

use crate::{daemon::Daemon, units::Unit};

/// Answers `Login`.
///
/// # Errors
/// EX_ENOUNT for an unknown storage system, EX_ENAUTH, EX_CMDIOE.
pub async fn login(
    daemon: &Daemon,
    id: RequestId,
    at: Which,
    user: String,
    password: Password,
) -> Answer {
    let unit = unit(daemon, at)?;
    let reply = unit.order(id, &Order::Login { user, password }).await;
    match (reply.map_err(|refused| refused.error)?, unit.serial()) {
        (orders::Reply::LoggedIn(token), Some(serial)) => {
            Ok(Reply::LoggedIn(Login { serial, token }))
        }
        _ => Err(CciError::new(Code::ExCmdioe).object(unit.command_device())),
    }
}

/// Answers `Logout`: ends the session that came along.
///
/// # Errors
/// EX_ENOUNT for an unknown storage system, EX_CMDIOE.
pub async fn logout(daemon: &Daemon, id: RequestId, at: Which) -> Answer {
    let unit = unit(daemon, at)?;
    match unit.order(id, &Order::Logout).await {
        Ok(_) => Ok(Reply::Done),
        // There is no session any more, which is what was asked for.
        Err(refused) if refused.error.code == Code::ExEnauth => Ok(Reply::Done),
        Err(refused) => Err(refused.error),
    }
}

fn unit(daemon: &Daemon, at: Which) -> Result<&Arc<Unit>, CciError> {
    match at {
        Which::Unit(id) => daemon.units.get(id),
        Which::Serial(serial) => daemon.units.by_serial(serial),
    }
}
