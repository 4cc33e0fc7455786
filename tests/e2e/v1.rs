//! What `/v1` names and registers: in force at once, seen by the ELB API, there after `kill -9`.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Backend, Directory, Elbow, Setup, Site, TlsClient, Wire, eventually, get};

const HOST: &str = "elbow.test";

const ARN: &str = "arn:aws:iam::123456789012:server-certificate/site";

const MEMBERS: &str = "/v1/load-balancers/web/instances";

/// The body by which an id leads to that backend.
fn leading_to(address: SocketAddr) -> String {
    json!({ "address": address.ip(), "port": address.port() }).to_string()
}

fn kept_in(directory: &Directory) -> String {
    format!("state_dir = {:?}", directory.path().join("state"))
}

/// An action of the ELB API: the status and the XML of the answer.
fn act(elbow: &Elbow, action: &str) -> (u16, String) {
    let form = format!("Action={action}&Version=2012-06-01");
    let length = form.len();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        elbow.admin
    );
    let answer = Wire::connect(elbow.admin).ask(&request);
    (answer.status(), answer.body_text())
}

/// The instances that the ELB API shows as registered with `web`.
fn registered(elbow: &Elbow) -> Vec<String> {
    let (status, xml) = act(
        elbow,
        "DescribeLoadBalancers&LoadBalancerNames.member.1=web",
    );
    assert_eq!(status, 200, "{xml}");
    let ids = xml.split("<InstanceId>").skip(1);
    ids.filter_map(|rest| Some(rest.split_once('<')?.0.to_owned()))
        .collect()
}

/// The same by `/v1`.
fn listed(elbow: &Elbow) -> Value {
    let (_, rows) = elbow.admin("GET", "/v1/load-balancers?load_balancer=web", "");
    rows[0]["instances"].clone()
}

fn kill(mut elbow: Elbow) {
    elbow.signal(Signal::KILL);
    elbow.wait();
}

#[test]
fn names_and_who_is_registered_by_them_outlive_a_kill() {
    let directory = Directory::new();
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let site = Site::new(HOST);
    let setup = Setup::new(&[one.address]).host(kept_in(&directory));
    let elbow = setup.start(&[&one]);
    let answer = elbow.admin("PUT", "/v1/instances/i-2", &leading_to(two.address));
    assert_eq!(answer.0, 201, "{}", answer.1);
    let body = json!({ "arn": ARN, "certificate": site.file }).to_string();
    assert_eq!(elbow.admin("PUT", "/v1/certificates", &body).0, 201);
    let place = format!("{MEMBERS}/i-2");
    assert_eq!(elbow.admin("PUT", &place, "{}").0, 201);
    let old = format!("{MEMBERS}/{}", one.address);
    elbow.deregister(&old);
    elbow.expect_in_service(&[&two]);
    kill(elbow);

    let elbow = setup.start(&[&two]);
    assert_eq!(listed(&elbow), json!(["i-2"]));
    assert_eq!(registered(&elbow), ["i-2"]);
    let (status, row) = elbow.admin("GET", "/v1/instances/i-2", "");
    let expected = json!({
        "id": "i-2", "address": "127.0.0.1", "port": two.address.port(), "weight": 1,
        "named_by": "api", "load_balancers": ["web"]
    });
    assert_eq!((status, row), (200, expected));
    let (_, rows) = elbow.admin("GET", "/v1/certificates", "");
    assert_eq!(
        (&rows[0]["arn"], &rows[0]["hosts"]),
        (&json!(ARN), &json!([HOST]))
    );
    (0..10).for_each(|_| assert_eq!(elbow.ask(&get("/", &[])).body_text(), "two"));
    // What is taken away stays so as well.
    elbow.deregister(&place);
    eventually("the name is free", || {
        elbow.admin("DELETE", "/v1/instances/i-2", "").0 == 204
    });
    let gone = format!("/v1/certificates?arn={ARN}");
    assert_eq!(elbow.admin("DELETE", &gone, "").0, 204);
    kill(elbow);
    let elbow = Elbow::start(&setup.to_toml());
    assert_eq!(elbow.admin("GET", "/v1/instances", "").1, json!([]));
    assert_eq!(elbow.admin("GET", "/v1/certificates", "").1, json!([]));
    assert_eq!(listed(&elbow), json!([]));
}

