//! `inqraid -gvinf`, `-svinf` and `-gplba`: the partition tables of LDEVs, kept in files and
//! written back (`cci` 5b).
//!
//! A resync makes an S-VOL's partition table and signature those of the P-VOL. `-gvinf` keeps what
//! an LDEV has in `$HORCMROOT/etc/VOL<serial>_<ldev>.ini`, `-svinf` writes it back to the same LDEV,
//! through whatever disk it is reached then. Only blocks of tables are written, never a volume's
//! own, and only to an LDEV of the same serial number, number and size.

use std::path::{Path, PathBuf};

use model::{CciError, CciResult, Code};
use scsi::disks::io::DiskIo;
use scsi::disks::{HostDisk, Identity};

use crate::{
    failure::Outcome,
    finding::{host, wait},
    partitions::{BLOCK, Block, Gpt, Partition, gpt, mbr},
    platform::not_in_use,
    session::Session,
};

/// The largest file that is read back: 2 x 129 blocks and what stands around them.
const MOST_BYTES: u64 = 1 << 20;

/// The partition table of an LDEV.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    serial: u32,
    ldev: u32,
    /// Bytes of the LDEV.
    bytes: u64,
    /// The blocks of the table by their numbers.
    blocks: Vec<(u64, Block)>,
}

/// A table that was read from a disk.
struct Table {
    signature: u32,
    partitions: Vec<Partition>,
    blocks: Vec<(u64, Block)>,
}

impl Kept {
    fn text(&self) -> String {
        let mut text = format!(
            "# The partition table of an LDEV, kept by inqraid -gvinf.\nserial {}\nldev {}\nbytes {}\n",
            self.serial, self.ldev, self.bytes
        );
        for (number, block) in &self.blocks {
            let hex: String = block.iter().map(|byte| format!("{byte:02x}")).collect();
            text.push_str(&format!("block {number} {hex}\n"));
        }
        text.push_str(&format!("crc32c {:08x}\n", crc32c::crc32c(text.as_bytes())));
        text
    }

    /// What a file says, or what is wrong with it.
    fn parse(text: &str) -> Result<Self, String> {
        let damaged = || "it is damaged: its checksum does not match".to_owned();
        let end = text.trim_end_matches('\n').rfind("\ncrc32c ").ok_or_else(damaged)? + 1;
        let (body, sum) = text.split_at(end);
        let sum = sum.trim_end().strip_prefix("crc32c ").ok_or_else(damaged)?;
        if sum != format!("{:08x}", crc32c::crc32c(body.as_bytes())) {
            return Err(damaged());
        }
        let mut kept = Self { serial: 0, ldev: 0, bytes: 0, blocks: Vec::new() };
        for line in body.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let wrong = || format!("it has a line that is not understood: {line:.40}");
            let number = |word: &str| word.parse::<u64>().map_err(|_| wrong());
            let short = |word: &str| word.parse::<u32>().map_err(|_| wrong());
            match words.as_slice() {
                ["serial", word] => kept.serial = short(word)?,
                ["ldev", word] => kept.ldev = short(word)?,
                ["bytes", word] => kept.bytes = number(word)?,
                ["block", word, hex] => {
                    kept.blocks.push((number(word)?, from_hex(hex).ok_or_else(wrong)?));
                }
                _ => return Err(wrong()),
            }
        }
        Ok(kept)
    }
}

fn from_hex(hex: &str) -> Option<Block> {
    let digits = hex.as_bytes().as_chunks::<2>().0;
    let bytes: Option<Vec<u8>> = digits
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    (hex.len() == 2 * BLOCK).then_some(bytes?)?.try_into().ok()
}

/// Where the table of an LDEV is kept.
fn file(session: &Session<'_, '_>, identity: &Identity) -> PathBuf {
    let name = format!("VOL{}_{}.ini", identity.serial, identity.ldev);
    session.world.home.root().join("etc").join(name)
}

fn failed(disk: &HostDisk, code: Code, cause: impl Into<String>) -> CciError {
    CciError::new(code).object(disk.device_file.clone()).cause(cause)
}

