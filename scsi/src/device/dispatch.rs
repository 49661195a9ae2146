//! From a command to what carries it out.
//!
//! The order of the questions is SAM-5's: is there such a logical unit, has the nexus a unit
//! attention to learn, is the CDB right, do reservations of others keep it out. Then each command
//! asks for itself whether it may read or write now.

use std::sync::Arc;

use super::{
    answer::{Answer, BUSY, CONFLICT, Refusal, completion, fit},
    blocks, capacity, cdb,
    conflicts::Class,
    gate::Way,
    inquiry::{self, Port, Subject},
    logical::Logical,
    mode, opcodes,
    operation::{Operation, Same},
    persistent::{kept, out},
    pieces, reports,
    session::Session,
    space,
    tasks::{Arrival, Task},
    units::{LogicalUnits, State, Unit},
};
use crate::{
    medium::{Access, Inventory, Medium},
    sense::{Key, Sense},
    task::{Command, Completion, LunAddress, Status, TaskAttribute},
    vendor_page,
};

/// NO SENSE: there is nothing to say.
const NO_SENSE: Sense = Sense::new(Key::NoSense, 0, 0);
/// INVALID MESSAGE ERROR: the ACA task attribute, without an ACA.
const INVALID_MESSAGE: Sense = Sense::new(Key::IllegalRequest, 0x49, 0x00);

/// What all commands of a target port share.
pub(super) struct Shared {
    /// What is behind it.
    pub inventory: Arc<dyn Inventory>,
    /// What is kept of it over all ports.
    pub units: Arc<LogicalUnits>,
    /// The port.
    pub port: Port,
}

impl Shared {
    /// A logical unit that does not hide.
    pub fn find(
        &self,
        session: &Session,
        lun: LunAddress,
    ) -> Option<(Arc<Unit>, Arc<dyn Medium>, Access)> {
        let ldev = session.ldev(lun.number()?)?;
        let medium = self.inventory.medium(ldev)?;
        let access = medium.access();
        let unit = || self.units.unit(ldev, medium.as_ref());
        (!access.hidden).then(unit).map(|unit| (unit, medium, access))
    }
}

/// Carries a command out, and answers with as much as finds room.
pub(super) async fn run(
    shared: Arc<Shared>,
    session: Arc<Session>,
    arrival: Arrival,
    command: Command,
) -> Completion {
    let room = command.room;
    fit(respond(shared, session, arrival, command).await, room)
}

async fn respond(
    shared: Arc<Shared>,
    session: Arc<Session>,
    arrival: Arrival,
    command: Command,
) -> Completion {
    session.refresh(shared.inventory.as_ref(), &shared.units);
    let request = cdb::parse(&command.cdb);
    let Some((unit, medium, access)) = shared.find(&session, command.lun) else {
        return completion(absent(&shared, &session, request));
    };
    let task = Task::begin(&unit.state().nexus(&session).tasks, arrival);
    let lun = command.lun.number().unwrap_or(0);
    let attribute = command.attribute;
    let unit = Logical { unit, medium, access, lun, session, task, attribute };
    // One that was aborted before it began learns nothing in the place of another.
    let answer = match unit.going().and_then(|()| admit(&unit, &command, request)) {
        Ok(request) => carry_out(&shared, &unit, request, command).await,
        Err(refusal) => Err(refusal),
    };
    let mode = unit.unit.state().mode;
    if unit.task.aborted_by_another() && mode.tell_aborted {
        return Completion::status(Status::TaskAborted);
    }
    Completion { descriptor_format: mode.descriptors, ..completion(answer) }
}

/// A logical unit that is not there (SPC-4 6.6.1, SAM-5 5.14): these three commands are answered
/// all the same.
fn absent(shared: &Shared, session: &Session, request: Result<Operation, Sense>) -> Answer {
    match request {
        Ok(Operation::Inquiry { page, allocation }) => inquiry::absent(page, allocation),
        Ok(Operation::ReportLuns { select, allocation }) => {
            luns(shared, session, select, allocation)
        }
        Ok(Operation::RequestSense { descriptors, allocation }) => {
            reports::sense(Sense::NO_SUCH_UNIT, descriptors, allocation)
        }
        _ => Err(Sense::NO_SUCH_UNIT.into()),
    }
}

