//! The engine against plain vectors: random writes and orders, copying in steps between them,
//! restarts and crashes anywhere.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use protocol::orders::PairChange;

use crate::testing::{TestArray, VOLUME_BYTES, create, ldev, quick_split, restore, resync, split};

/// Volumes of the model: 17 is the P-VOL; 18, 19, 20 its mirrors; 21, 22 copies of 18.
const VOLUMES: [u32; 6] = [17, 18, 19, 20, 21, 22];
const PAIRS: [(u32, u32, u32); 5] =
    [(17, 0, 18), (17, 1, 19), (17, 2, 20), (18, 1, 21), (18, 2, 22)];

#[derive(Debug, Clone)]
enum Act {
    Write {
        volume: usize,
        offset: u64,
        length: usize,
        byte: u8,
    },
    Change {
        pair: usize,
        change: PairChange,
    },
    Step,
    CopyAll,
    /// Some of what nothing needs any more is given back.
    Tidy,
    Reopen,
    Crash,
}

fn acts() -> impl Strategy<Value = Act> {
    let write = (
        prop_oneof![4 => Just(0), 2 => Just(1), 1 => 0..VOLUMES.len()],
        prop_oneof![2 => 0..4u64, 2 => 62..66u64, 1 => 0..VOLUME_BYTES / 4096],
        prop_oneof![Just(1usize), Just(4096), Just(70_000), Just(300_000)],
        prop_oneof![1 => Just(0u8), 6 => 1..=255u8],
    )
        .prop_map(|(volume, page, length, byte)| {
            let offset = page * 4096;
            let room = usize::try_from(VOLUME_BYTES - offset).unwrap();
            Act::Write { volume, offset, length: length.min(room), byte }
        });
    let change = (
        prop_oneof![3 => Just(0), 2 => Just(3), 1 => 0..PAIRS.len()],
        prop_oneof![
            3 => Just(create()),
            3 => Just(split()),
            3 => Just(quick_split()),
            2 => Just(resync()),
            2 => Just(restore()),
            1 => Just(PairChange::Dissolve),
            1 => Just(PairChange::Fail),
        ],
    )
        .prop_map(|(pair, change)| Act::Change { pair, change });
    prop_oneof![
        8 => write,
        6 => change,
        2 => Just(Act::Step),
        2 => Just(Act::CopyAll),
        3 => Just(Act::Tidy),
        1 => Just(Act::Reopen),
        1 => Just(Act::Crash),
    ]
}

/// What every volume must hold.
struct Model {
    bytes: BTreeMap<u32, Vec<u8>>,
}

impl Model {
    /// S-VOLs that follow hold what their P-VOL holds, layer after layer; and what a volume of
    /// no promise holds (PSUE, or after a dissolved copy) is taken as found.
    fn follow(&mut self, array: &TestArray) {
        for (p, mu, s) in PAIRS {
            if let "COPY" | "PAIR" | "RCPY" = array.state(p, mu)
                && !is_split(array, p, mu)
            {
                let bytes = self.bytes[&p].clone();
                self.bytes.insert(s, bytes);
            }
        }
    }

    fn take_as_found(&mut self, array: &TestArray, volume: u32) {
        self.bytes.insert(volume, array.read(volume));
    }
}

/// Whether the S-VOL is fixed at a point in time; a pair in COPY may be, because of a split.
fn is_split(array: &TestArray, p: u32, mu: u32) -> bool {
    let state = array.array.state();
    let pair = state.registry.at(crate::testing::end(p, mu)).map(|(_, pair)| pair.flow());
    pair == Some(crate::store::Flow::Fixed)
}

/// Whether bytes are still to be fetched by the S-VOL, and by the P-VOL.
fn lacking(array: &TestArray, p: u32, mu: u32) -> (bool, bool) {
    let link = {
        let state = array.array.state();
        state.registry.at(crate::testing::end(p, mu)).map(|(id, _)| id)
    };
    let lack = link.and_then(|id| array.array.store.lack(id));
    lack.map_or((false, false), |d| (d.to_target > 0, d.to_source > 0))
}

fn check(model: &Model, array: &TestArray) -> Result<(), TestCaseError> {
    for volume in VOLUMES {
        let (found, wanted) = (array.read(volume), &model.bytes[&volume]);
        // Without waiting it is the same, where there is an answer at all.
        for (at, length) in [(0, 4096), (61_440, 8192), (65_536, 65_536), (1_044_480, 12_288)] {
            let mut bytes = vec![0xee; length];
            let answer = array.array.store.read_now(ldev(volume), at as u64, &mut bytes);
            if answer.is_some() && bytes != wanted[at..at + length] {
                let what = format!("LDEV {volume} from byte {at} on, read without waiting");
                return Err(TestCaseError::fail(what));
            }
        }
        if found == *wanted {
            continue;
        }
        if let Some(at) = (0..found.len()).find(|at| found[*at] != wanted[*at]) {
            return Err(TestCaseError::fail(format!(
                "LDEV {volume} byte {at} (page {}): {} where {} belongs",
                at / 65_536,
                found[at],
                wanted[at]
            )));
        }
    }
    Ok(())
}