#[test]
fn another_address_takes_the_traffic_and_the_sessions_with_it() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let elbow = Elbow::start(&Setup::sticky(&[], Some(60)).to_toml());
    let place = format!("{MEMBERS}/i-1");
    assert_eq!(elbow.admin("PUT", &place, &leading_to(one.address)).0, 201);
    elbow.expect_in_service(&[&one]);
    let first = elbow.ask(&get("/", &[]));
    assert_eq!(first.body_text(), "one");
    let session = format!("Cookie: AWSELB={}", first.session());
    let answer = elbow.admin("PUT", "/v1/instances/i-1", &leading_to(two.address));
    assert_eq!(
        (answer.0, &answer.1["load_balancers"]),
        (200, &json!(["web"]))
    );
    eventually("shards know the address", || {
        elbow.ask(&get("/", &[])).body_text() == "two"
    });
    let answer = elbow.ask(&get("/", &[&session]));
    assert_eq!(answer.body_text(), "two");
    assert_eq!(answer.cookie("AWSELB"), None, "it is the same session");
}

#[test]
fn what_one_api_registers_the_other_sees() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let elbow = Setup::new(&[one.address]).start(&[&one]);
    assert_eq!(
        elbow
            .admin("PUT", "/v1/instances/i-2", &leading_to(two.address))
            .0,
        201
    );
    let register = "RegisterInstancesWithLoadBalancer&LoadBalancerName=web\
                    &Instances.member.1.InstanceId=i-";
    assert_eq!(
        act(&elbow, &format!("{register}3")).0,
        400,
        "it has no name"
    );
    let (status, xml) = act(&elbow, &format!("{register}2"));
    assert_eq!(status, 200, "{xml}");
    elbow.expect_in_service(&[&one, &two]);
    let both = [one.address.to_string(), "i-2".to_owned()];
    assert_eq!(listed(&elbow), json!(both));
    assert_eq!(registered(&elbow), both);

    elbow.deregister(&format!("{MEMBERS}/i-2"));
    assert_eq!(registered(&elbow), both[..1]);
    assert_eq!(elbow.admin("PUT", &format!("{MEMBERS}/i-2"), "{}").0, 201);
    let health = "DescribeInstanceHealth&LoadBalancerName=web&Instances.member.1.InstanceId=i-2";
    eventually("the ELB API says that it is in service", || {
        let (status, xml) = act(&elbow, health);
        assert_eq!(status, 200, "{xml}");
        xml.contains("<State>InService</State>")
    });
    // A drain deregisters; cancelled, it was none.
    let drain = json!({ "load_balancer": "web", "instance": "i-2", "mode": "session" });
    assert_eq!(elbow.admin("POST", "/v1/drains", &drain.to_string()).0, 202);
    assert_eq!(registered(&elbow), both[..1]);
    let deregister = register.replacen("RegisterInstancesWith", "DeregisterInstancesFrom", 1);
    assert_eq!(
        act(&elbow, &format!("{deregister}2")).0,
        200,
        "it is done already"
    );
}

#[test]
fn a_session_drain_that_is_cancelled_registers_again() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let setup = Setup::sticky(&[one.address, two.address], Some(60));
    let elbow = setup.start(&[&one, &two]);
    let id = two.address.to_string();
    let drain = json!({ "load_balancer": "web", "instance": id, "mode": "session" });
    let (status, row) = elbow.admin("POST", "/v1/drains", &drain.to_string());
    assert_eq!((status, &row["stage"]), (202, &json!("sessions")));
    assert_eq!(registered(&elbow), [one.address.to_string()]);
    // Said again, it has another deadline.
    let sooner = json!({ "load_balancer": "web", "instance": id, "mode": "session",
        "deadline_seconds": 60 });
    let (_, row) = elbow.admin("POST", "/v1/drains", &sooner.to_string());
    let left = row["deadline_in_seconds"].as_f64().expect("a number");
    assert!(left <= 60.0, "{row}");
    assert_eq!(
        elbow.admin("DELETE", &format!("/v1/drains/web/{id}"), "").0,
        204
    );
    assert_eq!(registered(&elbow).len(), 2);
    elbow.expect_in_service(&[&one, &two]);
}

