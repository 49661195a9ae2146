//! What people would use instead, where it is installed.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use crate::{
    report::{Curve, Report, median, ms},
    splits::{GIB, scattered},
};

/// A program's output; `None` when it is not there or fails.
fn output(program: &str, args: &[&str]) -> Option<Output> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    output.status.success().then_some(output)
}

/// A file that fio works on; false without fio.
pub fn fio_lays_out(file: &Path) -> bool {
    fio(file, "write", 1 << 20, GIB, 0, false).is_some()
}

/// Bytes a second of one job through plain pread and pwrite, with an fsync at the end of writes;
/// `cold` with nothing of the file in memory.
pub fn fio(file: &Path, kind: &str, block: usize, size: u64, seed: u64, cold: bool) -> Option<f64> {
    let name = format!("--filename={}", file.display());
    let args = [
        "--name=job".to_owned(),
        name,
        format!("--rw={kind}"),
        format!("--bs={block}"),
        format!("--size={GIB}"),
        format!("--io_size={size}"),
        format!("--randseed={}", seed + 1),
        "--ioengine=psync".into(),
        "--end_fsync=1".into(),
        format!("--invalidate={}", u8::from(cold)),
        "--norandommap=1".into(),
        "--output-format=json".into(),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let text = String::from_utf8(output("fio", &args)?.stdout).ok()?;
    // The runtime of writes does not count the fsync; the job's own does.
    let runtime = number_after(&text, "\"job_runtime\"")?;
    Some(size as f64 / (runtime.max(1) as f64 / 1000.0))
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.split_once(key)?.1.trim_start_matches([' ', ':']);
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A file system on a loop device, gone with the value.
struct Loop {
    device: String,
    at: PathBuf,
}

impl Loop {
    fn new(dir: &Path, name: &str, make: &[&str]) -> Option<Self> {
        let image = dir.join(format!("{name}.img"));
        File::create(&image).ok()?.set_len(12 * GIB).ok()?;
        let found = output("losetup", &["--find", "--show", &image.to_string_lossy()])?;
        let device = String::from_utf8(found.stdout).ok()?.trim().to_owned();
        let at = dir.join(name);
        fs::create_dir_all(&at).ok()?;
        let this = Self { device: device.clone(), at: at.clone() };
        let (program, rest) = make.split_first()?;
        output(program, &[rest, &[device.as_str()]].concat())?;
        output("mount", &[&device, &at.to_string_lossy()])?;
        Some(this)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = output("umount", &[&self.at.to_string_lossy()]);
        let _ = output("losetup", &["--detach", &self.device]);
        let _ = fs::remove_file(self.at.with_extension("img"));
    }
}

/// The work of a curve: 1 GiB freshly written, then random rewrites; `copy` is timed.
fn by_rewrites(
    file: &Path,
    mut copy: impl FnMut(u64) -> Option<Duration>,
) -> Option<Vec<(u64, Duration)>> {
    let disk =
        File::options().read(true).write(true).create(true).truncate(false).open(file).ok()?;
    let mib = vec![0x5a; 1 << 20];
    for n in 0..GIB >> 20 {
        disk.write_all_at(&mib, n << 20).ok()?;
    }
    disk.sync_all().ok()?;
    let mut points = vec![(1, copy(0)?)];
    let mut done = 0;
    for (round, rewrites) in [(1, 10_000u64), (2, 60_000), (3, 200_000)] {
        while done < rewrites {
            done += 1;
            disk.write_all_at(&mib[..4096], scattered(done) % (GIB / 4096) * 4096).ok()?;
        }
        disk.sync_all().ok()?;
        points.push((rewrites, copy(round)?));
    }
    Some(points)
}

fn show(report: &mut Report, name: &'static str, points: Option<Vec<(u64, Duration)>>) {
    let Some(points) = points else {
        report.figure(name, "cannot run here");
        return;
    };
    for (rewrites, time) in &points {
        let history = if *rewrites == 1 { "fresh".into() } else { format!("{rewrites} rewrites") };
        report.figure(format!("{name}, 1 GiB, {history}"), ms(*time));
    }
    report.curve(Curve { name, points });
}

/// A copy by reflink on XFS, and a subvolume snapshot on btrfs.
pub fn reflink(dir: &Path, report: &mut Report) {
    let xfs = Loop::new(dir, "xfs", &["mkfs.xfs", "-q", "-f"]).and_then(|place| {
        let file = place.at.join("p");
        by_rewrites(&file, |round| {
            let source = File::open(&file).ok()?;
            let copy = File::create(place.at.join(format!("s{round}"))).ok()?;
            let began = Instant::now();
            rustix::fs::ioctl_ficlone(&copy, &source).ok()?;
            copy.sync_all().ok()?;
            Some(began.elapsed())
        })
    });
    show(report, "XFS reflink", xfs);
    let btrfs = Loop::new(dir, "btrfs", &["mkfs.btrfs", "-q", "-f"]).and_then(|place| {
        let volume = place.at.join("v");
        output("btrfs", &["subvolume", "create", &volume.to_string_lossy()])?;
        by_rewrites(&volume.join("p"), |round| {
            let copy = place.at.join(format!("s{round}"));
            let began = Instant::now();
            let args =
                ["subvolume", "snapshot", &volume.to_string_lossy(), &copy.to_string_lossy()];
            output("btrfs", &args)?;
            output("btrfs", &["filesystem", "sync", &place.at.to_string_lossy()])?;
            Some(began.elapsed())
        })
    });
    show(report, "btrfs snapshot", btrfs);
}

/// An internal snapshot of a qcow2 image, through qemu-storage-daemon.
pub fn qcow2(dir: &Path, report: &mut Report) {
    for (name, size) in
        [("qcow2 snapshot, 1 GiB full", GIB), ("qcow2 snapshot, 4 GiB full", 4 * GIB)]
    {
        let image = dir.join("image.qcow2");
        match qcow2_snapshots(&image, size) {
            Some(time) => report.figure(name, ms(time)),
            None => report.figure(name, "cannot run here"),
        }
        let _ = fs::remove_file(image);
    }
}

fn qcow2_snapshots(image: &Path, size: u64) -> Option<Duration> {
    let path = image.to_string_lossy();
    output("qemu-img", &["create", "-f", "qcow2", &path, &size.to_string()])?;
    let fill = format!("write -P 90 0 {size}");
    // qemu-io takes at most 2 GiB at once.
    if size <= GIB {
        output("qemu-io", &["-f", "qcow2", "-c", &fill, &path])?;
    } else {
        for part in 0..size / GIB {
            let fill = format!("write -P 90 {} {GIB}", part * GIB);
            output("qemu-io", &["-f", "qcow2", "-c", &fill, &path])?;
        }
    }
    let mut daemon = Daemon::start(&path)?;
    let mut times = Vec::new();
    for n in 0..5 {
        let began = Instant::now();
        daemon.ask(&format!(
            "{{\"execute\":\"blockdev-snapshot-internal-sync\",\"arguments\":{{\"device\":\"d\",\"name\":\"s{n}\"}}}}"
        ))?;
        times.push(began.elapsed());
    }
    Some(median(times))
}

struct Daemon {
    child: Child,
    input: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Daemon {
    fn start(image: &str) -> Option<Self> {
        let mut child = Command::new("qemu-storage-daemon")
            .args(["--chardev", "stdio,id=m", "--monitor", "chardev=m"])
            .arg("--blockdev")
            .arg(format!("driver=file,node-name=f,filename={image}"))
            .args(["--blockdev", "driver=qcow2,node-name=d,file=f"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let input = child.stdin.take()?;
        let answers = BufReader::new(child.stdout.take()?);
        let mut this = Self { child, input, answers };
        this.line()?;
        this.ask("{\"execute\":\"qmp_capabilities\"}")?;
        Some(this)
    }

    fn ask(&mut self, command: &str) -> Option<()> {
        writeln!(self.input, "{command}").ok()?;
        loop {
            let line = self.line()?;
            if line.contains("\"return\"") {
                return Some(());
            }
            if line.contains("\"error\"") {
                return None;
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.answers.read_line(&mut line).ok()?;
        (count > 0).then_some(line)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
