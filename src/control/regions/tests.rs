use super::*;
use crate::config;

/// A load balancer with a named instance and a named certificate, and what is said beside it.
fn file(address: &str, certificate: &str, more: &str) -> Config {
    let text = format!(
        r#"
[[instance]]
id = "i-1"
address = "{address}"
[[instance]]
id = "i-2"
address = "10.0.0.2"
[[certificate]]
arn = "arn:site"
certificate = "{certificate}"
[[load_balancer]]
name = "web"
instances = ["i-1"]
[[load_balancer.listener]]
protocol = "HTTPS"
port = 443
instance_port = 80
certificate = "arn:site"
{more}"#
    );
    config::parse(&text, "elbow.toml").unwrap_or_else(|problems| panic!("{problems}"))
}

fn as_it_was() -> Config {
    file("10.0.0.1", "/site.pem", "")
}

/// Another load balancer for that file.
fn with(name: &str, instances: &str) -> String {
    format!(
        "[[load_balancer]]\nname = \"{name}\"\ninstances = {instances}\n\
         [[load_balancer.listener]]\nprotocol = \"TCP\"\nport = 25\ninstance_port = 25"
    )
}

fn settle(config: &Config, records: &[Record]) -> Settled {
    Regions::settle(config, records.to_vec(), 7).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn instance(regions: &Regions, id: &str, address: Option<&str>) -> Record {
    let backend = address.map(|address| Backend {
        id: id.to_owned(),
        address: address.parse().unwrap(),
        port: None,
        weight: 3,
    });
    let said = regions.instances.saying(id, backend, 7);
    Record::Instance {
        id: id.to_owned(),
        backend: said.value,
        stanza: said.stanza,
        since_ms: said.since_ms,
        stamp: said.stamp,
    }
}

fn certificate(regions: &Regions, chain: &str) -> Record {
    let files = CertificateFiles {
        chain: chain.into(),
        key: None,
    };
    let said = regions.certificates.saying("arn:site", Some(files), 7);
    Record::Certificate {
        arn: "arn:site".to_owned(),
        files: said.value,
        stanza: said.stanza,
        since_ms: said.since_ms,
    }
}

/// Where its instances are, and where its first certificate is.
fn places(settled: &Settled) -> (Vec<String>, String) {
    let web = &settled.wanted[0];
    let addresses = web.backends.iter();
    let tls = web.listeners[0].tls.as_ref().unwrap();
    (
        addresses
            .map(|backend| backend.address.to_string())
            .collect(),
        tls.certificates[0].chain.display().to_string(),
    )
}

fn at(address: &str, chain: &str) -> (Vec<String>, String) {
    (vec![address.to_owned()], chain.to_owned())
}

#[test]
fn what_was_said_of_names_holds_for_load_balancers_of_the_file_until_they_are_edited() {
    let Settled { regions, .. } = settle(&as_it_was(), &[]);
    let records = [
        instance(&regions, "i-1", Some("10.0.0.9")),
        certificate(&regions, "/new.pem"),
    ];
    let settled = settle(&as_it_was(), &records);
    assert_eq!(places(&settled), at("10.0.0.9", "/new.pem"));
    assert_eq!(settled.wanted[0].backends[0].weight, 3);
    assert_eq!(settled.outdated, []);
    // The API still sees what it saw.
    let web = settled.regions.catalog("us-east-1");
    let web = web.load_balancer("web").unwrap();
    assert_eq!(web.listeners[0].certificate.as_deref(), Some("arn:site"));

    let moved = file("10.0.0.8", "/site.pem", "");
    let again = settled.regions.with(&moved).unwrap();
    assert_eq!(places(&again), at("10.0.0.8", "/new.pem"));
    assert_eq!(again.outdated, [forgetting(&records[0])]);
    let renewed = file("10.0.0.1", "/other.pem", "");
    let again = settled.regions.with(&renewed).unwrap();
    assert_eq!(places(&again), at("10.0.0.9", "/other.pem"));
    assert_eq!(again.outdated, [forgetting(&records[1])]);
}

#[test]
fn a_load_balancer_that_the_api_has_changed_goes_by_the_same_names() {
    let Settled { regions, .. } = settle(&as_it_was(), &[]);
    let web = regions.catalog("us-east-1");
    let mut changed = elb::LoadBalancer::clone(web.load_balancer("web").unwrap());
    changed.attributes.idle_timeout_seconds = 9;
    let changed = Arc::new(changed);
    let records = [
        regions.record("us-east-1", &changed, [127, 1, 0, 1].into(), 7),
        instance(&regions, "i-1", Some("10.0.0.9")),
        certificate(&regions, "/new.pem"),
    ];
    let settled = settle(&as_it_was(), &records);
    assert_eq!(places(&settled), at("10.0.0.9", "/new.pem"));
    assert_eq!(settled.wanted[0].attributes.idle_timeout.as_secs(), 9);
    assert_eq!(
        settled.outdated,
        [],
        "a name is no edit of those that use it"
    );
    // What is known comes to the same when the file is read again.
    let again = settled.regions.with(&as_it_was()).unwrap();
    assert_eq!(again.wanted, settled.wanted);
}

#[test]
fn a_load_balancer_of_the_file_has_the_names_that_it_uses() {
    let Settled { regions, .. } = settle(&as_it_was(), &[]);
    let taken_away = [instance(&regions, "i-2", None)];
    let settled = settle(&as_it_was(), &taken_away);
    assert!(!settled.regions.has_instance("i-2"));
    let edited = file("10.0.0.1", "/site.pem", &with("other", "[\"i-2\"]"));
    let again = settled.regions.with(&edited).unwrap();
    assert!(again.regions.has_instance("i-2"));
    assert_eq!(again.outdated, taken_away.each_ref().map(forgetting));
}

#[test]
fn two_names_of_one_place_are_not_both_registered() {
    let Settled { regions, .. } = settle(&as_it_was(), &[]);
    let moved = instance(&regions, "i-1", Some("10.0.0.2"));
    let both = file("10.0.0.1", "/site.pem", &with("both", "[\"i-1\", \"i-2\"]"));
    let problems = Regions::settle(&both, vec![moved], 7)
        .map(drop)
        .unwrap_err();
    assert_eq!(problems, ["both: i-1 and i-2 are the same instance"]);
}

#[test]
fn a_region_of_another_host_stands_before_the_name() {
    let Settled { regions, .. } = settle(&as_it_was(), &[]);
    assert_eq!(regions.split("web"), ("us-east-1", "web"));
    assert_eq!(regions.split("eu-west-1/web"), ("eu-west-1", "web"));
    // It has one name only.
    let (_, name) = regions.split("us-east-1/web");
    assert_eq!(name, "us-east-1/web");
}

#[test]
fn a_load_balancer_of_another_node_listens_where_this_one_has_room() {
    let Settled { mut regions, .. } = settle(&as_it_was(), &[]);
    let web = regions.catalog("us-east-1");
    let mut other = elb::LoadBalancer::clone(web.load_balancer("web").unwrap());
    other.listeners.clear();
    other.dns_name = "10.9.9.9".to_owned();
    let mut addresses = BTreeSet::new();
    for name in ["one", "two"] {
        other.name = name.to_owned();
        let made = regions.record(
            "us-east-1",
            &Arc::new(other.clone()),
            [10, 9, 9, 9].into(),
            7,
        );
        assert!(regions.counts(&made));
        let Record::LoadBalancer {
            load_balancer,
            address,
            ..
        } = regions.adopt(made)
        else {
            panic!("it is still one");
        };
        // Where it has no other name, its address is one.
        assert_eq!(load_balancer.dns_name, address.to_string());
        assert!(addresses.insert(address));
        assert_eq!(regions.address_of("us-east-1", name), address);
    }
    assert!(!addresses.contains(&IpAddr::from([10, 9, 9, 9])));
    assert_eq!(regions.catalog("us-east-1").load_balancers().len(), 3);
    assert_eq!(regions.try_all().unwrap().len(), 3);
}