#[test]
fn a_name_in_use_stays() {
    let one = Backend::named("one");
    let elbow = Elbow::start(&Setup::new(&[]).to_toml());
    let place = format!("{MEMBERS}/i-1");
    assert_eq!(elbow.admin("PUT", &place, &leading_to(one.address)).0, 201);
    elbow.expect_in_service(&[&one]);
    let (status, error) = elbow.admin("DELETE", "/v1/instances/i-1", "");
    assert_eq!(status, 409, "{error}");
    let told = error["error"].as_str().expect("words");
    assert!(told.contains("`web` has it"), "{told}");
    // Two names for one place are not both registered.
    let (status, error) = elbow.admin("PUT", &format!("{MEMBERS}/i-2"), &leading_to(one.address));
    assert_eq!(status, 409, "{error}");
    assert_eq!(
        elbow.admin("GET", "/v1/instances/i-2", "").0,
        404,
        "it was not named"
    );
    assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
    elbow.deregister(&place);
    eventually("it has left", || {
        elbow.admin("DELETE", "/v1/instances/i-1", "").0 == 204
    });
    assert_eq!(elbow.admin("DELETE", "/v1/instances/i-1", "").0, 404);
    assert_eq!(elbow.admin("PUT", &place, "{}").0, 400, "it has no address");
}

#[test]
fn certificates_are_read_named_shown_and_changed() {
    let one = Backend::named("one");
    let (site, other) = (Site::new(HOST), Site::new(HOST));
    let elbow = Setup::new(&[one.address]).start(&[&one]);
    let named = |file: &str| json!({ "arn": ARN, "certificate": file }).to_string();
    let put = |file: &str| elbow.admin("PUT", "/v1/certificates", &named(file));
    let directory = Directory::new();
    let absent = directory.path().join("absent.pem").display().to_string();
    let empty = directory.write("empty.pem", "").display().to_string();
    for (file, clause) in [
        ("site.pem", "certificate must be the absolute path"),
        (&absent, "absent.pem: No such file"),
        (&empty, "empty.pem: no certificate in it"),
        ("/dev/zero", "/dev/zero: not a file"),
    ] {
        let (status, error) = put(file);
        let told = error["error"].as_str().expect("words");
        assert!(status == 400 && told.contains(clause), "{status} {told}");
    }
    assert_eq!(elbow.admin("GET", "/v1/certificates", "").1, json!([]));
    let create = format!(
        "CreateLoadBalancer&LoadBalancerName=tls&AvailabilityZones.member.1=a\
         &Listeners.member.1.Protocol=HTTPS&Listeners.member.1.LoadBalancerPort={}\
         &Listeners.member.1.InstancePort=80&Listeners.member.1.SSLCertificateId={ARN}",
        elbow.address().port()
    );
    let (status, xml) = act(&elbow, &create);
    assert!(
        status == 400 && xml.contains("<Code>CertificateNotFound</Code>"),
        "{xml}"
    );

    let (status, row) = put(&site.file);
    assert_eq!((status, &row["hosts"]), (201, &json!([HOST])), "{row}");
    assert_eq!(put(&site.file).0, 200);
    let (status, xml) = act(&elbow, &create);
    assert_eq!(status, 200, "{xml}");
    let address = elbow.listeners_of("tls")[0];
    let shown = |site: &Site| {
        let mut wire = TlsClient::new(&[site]).connect(address, HOST);
        assert_eq!(wire.ask(&get("/", &[])).status(), 503, "it has no instance");
        site.is_shown(&wire)
    };
    assert!(shown(&site));
    let (_, rows) = elbow.admin("GET", &format!("/v1/certificates?arn={ARN}"), "");
    let listener = json!([{ "load_balancer": "tls", "port": address.port() }]);
    assert_eq!(rows[0]["listeners"], listener);
    let gone = format!("/v1/certificates?arn={ARN}");
    let (status, error) = elbow.admin("DELETE", &gone, "");
    assert_eq!(status, 409, "{error}");

    // Its listeners show what the name stands for, and nothing that does not hold.
    assert_eq!(put(&empty).0, 400);
    assert!(shown(&site));
    assert_eq!(put(&other.file).0, 200);
    assert!(shown(&other));
    assert_eq!(
        act(&elbow, "DeleteLoadBalancer&LoadBalancerName=tls").0,
        200
    );
    assert_eq!(elbow.admin("DELETE", &gone, "").0, 204);
    assert_eq!(elbow.admin("DELETE", &gone, "").0, 404);
}

