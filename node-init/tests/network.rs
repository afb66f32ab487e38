//! The network part against real servers: dnsmasq, chrony and lldpd in a network namespace, this test in another. Needs
//! root and the Debian packages that `images/packages.sh test` installs; it fails where it cannot run.

#![expect(clippy::unwrap_used, reason = "this is a test; its helpers are not marked so")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use node_init::clock::{Clock as _, Monotonic};
use node_init::net::{self, NetError, Network, Wish};
use node_init::system::linux::Linux;

/// Set in the process that runs inside the node's namespace.
const INSIDE: &str = "ASSAY_TEST_INSIDE";

fn sh(command: &str) {
    let done = Command::new("sh").args(["-ec", command]).status().unwrap();
    assert!(done.success(), "this test needs root, iproute2 and network namespaces: `{command}` failed");
}

/// Two namespaces, `switch` with the servers and `node`, and cables between them. Taken down when dropped.
struct Lab {
    name: String,
    servers: Vec<Child>,
}

impl Lab {
    fn new(name: &str, cables: usize) -> Self {
        let name = format!("{name}{}", std::process::id());
        let lab = Self { servers: Vec::new(), name };
        let (switch, node) = (lab.switch(), lab.node());
        sh(&format!("ip netns add {switch}; ip netns add {node}; ip -n {switch} link set lo up"));
        for n in 0..cables {
            sh(&format!("ip link add s{n} netns {switch} type veth peer name e{n} netns {node}"));
            sh(&format!("ip -n {switch} link set s{n} up; ip -n {switch} addr add 10.77.{n}.1/24 dev s{n}"));
        }
        lab
    }

    fn switch(&self) -> String {
        format!("{}-s", self.name)
    }

    fn node(&self) -> String {
        format!("{}-n", self.name)
    }