/// The LDEVs among disks that may have a partition table.
fn volumes(disks: &[HostDisk]) -> CciResult<Vec<(&HostDisk, &Identity)>> {
    let ours = disks.iter().filter_map(|disk| Some((disk, disk.identity.as_ref()?)));
    let volumes: Vec<_> = ours.filter(|(_, identity)| !identity.command_device).collect();
    if volumes.is_empty() {
        return Err(CciError::new(Code::ExEnodev)
            .object("the device list")
            .cause("no disk of it is an LDEV with data")
            .advice("inqraid -CLI $Phys lists the disks of this host"));
    }
    Ok(volumes)
}

fn product(disk: &HostDisk) -> &str {
    disk.inquiry.as_ref().map_or("-", |inquiry| inquiry.product.as_str())
}

/// `-gvinf`: keeps the tables of the LDEVs among these disks.
pub(crate) fn keep(session: &mut Session<'_, '_>, disks: &[HostDisk]) -> Outcome {
    for (disk, identity) in volumes(disks)? {
        let (bytes, table) = read(session, disk)?;
        let (serial, ldev) = (identity.serial.get(), identity.ldev.get());
        let Some(table) = table else {
            writeln!(
                session.out(),
                "{} -> no partition table [{:<16}]",
                disk.device_file,
                product(disk)
            )?;
            continue;
        };
        let path = file(session, identity);
        let text = Kept { serial, ldev, bytes, blocks: table.blocks }.text();
        store(&path, &text).map_err(|error| {
            failed(disk, Code::ExEnoent, format!("{}: {error}", path.display()))
        })?;
        writeln!(
            session.out(),
            "{} -> [VOL{serial}_{ldev}_{:08X}] [{:<16}]",
            disk.device_file,
            table.signature,
            product(disk)
        )?;
    }
    Ok(0)
}

