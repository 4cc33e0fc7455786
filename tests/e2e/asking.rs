//! The commands that ask a running elbow, and the configuration as it has it.

use std::fs;
use std::net::TcpListener;

use crate::harness::{Backend, Directory, Elbow, Outcome, Setup, Wire, get, post};

/// Runs a command against that elbow.
fn ask(elbow: &Elbow, arguments: &[&str]) -> Outcome {
    let admin = elbow.admin.to_string();
    let outcome = Outcome::of(&[arguments, &["--admin", &admin]].concat());
    assert!(!outcome.text.contains('\x1b'), "colours: {outcome:?}");
    outcome
}

fn expect(outcome: &Outcome, code: i32, lines: &[&str]) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    for line in lines {
        assert!(
            outcome.text.contains(line),
            "no {line:?} in\n{}",
            outcome.text
        );
    }
}

/// Carries out an action of the ELB API in another region than the host's.
fn act_abroad(elbow: &Elbow, form: &str) {
    let form = format!("{form}&Version=2012-06-01");
    let signature = "Authorization: AWS4-HMAC-SHA256 Credential=A/20261128/eu-west-1/\
                     elasticloadbalancing/aws4_request, SignedHeaders=host, Signature=00";
    let answer =
        Wire::connect(elbow.admin).ask(&post("/", &["Connection: close", signature], &form));
    assert_eq!(answer.status(), 200, "{}", answer.body_text());
}

#[test]
fn status_and_instances_tell_what_runs_and_what_it_has_done() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let elbow = Setup::sticky(&[one.address, two.address], Some(60)).start(&[&one, &two]);
    let listener = format!("HTTP {} -> HTTP 8080", elbow.address());
    let status = ask(&elbow, &["status"]);
    expect(
        &status,
        0,
        &["serving", "2 on CPU", &listener, "by-duration", "2 of 2"],
    );
    let json = ask(&elbow, &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.text).expect("it is JSON");
    let before = json["load_balancers"][0]["requests"]
        .as_u64()
        .expect("a count");
    elbow.ask(&get("/", &[]));
    let (_, now) = elbow.admin("GET", "/v1/status", "");
    assert_eq!(now["load_balancers"][0]["requests"], before + 1);

    let address = one.address.to_string();
    let instances = ask(&elbow, &["instances", "web"]);
    expect(&instances, 0, &["LOAD BALANCER", "InService", &address]);
    assert_eq!(instances.text.lines().count(), 3, "{}", instances.text);
    let json = ask(&elbow, &["instances", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.text).expect("it is JSON");
    assert_eq!(json[0]["address"], "127.0.0.1");
    assert_eq!(json[0]["port"], one.address.port());
    let unknown = ask(&elbow, &["instances", "wbe"]);
    expect(
        &unknown,
        1,
        &["elbow: there is no load balancer wbe; did you mean `web`?"],
    );
}

