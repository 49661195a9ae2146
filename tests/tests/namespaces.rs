//! Two hosts, as two network namespaces: instances that share a key work together, instances
//! that do not say so. Needs root; `cargo xtask test` says when it cannot run these.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use lab::{
    Carrier, Lab, Outcome,
    lab::{HBA, until},
    run,
};
use model::Code;

/// Two namespaces with a cable between them, removed at the end.
struct Cable {
    near: String,
    far: String,
}

const NEAR: &str = "10.77.5.1";
const FAR: &str = "10.77.5.2";

fn ip(line: &str) {
    let output =
        Command::new("ip").args(line.split_whitespace()).output().expect("ip is installed");
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Cable {
    fn lay(tag: &str) -> Self {
        let id = std::process::id();
        let cable = Self { near: format!("lab{id}{tag}n"), far: format!("lab{id}{tag}f") };
        let (near, far) = (&cable.near, &cable.far);
        let (eth_near, eth_far) = (format!("v{id}{tag}n"), format!("v{id}{tag}f"));
        ip(&format!("netns add {near}"));
        ip(&format!("netns add {far}"));
        ip(&format!("link add {eth_near} netns {near} type veth peer name {eth_far} netns {far}"));
        for (ns, eth, address) in [(near, eth_near, NEAR), (far, eth_far, FAR)] {
            ip(&format!("-n {ns} link set lo up"));
            ip(&format!("-n {ns} addr add {address}/24 dev {eth}"));
            ip(&format!("-n {ns} link set {eth} up"));
        }
        cable
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for ns in [&self.near, &self.far] {
            drop(Command::new("ip").args(["netns", "delete", ns]).status());
        }
    }
}

/// One host: a namespace, a root of its own, one instance.
struct Host<'a> {
    lab: &'a Lab,
    namespace: String,
    root: PathBuf,
    instance: u16,
    carrier: Carrier,
}

impl Host<'_> {
    fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(program);
        command.env("HORCMROOT", &self.root).env("HORCMINST", self.instance.to_string());
        command.env("HORCC_MRCF", "1");
        command
    }

    #[track_caller]
    fn cci(&self, line: &str) -> Outcome {
        let mut words = line.split_whitespace();
        let mut command = self.command(&self.lab.links().join(words.next().unwrap()));
        command.args(words);
        run::run(command, format!("{}: {line}", self.namespace), b"", Duration::from_secs(120))
    }

    fn conf(&self, own: &str, peer: &str) {
        let (n, other) = (self.instance, if self.instance == 50 { 51 } else { 50 });
        let (lun, mu) = if n == 50 { (1, 2) } else { (2, 0) };
        let device = self.carrier.device().replace("127.0.0.1", NEAR);
        let text = format!(
            "HORCM_MON\n{own} 520{n} 1000 300\nHORCM_CMD\n{device}\n\
             HORCM_DEV\nsnap snapdev1 CL2-C 25 {lun} {mu}\nHORCM_INST\nsnap {peer} 520{other}\n"
        );
        fs::create_dir_all(self.root.join("etc")).unwrap();
        fs::write(self.root.join(format!("etc/horcm{n}.conf")), text).unwrap();
        fs::write(self.root.join("etc").join(HBA), format!("{NEAR}:3260\n")).unwrap();
    }
}

/// An arrayd in the near namespace, ended at the end.
struct Array(Child);

impl Drop for Array {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn array(near: &Host<'_>, further_key: Option<&PathBuf>) -> Array {
    let lab = near.lab;
    lab.init_array().ok();
    let log = lab.path("array.log");
    let file = fs::File::create(&log).unwrap();
    let mut command = near.command(&lab::binaries::folder().join("arrayd"));
    command.arg("run").arg(lab.array_dir()).args(["--listen", &format!("{NEAR}:31001")]);
    if near.carrier == Carrier::InBand {
        command.args(["--iscsi", &format!("{NEAR}:3260")]);
    }
    if let Some(key) = further_key {
        command.arg("--key").arg(key);
    }
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = command.spawn().unwrap();
    until("the array is ready", || {
        let said = fs::read_to_string(&log).unwrap();
        assert!(child.try_wait().unwrap().is_none(), "arrayd ended: {said}");
        said.contains("ready")
    });
    Array(child)
}

fn key(root: &std::path::Path) -> PathBuf {
    root.join(".uds/horcm.key")
}

fn make_key(root: &std::path::Path) {
    fs::create_dir_all(root.join(".uds")).unwrap();
    protocol::Key::load_or_create(&key(root)).unwrap();
}

fn hosts<'a>(carrier: Carrier, lab: &'a Lab, cable: &Cable) -> (Host<'a>, Host<'a>) {
    let host = |namespace: &str, name, instance| {
        let (namespace, root) = (namespace.to_owned(), lab.path(name));
        Host { lab, namespace, root, instance, carrier }
    };
    let (near, far) = (host(&cable.near, "near", 50), host(&cable.far, "far", 51));
    near.conf(NEAR, FAR);
    far.conf(FAR, NEAR);
    (near, far)
}

lab::on_every_carrier! {
    instances_on_two_hosts_with_one_key_work_together,
    instances_with_different_keys_say_so_within_their_timeout,
}

fn instances_on_two_hosts_with_one_key_work_together(carrier: Carrier) {
    let (lab, cable) = (Lab::on(carrier), Cable::lay("a"));
    let (near, far) = hosts(carrier, &lab, &cable);
    make_key(&near.root);
    make_key(&far.root);
    fs::copy(key(&near.root), key(&far.root)).unwrap();
    let _array = array(&near, None);
    near.cci("horcmstart 50").ok();
    far.cci("horcmstart 51").ok();

    far.cci("paircreate -g snap -vr").ok();
    far.cci("pairevtwait -g snap -s pair -t 60").ok();
    for host in [&near, &far] {
        let rows = host.cci("pairdisplay -g snap -CLI").ok().to_string();
        assert!(rows.contains("P-VOL PAIR") && rows.contains("S-VOL PAIR"), "{rows}");
    }
    near.cci("pairsplit -g snap -S").ok();
    far.cci("horcmshutdown 51").ok();
    near.cci("horcmshutdown 50").ok();
}

fn instances_with_different_keys_say_so_within_their_timeout(carrier: Carrier) {
    let (lab, cable) = (Lab::on(carrier), Cable::lay("b"));
    let (near, far) = hosts(carrier, &lab, &cable);
    make_key(&near.root);
    make_key(&far.root);
    let _array = array(&near, Some(&key(&far.root)));
    near.cci("horcmstart 50").ok();
    far.cci("horcmstart 51").ok();

    // HORCM_MON's timeout is 300, which is 3 s. The first datagrams cross while the daemons
    // start, so the reason may take one poll to be known on both sides.
    for host in [&near, &far] {
        until("the host names the other key", || {
            let started = Instant::now();
            let said = host.cci("pairdisplay -g snap");
            assert!(started.elapsed() < Duration::from_secs(5), "{said}");
            let reason = said.fails(Code::ExEnormt).to_string();
            assert!(said.stdout.contains("snapdev1(L)"), "{said}");
            reason.contains("another key")
        });
        host.cci("paircreate -g snap -vl").fails(Code::ExEnormt);
        assert_eq!(host.cci("pairvolchk -g snap -ss").code, Some(11));
    }
    far.cci("horcmshutdown 51").ok();
    near.cci("horcmshutdown 50").ok();
}