/// The whole file or none of it.
fn store(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::File::create(&new)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

/// `-svinf`: writes the tables back that were kept. All of them are checked before the first is
/// written.
pub(crate) fn restore(session: &mut Session<'_, '_>, disks: &[HostDisk]) -> Outcome {
    let mut checked = Vec::new();
    for (disk, identity) in volumes(disks)? {
        checked.push((disk, identity, kept(session, disk, identity)?));
    }
    for (disk, identity, kept) in checked {
        write(session, disk, &kept)?;
        let first = kept.blocks.iter().find(|(number, _)| *number == 0);
        let gpt = kept.blocks.iter().find(|(number, _)| *number == 1);
        let gpt = gpt.and_then(|(_, block)| self::gpt(block, kept.bytes / BLOCK as u64));
        let mbr = first.and_then(|(_, block)| mbr(block));
        let signature = signature(gpt.as_ref(), mbr.map_or(0, |mbr| mbr.signature));
        writeln!(
            session.out(),
            "[VOL{}_{}_{signature:08X}] -> {} [{:<16}]",
            identity.serial,
            identity.ldev,
            disk.device_file,
            product(disk)
        )?;
    }
    Ok(0)
}

fn kept(session: &Session<'_, '_>, disk: &HostDisk, identity: &Identity) -> CciResult<Kept> {
    let path = file(session, identity);
    let bad = |cause: String| failed(disk, Code::ExEnoent, format!("{}: {cause}", path.display()));
    let length = std::fs::metadata(&path).map_err(|error| {
        bad(error.to_string()).advice("keep its partition table first: inqraid -gvinf")
    })?;
    if length.len() > MOST_BYTES {
        return Err(bad("it is too long for a partition table".into()));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
    let kept = Kept::parse(&text).map_err(bad)?;
    if (kept.serial, kept.ldev) != (identity.serial.get(), identity.ldev.get()) {
        let cause = format!("it is of LDEV {} of Serial# {}", kept.ldev, kept.serial);
        return Err(bad(cause));
    }
    if kept.blocks.iter().any(|(block, _)| *block >= kept.bytes / BLOCK as u64) {
        return Err(bad("it names a block beyond the end of the LDEV".into()));
    }
    let (bytes, _) = read(session, disk)?;
    if bytes != kept.bytes {
        let cause = format!("it is of {} bytes, and the disk has {bytes}", kept.bytes);
        return Err(bad(cause));
    }
    Ok(kept)
}

/// `-gplba`: where the partitions of disks are.
pub(crate) fn show_partitions(session: &mut Session<'_, '_>, disks: &[HostDisk]) -> Outcome {
    for (disk, _) in volumes(disks)? {
        let (_, table) = read(session, disk)?;
        let table = table.map(|table| table.partitions).unwrap_or_default();
        for Partition { number, first, blocks } in table {
            writeln!(
                session.out(),
                "{} PTN{number} LBA = {first} BLOCKS = {blocks}",
                disk.device_file
            )?;
        }
    }
    Ok(0)
}

fn signature(gpt: Option<&Gpt>, mbr: u32) -> u32 {
    let guid =
        gpt.map(|gpt| u32::from_le_bytes([gpt.disk[0], gpt.disk[1], gpt.disk[2], gpt.disk[3]]));
    guid.unwrap_or(mbr)
}

/// Bytes of a disk and the table on it.
fn read(session: &Session<'_, '_>, disk: &HostDisk) -> CciResult<(u64, Option<Table>)> {
    let host = host(session.world)?;
    let asked = async {
        let io = host.open(disk).await?;
        let bytes = io.size().await?;
        Ok::<_, std::io::Error>((bytes, table(&io, bytes / BLOCK as u64).await?))
    };
    wait(asked)?.map_err(|error| failed(disk, Code::ExEnodev, error.to_string()))
}

async fn table(io: &DiskIo, blocks: u64) -> std::io::Result<Option<Table>> {
    let read = async |first: u64, count: u64| -> std::io::Result<Vec<(u64, Block)>> {
        let bytes = io.read(first * BLOCK as u64, count as usize * BLOCK).await?;
        Ok((first..).zip(bytes.as_chunks().0.iter().copied()).collect())
    };
    if blocks < 2 {
        return Ok(None);
    }
    let mut kept = read(0, 2).await?;
    let Some(mbr) = mbr(&kept[0].1) else {
        return Ok(None);
    };
    let Some(gpt) = gpt(&kept[1].1, blocks).filter(|_| mbr.protective) else {
        kept.truncate(1);
        let (signature, partitions) = (mbr.signature, mbr.partitions);
        return Ok(Some(Table { signature, partitions, blocks: kept }));
    };
    let entries = read(gpt.entries, gpt.entry_blocks()).await?;
    let bytes: Vec<u8> = entries.iter().flat_map(|(_, block)| *block).collect();
    let other = gpt.alternate - gpt.entry_blocks();
    kept.extend(entries);
    kept.extend(read(other, gpt.entry_blocks() + 1).await?);
    let signature = signature(Some(&gpt), mbr.signature);
    Ok(Some(Table { signature, partitions: gpt.partitions(&bytes), blocks: kept }))
}

fn write(session: &Session<'_, '_>, disk: &HostDisk, kept: &Kept) -> CciResult<()> {
    let host = host(session.world)?;
    let written = async {
        not_in_use(Path::new(&disk.device_file))?;
        let io = host.open(disk).await?;
        // Block 0 last: without it the rest says nothing yet.
        for (number, block) in kept.blocks.iter().rev() {
            io.write(number * BLOCK as u64, block.to_vec()).await?;
        }
        io.flush().await
    };
    wait(written)?.map_err(|error| {
        failed(disk, Code::ExEnodev, error.to_string())
            .advice("see that nothing of it is mounted and that it is writable")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partitions::tests::sample;

    fn kept() -> Kept {
        Kept { serial: 62_496, ldev: 18, bytes: 1 << 30, blocks: vec![(0, sample(0xda7c_0d91))] }
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        assert_eq!(Kept::parse(&kept().text()), Ok(kept()));
    }

    #[test]
    fn a_file_that_was_changed_is_refused() {
        let text = kept().text();
        for changed in [
            text.replace("ldev 18", "ldev 19"),
            text.replace("block 0 00", "block 0 01"),
            text.replace("crc32c ", "crc32c 0"),
            text[..text.len() / 2].to_owned(),
            String::new(),
        ] {
            assert!(Kept::parse(&changed).unwrap_err().contains("checksum"), "{changed:.60}");
        }
    }
}