#[test]
fn an_entry_of_the_file_that_is_edited_goes_before_what_was_said() {
    let backends = ["one", "two", "three"].map(Backend::named);
    let [one, two, three] = &backends;
    let toml = |backend: &Backend| {
        let (web, address) = (Setup::new(&[]).to_toml(), backend.address);
        let web = web.replace("instances = []", "instances = [\"i-1\"]");
        let (ip, port) = (address.ip(), address.port());
        format!("[[instance]]\nid = \"i-1\"\naddress = \"{ip}\"\nport = {port}\n{web}")
    };
    let elbow = Elbow::start(&toml(one));
    elbow.expect_in_service(&[one]);
    let who = || elbow.ask(&get("/", &[])).body_text();
    assert_eq!(
        elbow
            .admin("PUT", "/v1/instances/i-1", &leading_to(two.address))
            .0,
        200
    );
    eventually("it is there", || who() == "two");
    // The same file changes nothing of that.
    assert!(elbow.reload(&toml(one)));
    assert_eq!(who(), "two");
    assert!(elbow.reload(&toml(three)));
    eventually("it is where the file says", || who() == "three");
    let (_, row) = elbow.admin("GET", "/v1/instances/i-1", "");
    assert_eq!(row["named_by"], "file");
}

#[test]
fn a_load_balancer_of_another_region_is_listed_and_changed_by_its_full_name() {
    let one = Backend::named("one");
    let elbow = Elbow::start(&Setup::new(&[]).to_toml());
    let port = elbow.address().port();
    let form = format!(
        "Action=CreateLoadBalancer&Version=2012-06-01&LoadBalancerName=web\
         &AvailabilityZones.member.1=a&Listeners.member.1.Protocol=HTTP\
         &Listeners.member.1.LoadBalancerPort={port}&Listeners.member.1.InstancePort=80"
    );
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=A/20261128/eu-west-1/elasticloadbalancing/\
         aws4_request, SignedHeaders=host, Signature=00\r\n\r\n{form}",
        elbow.admin,
        form.len()
    );
    let answer = Wire::connect(elbow.admin).ask(&request);
    assert_eq!(answer.status(), 200, "{}", answer.body_text());
    let place = "/v1/load-balancers/eu-west-1%2Fweb/instances/i-1";
    let (status, row) = elbow.admin("PUT", place, &leading_to(one.address));
    assert_eq!(
        (status, &row["load_balancer"]),
        (201, &json!("eu-west-1/web")),
        "{row}"
    );
    let (_, all) = elbow.admin("GET", "/v1/load-balancers", "");
    let regions = all.as_array().expect("a list").iter();
    let regions: Vec<_> = regions
        .map(|row| (&row["region"], &row["instances"]))
        .collect();
    let expected = [
        (&json!("us-east-1"), &json!([])),
        (&json!("eu-west-1"), &json!(["i-1"])),
    ];
    assert_eq!(regions, expected);
    let (_, view) = elbow.admin("GET", "/v1/view?load_balancer=eu-west-1%2Fweb", "");
    assert_eq!(view["instances"][0]["instance"], "i-1");
}

#[test]
fn the_view_tells_each_life_and_sessions_are_counted_where_they_live() {
    let one = Backend::named("one");
    // With the usual window, half a minute: they are told sooner.
    let elbow = Setup::sticky(&[one.address], Some(60)).start(&[&one]);
    let id = one.address.to_string();
    let view = || elbow.admin("GET", "/v1/view?load_balancer=web", "").1;
    let lives = view()["instances"][0]["lives"].clone();
    assert_eq!(
        (&lives[0]["number"], &lives[0]["died_ms"]),
        (&json!(1), &Value::Null)
    );
    eventually("its sessions are counted", || {
        elbow.ask(&get("/", &[]));
        let (_, rows) = elbow.admin("GET", "/v1/sessions?load_balancer=web", "");
        assert_eq!(rows[0]["instances"][0]["instance"], id);
        rows[0]["sessions"].as_u64() > Some(0)
    });
    one.fail_checks(true);
    eventually("its life is over", || {
        view()["instances"][0]["lives"][0]["died_ms"].is_u64()
    });
    elbow.deregister(&format!("{MEMBERS}/{id}"));
    eventually("only its hash is known", || {
        let view = view();
        let row = &view["instances"][0];
        row["instance"].is_null() && row["lives"][0]["number"] == 1
    });
    assert_eq!(elbow.admin("GET", "/v1/view?load_balancer=nope", "").0, 404);
}
