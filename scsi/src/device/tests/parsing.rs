//! Nothing that an initiator sends makes the device server panic, grow or answer too much.

use proptest::prelude::*;

use crate::{
    device::{
        fake::{System, command, now},
        opcodes::COMMANDS,
    },
    medium::MAX_TRANSFER,
    sense::Sense,
    service::Service,
    task::{LunAddress, Status, TaskAttribute},
};

/// CDBs of commands that there are, or of none, with any fields.
fn cdb() -> impl Strategy<Value = Vec<u8>> {
    let known = (0..COMMANDS.len(), any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(
        |(which, bytes, mask)| {
            let entry = &COMMANDS[which];
            let mut cdb = bytes.to_vec();
            // Few bits, so that much of it is accepted.
            for (byte, mask) in cdb.iter_mut().zip(mask) {
                *byte &= mask & mask.rotate_left(3);
            }
            cdb[0] = entry.opcode;
            if let Some(action) = entry.action {
                cdb[1] = cdb[1] & 0xe0 | action;
            }
            // Addresses that are there.
            if let Some(lba) = cdb.get_mut(2..5) {
                lba.fill(0);
            }
            if entry.usage.len() == 16 {
                cdb[5..8].fill(0);
            }
            cdb
        },
    );
    prop_oneof![4 => known, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_command_is_answered(
        cdb in cdb(),
        data in prop::collection::vec(any::<u8>(), 0..3000),
        lun in prop_oneof![4 => Just(0), 1 => any::<u64>()],
        more in 0..2_usize,
    ) {
        let (system, disk) = System::new(2000);
        let host = system.ready("a", 1);
        let takes = host.target.needs(&host.session, LunAddress(lun), &cdb).takes;
        prop_assert!(takes <= MAX_TRANSFER);
        let mut command = command(0, &[], &data[..data.len().min(takes)]);
        (command.cdb, command.lun) = (cdb.into(), LunAddress(lun));
        (command.attribute, command.offered) = (TaskAttribute::Simple, takes + more);
        let answer = now(host.carry_out(command));
        prop_assert_eq!(answer.sense.is_some(), answer.status == Status::CheckCondition);
        let length: usize = answer.data_in.iter().map(|piece| piece.len()).sum();
        prop_assert!(length <= MAX_TRANSFER);
        prop_assert_eq!(disk.parts().bytes.len(), 2000 * 512);
        host.target.close(&host.session);
    }
}

#[test]
fn every_listed_command_is_carried_out_and_every_other_one_is_no_command() {
    let (system, _) = System::new(100);
    let host = system.ready("a", 1);
    let listed = host.data(&[0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0], &[]);
    let listed: Vec<_> =
        listed[4..].chunks(8).map(|one| (one[0], one[5] & 1 == 1, one[3])).collect();
    for opcode in 0..=0xff_u8 {
        for action in 0..0x20 {
            let acts = listed.iter().any(|one| (one.0, one.1) == (opcode, true));
            if !acts && action > 0 {
                break;
            }
            let there = listed.iter().any(|one| one.0 == opcode && (!one.1 || one.2 == action));
            let sense = host.send(0, &[opcode, action], &[]).sense;
            let unknown = sense == Some(Sense::INVALID_OPCODE)
                || acts && sense == Some(Sense::INVALID_FIELD_IN_CDB.in_cdb(1, Some(4)));
            assert_eq!(unknown, !there, "{opcode:#x} {action:#x}: {sense:?}");
        }
    }
}