/// Whether a command may go on to be carried out.
fn admit(
    unit: &Logical,
    command: &Command,
    request: Result<Operation, Sense>,
) -> Result<Operation, Refusal> {
    let mut state = unit.unit.state();
    // REQUEST SENSE, INQUIRY and REPORT LUNS do not end in a unit attention (SAM-5 5.14).
    let learns = !matches!(command.cdb.first(), Some(0x03 | 0x12 | 0xa0));
    if let Some(attention) = learns.then(|| state.nexus(&unit.session).attentions.take()).flatten()
    {
        return Err(attention.into());
    }
    let (request, entry) = (request?, opcodes::find(&command.cdb)?);
    if command.attribute == TaskAttribute::Aca {
        return Err(INVALID_MESSAGE.into());
    }
    if conflicts(&state, &unit.session, entry, request) {
        return Err(CONFLICT);
    }
    // Else each session that a storage does not answer would add its writes to those it holds.
    let left = entry.changes() && state.has_left(&unit.session.path().initiator.name);
    if left { Err(BUSY) } else { Ok(request) }
}

fn conflicts(state: &State, session: &Session, entry: &opcodes::Entry, request: Operation) -> bool {
    if let Some(holder) = state.reserved {
        let persistent =
            matches!(request, Operation::ReserveIn { .. } | Operation::ReserveOut { .. });
        if persistent || holder != session.id && !entry.ignores_reserve {
            return true;
        }
    }
    let class = match request {
        // A unit that is started anyway (SBC-3 table 14).
        Operation::StartStop { start: true, .. } => Class::Always,
        _ => entry.class,
    };
    let decides_itself = matches!(class, Class::Legacy | Class::Itself);
    !decides_itself && !state.persistent.allows(class, session.path())
}

async fn carry_out(
    shared: &Shared,
    unit: &Logical,
    request: Operation,
    command: Command,
) -> Answer {
    let Command { offered, room, data_out: data, .. } = command;
    match request {
        Operation::TestUnitReady | Operation::AllowRemoval | Operation::SendDiagnostic => {
            Ok(Completion::good())
        }
        Operation::RequestSense { descriptors, allocation } => {
            let attention = unit.unit.state().nexus(&unit.session).attentions.take();
            reports::sense(attention.unwrap_or(NO_SENSE), descriptors, allocation)
        }
        Operation::Inquiry { page, allocation } => {
            let medium = unit.medium.as_ref();
            let initiator = &unit.session.path().initiator.name;
            let asked = page == Some(vendor_page::CODE);
            let place = asked.then(|| shared.inventory.place(initiator, unit.lun));
            let place = place.unwrap_or_default();
            let subject = Subject { port: &shared.port, lun: unit.lun, place, medium };
            inquiry::answer(&subject, page, allocation)
        }
        Operation::ReportLuns { select, allocation } => {
            luns(shared, &unit.session, select, allocation)
        }
        Operation::Read { extent } => blocks::read(unit, extent, room).await,
        Operation::Write { extent, durable } => blocks::write(unit, extent, durable, data).await,
        Operation::WriteAndVerify { extent, compare } => {
            blocks::write_and_verify(unit, extent, compare, data).await
        }
        Operation::Verify { extent, comparison } => {
            blocks::verify(unit, extent, comparison, data).await
        }
        // More than these take is as wrong as less: it says that something else was meant.
        Operation::CompareAndWrite { .. } | Operation::WriteSame(Same { no_data: false, .. })
            if offered > request.takes() =>
        {
            Err(Sense::INVALID_FIELD_IN_CDB.into())
        }
        Operation::OrWrite { extent, durable } => {
            blocks::or_write(unit, extent, durable, data).await
        }
        Operation::CompareAndWrite { extent, durable } => {
            blocks::compare_and_write(unit, extent, durable, data).await
        }
        Operation::WriteSame(same) => space::same(unit, same, data).await,
        Operation::Unmap { length } => space::unmap(unit, length, data).await,
        Operation::SynchronizeCache { extent } => blocks::synchronize(unit, extent).await,
        Operation::PreFetch { extent } => blocks::prefetch(unit, extent),
        Operation::ReadCapacity10 => capacity::ten(unit),
        Operation::ReadCapacity16 { allocation } => capacity::sixteen(unit, allocation),
        Operation::GetLbaStatus { lba, allocation } => {
            capacity::status(unit, lba, allocation).await
        }
        Operation::ModeSense(request) => {
            let mode = unit.unit.state().mode;
            mode.sense(&request, unit.access.unwritable, unit.capacity())
        }
        Operation::ModeSelect { ten, length } => {
            let list = pieces::whole(
                blocks::exactly(data, length as u64)
                    .map_err(|_| Refusal::Check(Sense::DATA_LENGTH))?,
            );
            mode_select(unit, ten, &list).await
        }
        Operation::ReserveIn { action, allocation } => {
            unit.unit.state().persistent.report(action, allocation)
        }
        Operation::ReserveOut { action, scope, kind, length } => {
            if pieces::length(&data) != length as u64 {
                return Err(Sense::DATA_LENGTH.into());
            }
            let list = out::Parameters::parse(&pieces::whole(data))?;
            let ports: Vec<_> = shared.port.all.iter().map(|port| port.relative).collect();
            let path = unit.session.path();
            reserve_out(unit, &out::Order { action, scope, kind, list, path, ports: &ports }).await
        }
        Operation::Reserve => {
            let mut state = unit.unit.state();
            match state.persistent.legacy(unit.session.path()) {
                Some(false) => return Err(CONFLICT),
                Some(true) => {}
                None => state.reserved = Some(unit.session.id),
            }
            Ok(Completion::good())
        }
        Operation::Release => {
            let mut state = unit.unit.state();
            match state.persistent.legacy(unit.session.path()) {
                Some(false) => return Err(CONFLICT),
                None if state.reserved == Some(unit.session.id) => state.reserved = None,
                _ => {}
            }
            Ok(Completion::good())
        }
        Operation::ReportTargetPortGroups { extended, allocation } => {
            reports::port_groups(&shared.port.all, extended, allocation)
        }
        Operation::ReportOpcodes { timeouts, option, opcode, action, allocation } => {
            let thin = unit.medium.identity().thin;
            opcodes::report(timeouts, option, opcode, action, thin, allocation)
        }
        Operation::ReportManagement { extended, allocation } => {
            reports::management(extended, allocation)
        }
        Operation::StartStop { start, flush } => {
            // It does not stop, but what a host wants to be safe then is.
            if flush && !start {
                unit.medium.flush().await?;
            }
            Ok(Completion::good())
        }
        Operation::ReceiveDiagnostic { allocation } => reports::diagnostic(allocation),
    }
}

