//! Orders that only ask, and the way of any order from bytes to bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use model::{CciError, CciResult, Code, LdevId};
use protocol::{
    Kind, RequestId, codec,
    login::{LONGEST_PASSWORD, Password, Token},
    orders::{
        Given, GuardState, Identity, LdevInfo, LocalEnd, Order, OrderAnswer, Reply, ScanFilter,
        ScanRow,
    },
};

use crate::{
    array::Array,
    pairs::pair::MIRRORS,
    store::message,
    users::{self, Via, rights},
};

/// Bytes of an answer that a scan leaves for everything but its rows.
const SCAN_FRAME: usize = 24;

/// Carries out an encoded order that came through a command device and encodes the answer, which
/// fits `room` bytes. A panic ends that order alone.
#[must_use]
pub fn carry_out(
    array: &Array,
    via: Via,
    id: RequestId,
    kind: Kind,
    body: &[u8],
    room: usize,
) -> Vec<u8> {
    let carried =
        catch_unwind(AssertUnwindSafe(|| answer_within(array, via, id, kind, body, room)));
    carried.unwrap_or_else(|panic| {
        log::error!("order {id} ended in a panic: {}", message(&*panic));
        unanswered()
    })
}

/// The encoded answer to an order that arrayd could not carry to its end.
#[must_use]
pub fn unanswered() -> Vec<u8> {
    let answer: OrderAnswer = Err(CciError::new(Code::ExCmdrje)
        .cause("the order met an error of arrayd itself")
        .advice("see the log of arrayd, and start it again; then ask how the pairs stand")
        .into());
    codec::encode(&answer)
}

fn answer_within(
    array: &Array,
    via: Via,
    id: RequestId,
    kind: Kind,
    body: &[u8],
    room: usize,
) -> Vec<u8> {
    let answer = match codec::decode::<Given>(body) {
        // What only asks is answered beside what changes something, not in a row with it.
        Ok((_, order)) if order.mutates() && kind == Kind::Read => {
            Err(CciError::new(Code::ExUnwcod)
                .cause("an order that changes something came as one that only asks")
                .advice("use horcmd and arrayd of one release")
                .into())
        }
        Ok((token, order)) => match admit(array, via, token, &order) {
            Err(refused) => Err(refused.into()),
            Ok(()) => match order {
                Order::Identify => Ok(Reply::Identity(identity(array, via))),
                Order::Scan { filter, from } => Ok(scan(array, filter, from, room)),
                Order::Login { user, password } => log_in(array, &user, &password),
                Order::Logout => {
                    token.into_iter().for_each(|token| array.sessions().end(token));
                    Ok(Reply::Done)
                }
                order => array.execute(id, &order),
            },
        },
        Err(_) => Err(CciError::new(Code::ExUnwcod)
            .cause("the array does not understand the order")
            .advice("use horcmd and arrayd of one release")
            .into()),
    };
    let encoded = codec::encode(&answer);
    if encoded.len() <= room || answer.is_err() {
        return encoded;
    }
    let too_long: OrderAnswer = Err(CciError::new(Code::ExErange)
        .cause(format!("the answer has {} bytes, but only {room} fit", encoded.len()))
        .advice("ask for fewer items at once")
        .into());
    codec::encode(&too_long)
}

/// Whether who gives an order through a command device may.
fn admit(array: &Array, via: Via, token: Option<Token>, order: &Order) -> CciResult<()> {
    if !array.authority().security(via).user_authentication {
        return Ok(());
    }
    let admitted = array.sessions().admit(token, rights::need(order), array.now());
    admitted.map_err(|error| match error.code {
        Code::ExEnauth => error.object(format!("Serial# {}", array.head().serial)),
        _ => error,
    })
}

