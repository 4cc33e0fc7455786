//! Changes by the ELB API and by the file disturb no traffic: each request is answered, by the
//! backend that its session is with, and what has not changed keeps its sockets.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};

use crate::harness::{Backend, Directory, Elbow, Listener, Setup, Traffic};

/// A port of loopback that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// The load balancer `web`, sticky, and what changes of it need.
struct Stage {
    elbow: Elbow,
    /// For a listener more of `web`, and for other load balancers.
    port: u16,
    backends: [Backend; 2],
    spare: Backend,
    directory: Directory,
}

impl Stage {
    fn new() -> Self {
        let backends = ["one", "two"].map(Backend::named);
        let directory = Directory::new();
        let toml = file(&backends, &directory, 60, 1);
        // The API names a listener by its port.
        let fixed = format!("port = {}\n", free_port());
        let elbow = Elbow::start(&toml.replace("port = 0\n", &fixed));
        elbow.expect_in_service(&backends.each_ref());
        Self {
            elbow,
            port: free_port(),
            backends,
            spare: Backend::named("spare"),
            directory,
        }
    }

    /// Makes fourteen changes by the API; what the first ones make the others take back.
    fn change(&self, round: usize) {
        let (port, front, spare) = (self.port, self.elbow.address().port(), self.spare.address);
        let listener = format!(
            "Listeners.member.1.Protocol=HTTP&Listeners.member.1.LoadBalancerPort={port}&\
             Listeners.member.1.InstancePort={}",
            spare.port()
        );
        let policy = |name: &str| {
            format!(
                "SetLoadBalancerPoliciesOfListener&LoadBalancerPort={front}&\
                 PolicyNames.member.1={name}"
            )
        };
        let register =
            format!("RegisterInstancesWithLoadBalancer&Instances.member.1.InstanceId={spare}");
        let deregister =
            format!("DeregisterInstancesFromLoadBalancer&Instances.member.1.InstanceId={spare}");
        let (idle, interval) = (60 + round, 5 + round);
        let web = [
            register.clone(),
            format!("CreateLBCookieStickinessPolicy&PolicyName=p-{round}"),
            policy(&format!("p-{round}")),
            format!("CreateLoadBalancerListeners&{listener}"),
            format!(
                "ModifyLoadBalancerAttributes&\
                 LoadBalancerAttributes.ConnectionSettings.IdleTimeout={idle}"
            ),
            policy("by-duration"),
            format!("DeleteLoadBalancerPolicy&PolicyName=p-{round}"),
            format!("DeleteLoadBalancerListeners&LoadBalancerPorts.member.1={port}"),
            format!(
                "ConfigureHealthCheck&HealthCheck.Target=HTTP:8080/health&\
                 HealthCheck.Interval={interval}&HealthCheck.Timeout=2&\
                 HealthCheck.UnhealthyThreshold=2&HealthCheck.HealthyThreshold=2"
            ),
            deregister.clone(),
        ];
        let other = [
            format!("CreateLoadBalancer&AvailabilityZones.member.1=us-east-1a&{listener}"),
            register,
            deregister,
            "DeleteLoadBalancer".to_owned(),
        ];
        let named = |name: &str, action: &String| {
            let form = format!("LoadBalancerName={name}&Action={action}");
            self.elbow.change(&form);
        };
        web.iter().for_each(|action| named("web", action));
        other.iter().for_each(|action| named("other", action));
    }
}

/// A configuration with `web`, whose cookies last so long, and so many listeners.
fn file(backends: &[Backend; 2], directory: &Directory, seconds: u32, listeners: usize) -> String {
    let state_dir = format!("state_dir = {:?}", directory.path().join("state"));
    let listener = Listener {
        is_sticky: true,
        ..Listener::default()
    };
    let addresses = backends.each_ref().map(|backend| backend.address);
    Setup::sticky(&addresses, Some(seconds))
        .host(state_dir)
        .listeners(&vec![listener; listeners])
        .to_toml()
}

/// The sockets that listen there.
fn listening(address: SocketAddr) -> BTreeSet<String> {
    let SocketAddr::V4(address) = address else {
        panic!("{address} is none of IPv4");
    };
    let octets = u32::from_le_bytes(address.ip().octets());
    let local = format!("{octets:08X}:{:04X}", address.port());
    let table = fs::read_to_string("/proc/self/net/tcp").expect("Linux has it");
    let rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    // Columns: number, local address, remote address, state, …, the inode as the tenth.
    let ours = rows.filter(|row| row[1] == local && row[3] == "0A");
    ours.map(|row| row[9].to_owned()).collect()
}

#[test]
fn no_request_is_lost_while_the_api_changes_its_load_balancer_and_others() {
    const ROUNDS: usize = 8;
    let stage = Stage::new();
    let kept = Traffic::begin(&stage.elbow, false);
    let closing = Traffic::begin(&stage.elbow, true);
    for round in 0..ROUNDS {
        stage.change(round);
    }
    kept.end();
    closing.end();
    assert_eq!(stage.elbow.sum("elbow_panics_total"), 0);
    assert_eq!(stage.elbow.sum("elbow_listen_errors_total"), 0);
}

#[test]
fn no_new_connection_is_lost_while_files_bring_and_take_listeners_and_load_balancers() {
    const RELOADS: u32 = 30;
    let backends = ["one", "two"].map(Backend::named);
    let directory = Directory::new();
    let elbow = Elbow::start(&file(&backends, &directory, 60, 1));
    elbow.expect_in_service(&backends.each_ref());
    let other = Setup::new(&[backends[0].address]).to_toml();
    let other = &other[other.find("[[load_balancer]]").expect("it has one")..];
    let traffic = Traffic::begin(&elbow, true);
    for round in 1..=RELOADS {
        let listeners = if round % 3 == 0 { 2 } else { 1 };
        let mut toml = file(&backends, &directory, 60 + round, listeners);
        for number in 0..round % 4 {
            toml += &other.replace("\"web\"", &format!("\"other-{number}\""));
        }
        assert!(elbow.reload(&toml));
    }
    traffic.end();
    assert_eq!(elbow.sum("elbow_panics_total"), 0);
    assert_eq!(elbow.sum("elbow_listen_errors_total"), 0);
}

#[test]
fn a_listener_that_goes_on_keeps_the_sockets_of_all_shards() {
    let stage = Stage::new();
    let address = stage.elbow.address();
    let before = listening(address);
    assert_eq!(before.len(), 2, "one for each shard");
    stage.change(0);
    assert_eq!(listening(address), before, "after changes by the API");
    let fixed = format!("port = {}\n", address.port());
    let toml = file(&stage.backends, &stage.directory, 61, 2).replacen("port = 0\n", &fixed, 1);
    assert!(stage.elbow.reload(&toml));
    assert_eq!(listening(address), before, "after the file has changed");
    let second = stage.elbow.listeners_of("web")[1];
    let toml = file(&stage.backends, &stage.directory, 62, 1).replace("port = 0\n", &fixed);
    assert!(stage.elbow.reload(&toml));
    assert_eq!(
        listening(address),
        before,
        "after a listener beside it has gone"
    );
    assert_eq!(listening(second), BTreeSet::new());
}