fn play(mut array: TestArray, acts: Vec<Act>) -> Result<(), TestCaseError> {
    let size = usize::try_from(VOLUME_BYTES).unwrap();
    let mut model = Model { bytes: VOLUMES.map(|v| (v, vec![0; size])).into_iter().collect() };
    for act in acts {
        match act {
            Act::Write { volume, offset, length, byte } => {
                let data = vec![byte; length];
                let number = VOLUMES[volume];
                let allowed = array.array.check_writable(ldev(number)).is_ok();
                let written = array.array.write(ldev(number), offset, &data);
                prop_assert!(allowed || written.is_err());
                if written.is_ok() {
                    let at = usize::try_from(offset).unwrap();
                    model.bytes.get_mut(&number).unwrap()[at..at + length].fill(byte);
                    model.follow(&array);
                } else {
                    prop_assert!(!allowed, "{:?}", written);
                }
            }
            Act::Change { pair, change } => {
                let (p, mu, s) = PAIRS[pair];
                let before = array.state(p, mu);
                let lacking = lacking(&array, p, mu);
                let done = array.run(change, &[(p, mu, s)]);
                if done.is_ok() {
                    apply(&mut model, &array, PAIRS[pair], (before, lacking), change);
                }
            }
            Act::Step => {
                array.array.step();
            }
            Act::CopyAll => array.copy_all(),
            Act::Tidy => {
                array.array.store.tidy().unwrap();
                array.array.store.fold().unwrap();
            }
            Act::Reopen => array = array.reopen(),
            Act::Crash => {
                VOLUMES.iter().for_each(|volume| array.array.flush(ldev(*volume)).unwrap());
                array = array.crash();
            }
        }
        check(&model, &array)?;
    }
    array.copy_all();
    while array.array.store.tidy().unwrap() {}
    let report = array.array.check(&mut |_| {}).unwrap();
    prop_assert!(report.is_clean(), "{:?}", report.findings);
    for (p, mu, _) in PAIRS {
        let state = array.state(p, mu);
        prop_assert!(!matches!(state, "COPY" | "RCPY"), "LDEV {} MU# {}: {}", p, mu, state);
    }
    check(&model, &array)?;
    // What the files themselves hold must be the same once everything has been copied.
    let array = array.reopen();
    check(&model, &array)?;
    // Without pairs, every page belongs to a volume that shows it.
    for (p, mu, s) in PAIRS.iter().rev() {
        array.run(PairChange::Dissolve, &[(*p, *mu, *s)]).unwrap();
    }
    for volume in VOLUMES {
        array.array.zero(ldev(volume), 0, VOLUME_BYTES).unwrap();
    }
    VOLUMES.iter().for_each(|volume| array.array.flush(ldev(*volume)).unwrap());
    while array.array.store.tidy().unwrap() {}
    array.array.store.trim().unwrap();
    prop_assert!(
        array.array.pools().iter().all(|pool| pool.mapped == 0),
        "{:?}",
        array.array.pools()
    );
    Ok(())
}

fn apply(
    model: &mut Model,
    array: &TestArray,
    (p, _, s): (u32, u32, u32),
    (before, lacking): (&str, (bool, bool)),
    change: PairChange,
) {
    match change {
        PairChange::Resync(options) if options.restore && before == "PSUS" => {
            let bytes = model.bytes[&s].clone();
            model.bytes.insert(p, bytes);
            model.follow(array);
        }
        PairChange::Fail | PairChange::Dissolve if before != "SMPL" && before != "PSUE" => {
            // What had not been copied is given up, on both sides of a restore.
            if lacking.0 {
                model.take_as_found(array, s);
            }
            if lacking.1 {
                model.take_as_found(array, p);
                model.take_as_found(array, s);
            }
            model.follow(array);
        }
        _ => model.follow(array),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 1000, ..ProptestConfig::default() })]
    #[test]
    fn volumes_hold_what_plain_vectors_hold(acts in vec(acts(), 8..40)) {
        play(TestArray::new(), acts)?;
    }

    #[test]
    fn so_do_volumes_whose_pairs_cross_pools(acts in vec(acts(), 8..40)) {
        play(TestArray::in_two_pools(), acts)?;
    }
}
