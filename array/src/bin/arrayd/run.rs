//! The daemon: orders over the IPCMD command device, the copy job, the control socket.
//!
//! Questions are answered on the network's own thread from memory, so that a status never waits
//! for a disk; changes go to a thread of their own, one after the other.

use std::{
    io::{self, Write},
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};

use array::{Array, control::server::ControlSocket, copier, keeper, orders, users::Via};
use protocol::{Endpoint, Home, Incoming, Key, KeyRing, Kind};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Failure, iscsi::Served};

/// Runs the array until a signal ends it.
pub fn run(
    dir: &Path,
    listen: Option<&str>,
    iscsi: Option<&str>,
    keys: &[PathBuf],
) -> Result<(), Failure> {
    let array = Arc::new(Array::open(dir)?);
    let ring = key_ring(keys)?;
    let address = address(listen.unwrap_or(&array.head().listen))?;
    let control = ControlSocket::bind(dir)
        .map_err(|error| format!("{}: cannot listen on arrayd.sock: {error}", dir.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let endpoint = runtime
        .block_on(Endpoint::bind(address, ring))
        .map_err(|error| format!("cannot listen on {address}: {}", explain(&error)))?;
    let iscsi = iscsi.or_else(|| array.portal().map(|portal| portal.listen.as_str()));
    let portal = iscsi.map(|text| portal(&array, text)).transpose()?;
    let socket = directory_socket(dir);
    serve_control(control, &array);
    let copying = thread::Builder::new().name("copy".into()).spawn({
        let array = Arc::clone(&array);
        move || copier::run(&array)
    })?;
    let keeping = thread::Builder::new().name("keep".into()).spawn({
        let array = Arc::clone(&array);
        move || keeper::run(&array)
    })?;
    let done = runtime.block_on(serve(&array, endpoint, portal.as_ref()));
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    if let Some(portal) = portal {
        portal.stop();
    }
    array.copier().stop();
    array.keeper().stop();
    let _ = copying.join();
    let _ = keeping.join();
    let _ = std::fs::remove_file(socket);
    log::info!("Serial# {} stopped", array.head().serial);
    done
}

fn portal(array: &Arc<Array>, text: &str) -> Result<Served, Failure> {
    let address = address(text)?;
    Served::start(array, address).map_err(|error| {
        format!("cannot listen on {address} for iSCSI: {}", explain(&error)).into()
    })
}

fn directory_socket(dir: &Path) -> PathBuf {
    array::directory::socket(dir)
}

fn key_ring(files: &[PathBuf]) -> Result<KeyRing, Failure> {
    let home = Home::from_env();
    home.ensure()?;
    let mut ring = KeyRing::new(Key::load_or_create(&home.key_file())?);
    for file in files {
        ring.add(Key::load(file)?);
    }
    Ok(ring)
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    text.to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| format!("{text:?} is not ADDRESS:PORT, such as 127.0.0.1:31001").into())
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is in use; stop its owner, or choose another with --listen or --iscsi".into()
        }
        _ => error.to_string(),
    }
}

fn serve_control(control: ControlSocket, array: &Arc<Array>) {
    let array = Arc::clone(array);
    thread::spawn(move || control.serve(&array));
}

async fn serve(
    array: &Arc<Array>,
    mut endpoint: Endpoint,
    portal: Option<&Served>,
) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (changes, queue) = mpsc::channel::<Incoming>();
    let worker = thread::Builder::new().name("orders".into()).spawn({
        let array = Arc::clone(array);
        move || queue.into_iter().for_each(|incoming| answer(&array, incoming))
    })?;
    let iscsi = portal.map(|portal| format!(", iSCSI on {}", portal.address()));
    let (serial, orders) = (array.head().serial, endpoint.local_addr());
    let ready = format!("arrayd: Serial# {serial} ready on {orders}{}", iscsi.unwrap_or_default());
    // Nobody may be reading; that is no reason not to run.
    let _ = writeln!(io::stdout(), "{ready}").and_then(|()| io::stdout().flush());
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            incoming = endpoint.next() => match incoming.kind {
                Kind::Read => answer(array, incoming),
                Kind::Change => {
                    if let Err(mpsc::SendError(incoming)) = changes.send(incoming) {
                        log::error!("change {} came when no more are carried out", incoming.id);
                        incoming.answer(orders::unanswered());
                    }
                }
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    drop(changes);
    let _ = worker.join();
    Ok(())
}

fn answer(array: &Array, incoming: Incoming) {
    let Incoming { id, kind, room, .. } = incoming;
    let answer = orders::carry_out(array, Via::Ipcmd, id, kind, &incoming.body, room);
    incoming.answer(answer);
}