    fn serve(&mut self, program: &str, arguments: &[&str]) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.switch(), program]).args(arguments);
        let server = command.stdout(Stdio::null()).spawn().unwrap();
        self.servers.push(server);
    }

    fn dnsmasq(&mut self, more: &[&str]) {
        let mut arguments = vec![
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
            "--port=0",
            "--no-ping",
            "--bind-interfaces",
            "--pid-file=",
            "--leasefile-ro",
            "--interface=s0",
            "--log-facility=-", // the system log may be absent, and dnsmasq ends then
        ];
        arguments.extend(more);
        self.serve("dnsmasq", &arguments);
    }

    /// Runs a test of this program inside the node's namespace.
    fn inside(&self, test: &str) {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.node()]).arg(program).args(["--exact", test, "--nocapture"]);
        let done = command.env(INSIDE, "1").status().unwrap();
        assert!(done.success(), "`{test}` failed inside the namespace");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        for name in [self.switch(), self.node()] {
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn up(seconds: u64) -> Result<Network, NetError> {
    let deadline = Duration::from_secs(seconds);
    let wish = Wish { boot_mac: None, deadline, dhcp4: true, ipv6: false };
    net::bring_up(&Linux, &wish, &Monotonic::start())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_lease_of_dnsmasq_becomes_address_routes_and_names() {
    if is_inside() {
        let network = up(30).unwrap();
        let live = network.links.iter().find(|link| link.name == "e0").unwrap();
        assert_eq!(live.addresses[0].to_string(), "10.77.0.50/24");
        assert_eq!(live.reason, None);
        assert_eq!(live.gateway, Some([10, 77, 0, 1].into()));
        let dead = network.links.iter().find(|link| link.name == "e1").unwrap();
        assert!(dead.reason.is_some() && dead.addresses.is_empty(), "{dead:?}");
        assert_eq!(network.dns, ["10.77.0.3".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!(network.ntp, ["10.77.0.4".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!(network.search, ["example.net"]);
        assert_eq!(network.hostname.as_deref(), Some("node-7"));
        assert_eq!(network.options[&224], "https://inventory:8443");
        let address = output("ip", &["-4", "addr", "show", "e0"]);
        assert!(
            address.contains("inet 10.77.0.50/24 metric 102 brd 10.77.0.255") && address.contains("mtu 1400"),
            "{address}"
        );
        let routes = output("ip", &["route"]);
        assert!(routes.contains("default via 10.77.0.1 dev e0 proto dhcp"), "{routes}");
        return;
    }
    let mut lab = Lab::new("lease", 2);
    lab.dnsmasq(&[
        "--dhcp-range=10.77.0.50,10.77.0.50,255.255.255.0,10m",
        "--dhcp-option=3,10.77.0.1",
        "--dhcp-option=6,10.77.0.3",
        "--dhcp-option=42,10.77.0.4",
        "--dhcp-option=15,example.net",
        "--dhcp-option-force=12,node-7",
        "--dhcp-option=26,1400",
        "--dhcp-option=224,https://inventory:8443",
    ]);
    lab.inside("a_lease_of_dnsmasq_becomes_address_routes_and_names");
}

#[test]
fn without_a_server_each_link_says_so() {
    if is_inside() {
        let error = up(3).unwrap_err();
        assert_eq!(error.code(), "NO_DHCP");
        let NetError::NoAddress { links, .. } = error else { panic!("{error}") };
        assert!(links[0].attempts >= 1);
        return;
    }
    Lab::new("none", 1).inside("without_a_server_each_link_says_so");
}

#[test]
fn a_slow_server_is_waited_for_and_a_dead_cable_is_named() {
    if is_inside() {
        let clock = Monotonic::start();
        let network = up(60).unwrap();
        assert!(clock.now() >= Duration::from_secs(5), "dnsmasq waits before it answers");
        let [slow, dead] = &network.links[..] else { panic!("{:?}", network.links) };
        assert_eq!(slow.addresses[0].to_string(), "10.77.0.50/24");
        assert!(slow.attempts >= 3, "the first packet was sent twice: {slow:?}");
        assert_eq!((dead.carrier, dead.reason.clone()), (false, Some(net::Reason::NoCarrier)));
        assert_eq!(dead.attempts, 0);
        return;
    }
    let mut lab = Lab::new("slow", 2);
    sh(&format!("ip -n {} link set s1 down", lab.switch()));
    lab.dnsmasq(&["--dhcp-range=10.77.0.50,10.77.0.50,255.255.255.0,10m", "--dhcp-reply-delay=6"]);
    lab.inside("a_slow_server_is_waited_for_and_a_dead_cable_is_named");
}

#[test]
fn lldpd_is_heard_as_the_neighbour() {
    if is_inside() {
        // Its first words may be those of before it read its settings, and it may have been heard before the lease.
        let is_set_up = |heard: &Option<net::lldp::Neighbour>| {
            heard.as_ref().is_some_and(|heard| heard.system.as_deref() == Some("leaf-3"))
        };
        let network = up(30).unwrap();
        let mut heard = network.links[0].neighbour.clone();
        let (clock, stop) = (Monotonic::start(), AtomicBool::new(is_set_up(&heard)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while clock.now() < Duration::from_secs(30) && !stop.load(Ordering::Relaxed) {
                    clock.sleep(Duration::from_millis(100));
                }
                stop.store(true, Ordering::Relaxed);
            });
            let mut changed = |links: &[net::LinkReport]| {
                heard.clone_from(&links[0].neighbour);
                stop.fetch_or(is_set_up(&heard), Ordering::Relaxed);
            };
            network.keeper.run(&Linux, &clock, &stop, &mut changed).unwrap();
        });
        let heard = heard.expect("lldpd sends once a second");
        assert_eq!(
            (heard.system.as_deref(), heard.port_description.as_deref()),
            (Some("leaf-3"), Some("s0"))
        );
        assert_eq!(
            (heard.chassis.len(), heard.port.len()),
            (17, 17),
            "both are Ethernet addresses: {heard:?}"
        );
        assert!(heard.valid_seconds > 0);
        return;
    }
    let mut lab = Lab::new("lldp", 1);
    lab.dnsmasq(&["--dhcp-range=10.77.0.50,10.77.0.50,255.255.255.0,10m"]);
    // Open to the user that lldpd becomes.
    let dir = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap();
    let (socket, settings) = (dir.path().join("socket"), dir.path().join("settings"));
    std::fs::write(&settings, "configure lldp tx-interval 1\nconfigure system hostname leaf-3\n").unwrap();
    let (socket, settings) = (socket.to_str().unwrap(), settings.to_str().unwrap());
    lab.serve("lldpd", &["-d", "-I", "s0", "-u", socket, "-O", settings]);
    lab.inside("lldpd_is_heard_as_the_neighbour");
}

#[test]
fn the_time_comes_from_chrony() {
    if is_inside() {
        let network = up(30).unwrap();
        let clock = Monotonic::start();
        let server = (network.ntp[0], net::ntp::PORT).into();
        let offset = (0..20).find_map(|nonce| {
            let wait = Duration::from_secs(1);
            let asked = net::ntp::ask(
                server,
                wait,
                &clock,
                nonce + 1,
                UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            );
            // A server that has just started refuses the port; the next question is asked later.
            asked.inspect_err(|_| clock.sleep(wait / 4)).ok()
        });
        let offset = offset.expect("chrony answers within some seconds");
        assert!(offset.by < Duration::from_secs(1), "one machine has one clock: {offset:?}");
        return;
    }
    let mut lab = Lab::new("ntp", 1);
    let range = "--dhcp-range=10.77.0.50,10.77.0.50,255.255.255.0,10m";
    lab.dnsmasq(&[range, "--dhcp-option=3,10.77.0.1", "--dhcp-option=42,10.77.0.1"]);
    // A file of its own: chrony unlinks what it is told here when it ends.
    let dir = tempfile::tempdir().unwrap();
    let pid = format!("pidfile {}", dir.path().join("chrony.pid").display());
    let lines = ["local stratum 5", "allow all", "cmdport 0", "bindaddress 10.77.0.1", &pid];
    lab.serve("chronyd", &[&["-d", "-x", "-u", "root"], &lines[..]].concat());
    lab.inside("the_time_comes_from_chrony");
}