/// Begins a session. The password is looked at without any lock: that takes its time.
fn log_in(array: &Array, name: &str, password: &Password) -> OrderAnswer {
    let (user, now) = (array.authority().user(name), array.now());
    let denied = |cause: String| {
        CciError::new(Code::ExEnauth)
            .object(format!("user {name} of Serial# {}", array.head().serial))
            .cause(cause)
    };
    let wait = array.sessions().guessing.wait(name, now);
    if wait > 0 {
        let cause = format!("too many wrong passwords; it takes none for another {wait} s");
        return Err(denied(cause).advice("wait, then log in again").into());
    }
    // Nobody has a longer one, and to hash what anybody sends takes its time.
    let right = password.0.len() <= LONGEST_PASSWORD
        && users::password::verify(&password.0, user.map(|user| user.hash.as_str()));
    let mut sessions = array.sessions();
    match user.filter(|_| right) {
        Some(user) => {
            sessions.guessing.passed(name);
            log::info!("user {} logged in", user.name);
            Ok(Reply::LoggedIn(sessions.begin(user, now)))
        }
        None => {
            sessions.guessing.failed(name, now);
            log::warn!("a login of user {} was refused", model::error::printable(name));
            Err(denied("there is no such user, or the password is another".into())
                .advice("log in with the right name and password")
                .into())
        }
    }
}

/// Answers an order that changes nothing.
pub(crate) fn answer(array: &Array, order: &Order) -> OrderAnswer {
    Ok(match order {
        Order::Identify => Reply::Identity(identity(array, Via::Ipcmd)),
        Order::Locate(paths) => {
            Reply::Located(paths.iter().map(|path| array.ports.locate(*path)).collect())
        }
        Order::Trace(seen) => {
            Reply::Traced(seen.iter().map(|seen| array.ports.trace(*seen)).collect())
        }
        Order::Describe(ldevs) => {
            Reply::Described(ldevs.iter().map(|ldev| describe(array, *ldev)).collect())
        }
        Order::Scan { filter, from } => scan(array, *filter, *from, usize::MAX),
        Order::Status(ends) => {
            let found: Vec<_> = {
                let state = array.state();
                ends.iter().map(|end| (*end, state.pair_at(*end))).collect()
            };
            let status = |(end, found): (LocalEnd, _)| {
                let known = array.ldevs.contains_key(&end.ldev);
                known.then(|| array.end_status(end, found))
            };
            Reply::Status(found.into_iter().map(status).collect())
        }
        Order::Guards(ldevs) => {
            let (state, now) = (array.state(), array.now());
            let guard = |ldev: &LdevId| {
                let known = array.ldevs.contains_key(ldev);
                known.then(|| match state.guards.get(ldev) {
                    Some(record) => record.state(now),
                    None => GuardState::default(),
                })
            };
            Reply::Guards(ldevs.iter().map(guard).collect())
        }
        Order::Change { .. } | Order::SetGuard { .. } | Order::Login { .. } | Order::Logout => {
            Reply::Done
        }
    })
}

fn identity(array: &Array, via: Via) -> Identity {
    let head = array.head();
    Identity {
        serial: head.serial,
        model: head.model.clone(),
        microcode: head.microcode.clone(),
        cache_mb: head.cache_mb,
        ldevs: u32::try_from(array.ldevs.len()).unwrap_or(u32::MAX),
        mirrors: MIRRORS,
        security: array.authority().security(via),
    }
}

fn describe(array: &Array, ldev: LdevId) -> Option<LdevInfo> {
    let known = array.ldev(ldev)?;
    Some(LdevInfo {
        size: known.size,
        emulation: known.emulation,
        command_device: known.command_device,
        path: array.ports.first(ldev),
    })
}

/// As many LUs as fit `room` bytes, but at least one, so that a scan always comes forward.
fn scan(array: &Array, filter: ScanFilter, from: u32, room: usize) -> Reply {
    let mut rows = Vec::new();
    let mut used = SCAN_FRAME;
    let mut next = None;
    let skip = usize::try_from(from).unwrap_or(usize::MAX);
    for (n, (path, ldev)) in array.ports.scan(filter).enumerate().skip(skip) {
        let Some(known) = array.ldev(ldev) else {
            continue;
        };
        let row = ScanRow {
            path,
            ldev,
            emulation: known.emulation,
            command_device: known.command_device,
            size: known.size,
            mirrors: array.mirrors(ldev),
        };
        used += codec::encode(&row).len();
        if used > room && !rows.is_empty() {
            next = u32::try_from(n).ok();
            break;
        }
        rows.push(row);
    }
    Reply::Scanned { rows, next }
}