/// REPORT LUNS; the nexus then knows what changed (SAM-5 5.14).
fn luns(shared: &Shared, session: &Session, select: u8, allocation: usize) -> Answer {
    let answer = reports::luns(session.luns().into_iter(), select, allocation)?;
    for unit in session.ldevs().into_iter().filter_map(|ldev| shared.units.known(ldev)) {
        unit.state().learned(session.id, Sense::LUNS_CHANGED);
    }
    Ok(answer)
}

async fn mode_select(unit: &Logical, ten: bool, list: &[u8]) -> Answer {
    let (answer, through) = {
        let mut state = unit.unit.state();
        let before = state.mode;
        let (answer, changed) = mode::select(&mut state.mode, ten, list, unit.capacity())?;
        if changed {
            for nexus in state.others(unit.session.id) {
                nexus.attentions.push(Sense::MODE_CHANGED);
            }
        }
        (answer, before.write_cache && !state.mode.write_cache)
    };
    if through {
        // Hosts flush no more from now on. What began with the cache is in it when it has ended.
        drop(unit.turn(Way::Ordered, 0, 0).await?);
        unit.medium.flush().await?;
    }
    Ok(answer)
}

async fn reserve_out(unit: &Logical, order: &out::Order<'_>) -> Answer {
    {
        let _turn = unit.wait(unit.unit.reserving.lock()).await?;
        let (next, effects, changed) = {
            let state = unit.unit.state();
            let mut next = state.persistent.clone();
            let effects = next.change(order)?;
            let after = kept::seal(&next);
            (next, effects, (after != kept::seal(&state.persistent)).then_some(after))
        };
        // First what survives a loss of power: where that fails, nothing has changed.
        if let Some(after) = changed {
            unit.medium.keep(after).await?;
        }
        let mut state = unit.unit.state();
        state.persistent = next;
        for (paths, sense) in &effects.tell {
            state.tell(paths, *sense);
        }
        state.abort(&effects.abort);
    }
    if order.action == out::PREEMPT_AND_ABORT {
        // What the preempted ones had begun ends before this does.
        unit.turn(Way::Ordered, 0, 0).await?;
    }
    Ok(Completion::good())
}
