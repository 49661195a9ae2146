//! `horcctl`: which command device and which remote address are in use, and the trace.

use protocol::horcm::{Answer, Control, ControlReply, Reply};

use crate::{daemon::Daemon, peers::Peer, units::Unit};

/// Answers `Control`.
///
/// # Errors
/// EX_ENOUNT, EX_ENOGRP, EX_ENORMT for what is not configured; EX_CMDIOE when no command device
/// answers.
pub async fn control(daemon: &Daemon, control: Control) -> Answer {
    let reply = match control {
        Control::CommandDevice { unit } => {
            let unit = daemon.units.get(unit)?;
            device(daemon, unit, unit.command_device())
        }
        Control::NextCommandDevice { unit } => {
            let unit = daemon.units.get(unit)?;
            device(daemon, unit, unit.rotate().await?)
        }
        Control::NetworkAddress(group) => address(daemon.peers.of(daemon.catalog.group(&group)?)?),
        Control::NextNetworkAddress(group) => {
            address(daemon.peers.rotate(daemon.catalog.group(&group)?)?)
        }
        Control::Trace { level, buffered, size_kb } => {
            daemon.trace.set(level, buffered, size_kb);
            log::set_max_level(daemon.trace.filter());
            let (level, buffered, size_kb) = daemon.trace.get();
            ControlReply::Trace { level, buffered, size_kb }
        }
    };
    Ok(Reply::Control(reply))
}

fn device(daemon: &Daemon, unit: &Unit, device: String) -> ControlReply {
    ControlReply::CommandDevice { device, protected: daemon.protects(unit) }
}

fn address(peer: &Peer) -> ControlReply {
    ControlReply::NetworkAddress { address: peer.host().to_string(), service: peer.port() }
}