#[test]
fn a_node_without_a_cluster_says_that_it_is_alone() {
    let elbow = Setup::new(&[]).start(&[]);
    let cluster = ask(&elbow, &["cluster"]);
    expect(&cluster, 0, &["no cluster: this node is alone"]);
    let json = ask(&elbow, &["cluster", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.text).expect("it is JSON");
    assert_eq!(json["enabled"], false);
    let status = ask(&elbow, &["status"]);
    assert!(!status.text.contains("cluster"), "{}", status.text);
}

#[test]
fn nobody_to_ask_is_told_with_the_address() {
    let elbow = Setup::new(&[]).start(&[]);
    let admin = elbow.admin.to_string();
    drop(elbow);
    for command in ["status", "instances", "cluster", "reload"] {
        let outcome = Outcome::of(&[command, "--admin", &admin]);
        expect(&outcome, 1, &[&format!("cannot ask {admin}")]);
    }
}

#[test]
fn a_reload_tells_what_has_changed_or_every_problem() {
    let directory = Directory::new();
    let one = Backend::named("one");
    let setup = Setup::new(&[one.address]);
    let file = directory.write("elbow.toml", &setup.to_toml());
    let path = file.to_str().expect("the path is ASCII");
    let elbow = Elbow::spawn(&["run", "--config", path]);
    elbow.expect_in_service(&[&one]);
    let mut wire = elbow.connect();
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");

    let bad = setup.to_toml().replace("port = 0", "prot = 0");
    let bad = bad.replace("interval = \"500ms\"", "interval = 1");
    fs::write(&file, bad).expect("it is writable");
    let line = |key: &str| {
        let text = fs::read_to_string(&file).expect("it is there");
        let line = text.lines().position(|line| line.starts_with(key));
        format!("{path}:{}: ", line.expect(key) + 1)
    };
    let problems = [
        "nothing has changed",
        &format!("{}load_balancer[0].listener[0].prot", line("prot = ")),
        &format!(
            "{}load_balancer[0].health_check.interval = 1",
            line("interval")
        ),
    ];
    expect(&ask(&elbow, &["reload"]), 1, &problems);
    assert_eq!(
        wire.ask(&get("/", &[])).body_text(),
        "one",
        "the connection goes on"
    );
    assert_eq!(elbow.listeners_of("web"), [elbow.address()]);
    assert_eq!(elbow.sum("elbow_reload_errors_total"), 1);

    let more = setup.to_toml().replace("\"web\"", "\"shop\"");
    let more = &more[more.find("[[load_balancer]]").expect("it has one")..];
    let text = setup.host("shutdown_timeout = \"1s\"").to_toml() + more;
    fs::write(&file, &text).expect("it is writable");
    let told = [
        "added      shop",
        "unchanged  1",
        "[host] says something else",
    ];
    expect(&ask(&elbow, &["reload"]), 0, &told);
    assert_eq!(elbow.listeners_of("shop").len(), 1);
    fs::write(&file, text.replace(more, "").replace("= 3", "= 4")).expect("it is writable");
    let json = ask(&elbow, &["reload", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.text).expect("it is JSON");
    assert_eq!(json["changed"], serde_json::json!(["web"]));
    assert_eq!(json["removed"], serde_json::json!(["shop"]));
    assert_eq!(
        wire.ask(&get("/", &[])).body_text(),
        "one",
        "the connection goes on"
    );
}

#[test]
fn without_a_file_there_is_nothing_to_reload() {
    let elbow = Elbow::spawn(&[
        "run",
        "--listen",
        "127.0.0.1:0",
        "--backend",
        "127.0.0.1:1",
        "--admin",
        "127.0.0.1:0",
    ]);
    let clause = "elbow: there is no configuration file to read again";
    expect(&ask(&elbow, &["reload"]), 1, &[clause]);
    expect(&ask(&elbow, &["status"]), 0, &["none: started by flags"]);
}

/// An elbow whose file has `web` and `old`. The API has changed the one and deleted the other, and
/// made `mail` in two regions.
struct Changed {
    elbow: Elbow,
    directory: Directory,
    file: String,
    /// Where the file begins with `web`.
    line: usize,
}

impl Changed {
    fn new() -> Self {
        let directory = Directory::new();
        let state = directory.path().join("state");
        let setup = Setup::sticky(&[], Some(60)).host(format!("state_dir = {state:?}"));
        let toml = setup.to_toml();
        let start = toml.find("[[load_balancer]]").expect("it has one");
        let rest = toml[start..].replace("\"web\"", "\"old\"");
        let file = directory.write("elbow.toml", &(toml.clone() + &rest));
        let file = file.to_str().expect("the path is ASCII").to_owned();
        let elbow = Elbow::spawn(&["run", "--config", &file]);
        elbow.change(
            "Action=ConfigureHealthCheck&LoadBalancerName=web&HealthCheck.Target=TCP:81\
             &HealthCheck.Interval=7&HealthCheck.Timeout=2&HealthCheck.UnhealthyThreshold=2\
             &HealthCheck.HealthyThreshold=3",
        );
        elbow.change("Action=DeleteLoadBalancer&LoadBalancerName=old");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it is bound").port();
        let new = format!(
            "Action=CreateLoadBalancer&AvailabilityZones.member.1=a\
             &Listeners.member.1.Protocol=TCP&Listeners.member.1.InstancePort=25\
             &Listeners.member.1.LoadBalancerPort={port}&LoadBalancerName=mail"
        );
        elbow.change(&new);
        act_abroad(&elbow, &new);
        Self {
            elbow,
            directory,
            file,
            line: toml[..start].lines().count() + 1,
        }
    }

    /// What `elbow run --print-config` says of it, with these flags too.
    fn print(&self, flags: &[&str]) -> Outcome {
        let run = ["run", "--config", &self.file, "--print-config"];
        Outcome::of(&[&run, flags].concat())
    }
}

#[test]
fn what_is_in_force_is_told_beside_the_process_and_by_it() {
    let changed = Changed::new();
    let journal = changed.directory.path().join("state/api.journal");
    let before = fs::read(&journal).expect("it is there");
    let line = changed.line;
    let told = [
        "shards = 2 # elbow.toml:3",
        "pin = false # flag --no-pin",
        "session_window = \"30s\" # default",
        "# API, since 2",
        &format!("; in the file at elbow.toml:{line}\n[[load_balancer]]\nname = \"web\"\n"),
        "interval = \"7s\"\n",
        "\nname = \"mail\"\n",
        "# No file can say this one: it is of another region.",
        "# name = \"eu-west-1/mail\"",
        "# old: deleted by the API, since 2",
    ];
    expect(&changed.print(&["--no-pin"]), 0, &told);
    assert_eq!(
        fs::read(&journal).expect("it is there"),
        before,
        "untouched"
    );
    let request = get("/v1/config", &["Connection: close"]);
    let answer = Wire::connect(changed.elbow.admin).ask(&request);
    let printed = changed.print(&[]).text;
    assert_eq!(answer.body_text(), printed, "the process says the same");
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let changed = Changed::new();
    let printed = changed.print(&[]).text;
    let again = changed.directory.write("again.toml", &printed);
    let again = again.to_str().expect("the path is ASCII");
    let check = Outcome::of(&["check", "--config", again]);
    expect(&check, 0, &["no problems", "load balancer mail"]);
    let elsewhere = changed.directory.path().join("elsewhere");
    let flag = elsewhere.to_str().expect("the path is ASCII");
    let run = ["run", "--config", again, "--print-config"];
    let reprinted = Outcome::of(&[&run[..], &["--state-dir", flag]].concat()).text;
    // But for where it comes from, now that all of it is in a file.
    let keys = |text: &str| -> Vec<String> {
        let is_key = |line: &&str| !line.starts_with('#') && !line.starts_with("state_dir");
        let lines = text.lines().filter(|line| !line.is_empty()).filter(is_key);
        let key = |line: &str| line.split(" # ").next().unwrap_or(line).to_owned();
        lines.map(key).collect()
    };
    assert_eq!(keys(&reprinted), keys(&printed));
    assert!(!elsewhere.exists(), "nothing was made");
}

#[test]
fn a_file_that_does_not_hold_is_not_printed() {
    let directory = Directory::new();
    let file = directory.write("elbow.toml", "[host]\nshards = 0\n");
    let path = file.to_str().expect("the path is ASCII");
    let outcome = Outcome::of(&["run", "--config", path, "--print-config"]);
    expect(
        &outcome,
        2,
        &["elbow.toml:2: host.shards = 0: must be 1 to"],
    );
}
