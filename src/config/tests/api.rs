//! What the ELB API may use: named instances, named certificates, `[api]`.

use super::*;
use crate::limits::KNOWN_IDS_MAX;

const ARN: &str = "arn:aws:iam::123456789012:server-certificate/site";

fn read(text: &str) -> Config {
    parse(text, "elbow.toml").unwrap_or_else(|problems| panic!("{problems}"))
}

/// A file with a certificate of this ARN in two files, and an HTTPS listener with these lines.
fn named(arn: &str, listener: &str) -> String {
    let entry = format!(
        "[[certificate]]\narn = {arn:?}\ncertificate = \"/s.pem\"\ncertificate_key = \"/s.key\"\n"
    );
    small(listener, &entry).replace("\"HTTP\"", "\"HTTPS\"")
}

fn files(chain: &str, key: Option<&str>) -> CertificateFiles {
    CertificateFiles {
        chain: chain.into(),
        key: key.map(PathBuf::from),
    }
}

#[test]
fn what_the_file_names_is_there_for_whoever_asks() {
    let config = read(FULL);
    let ids: Vec<&str> = config.instances.keys().map(String::as_str).collect();
    assert_eq!(ids, ["i-0a1b2c3d", "i-1111", "i-spare"]);
    let spare = Backend::by_id("i-spare", &config.instances).expect("it is named");
    assert_eq!(spare.to_string(), "i-spare=10.0.1.5");
    assert_eq!(
        config.certificates.get(ARN),
        Some(&files("/etc/elbow/site.pem", Some("/etc/elbow/site.key")))
    );
    let api = Api {
        address_pool: network("10.9.0.0/24"),
        dns_suffix: Some("elb.example.com".to_owned()),
        region: "eu-west-1".to_owned(),
        known_ids: Some(
            ["sg-1", "subnet-1", "us-east-1a", "vpc-1"]
                .map(str::to_owned)
                .into(),
        ),
    };
    assert_eq!(config.api, api);
    assert_eq!(config.api.vpc(), Some("vpc-1"));
    assert!(config.api.knows("us-east-1a") && !config.api.knows("us-east-1b"));
    assert!(Api::default().knows("us-east-1b"));
    assert_eq!(Api::default().vpc(), None);
    let plain = read(&small("", ""));
    assert_eq!(plain.api, Api::default());
    assert!(plain.instances.is_empty() && plain.certificates.is_empty());
}

#[test]
fn a_listener_may_name_a_certificate_by_its_arn() {
    let lines = format!("certificate = {ARN:?}\ncertificates = [{ARN:?}, \"/b.pem\"]");
    let config = read(&named(ARN, &lines));
    let tls = config.load_balancers[0].listeners[0].tls.as_ref();
    let expected = [
        files("/s.pem", Some("/s.key")),
        files("/s.pem", Some("/s.key")),
        files("/b.pem", None),
    ];
    assert_eq!(tls.expect("HTTPS has it").certificates, expected);
}

#[test]
fn an_arn_that_leads_nowhere_is_refused_with_the_nearest() {
    let near = format!("certificate = \"{ARN}e\"");
    let expected = format!("is no [[certificate]] of this file; did you mean `{ARN}`?");
    assert_eq!(only_mistake(&named(ARN, &near)), expected);
    let far = only_mistake(&named(ARN, "certificate = \"arn:x\""));
    assert_eq!(far, "is no [[certificate]] of this file");
    // An entry that is wrong is not refused again where it is used.
    let wrong = named("arn:a b", "certificate = \"arn:a b\"");
    assert_eq!(problems(&wrong), ["9 certificate[0].arn = \"arn:a b\""]);
    let list = format!("certificate = \"/a\"\ncertificates = [\"{ARN}e\"]");
    assert_eq!(only_mistake(&named(ARN, &list)), expected);
}

#[test]
fn the_key_of_a_named_certificate_is_said_once() {
    let both = format!("certificate = {ARN:?}\ncertificate_key = \"/s.key\"");
    let expected = "the [[certificate]] that is named says already where its key is";
    assert_eq!(only_mistake(&named(ARN, &both)), expected);
}

#[test]
fn arns_are_unique() {
    let twice = "[[certificate]]\narn = \"arn:a\"\ncertificate = \"/a\"\n".repeat(2);
    let expected = ["12 certificate[1].arn = \"arn:a\""];
    assert_eq!(problems(&small("", &twice)), expected);
}

#[test]
fn every_mistake_about_the_api_is_named_where_it_is() {
    let text = small(
        "",
        "[api]\naddress_pool = \"10.0.0.1/8\"\ndns_suffix = \".com\"\nregion = \"US\"\n\
         regoin = \"eu\"\nknown_ids = [\"a b\", \"\"]\n[[certificate]]\ncertificate = \"\"\n",
    );
    let expected = [
        "9 api.address_pool = \"10.0.0.1/8\"",
        "10 api.dns_suffix = \".com\"",
        "11 api.region = \"US\"",
        "12 api.regoin",
        "13 api.known_ids[0] = \"a b\"",
        "13 api.known_ids[1] = \"\"",
        "14 certificate[0].arn",
        "15 certificate[0].certificate = \"\"",
    ];
    assert_eq!(problems(&text), expected);
}

#[test]
fn the_subnets_of_a_host_are_in_one_vpc() {
    let two = small("", "[api]\nknown_ids = [\"vpc-1\", \"vpc-2\"]\n");
    assert!(only_mistake(&two).starts_with("names more than one VPC"));
    let many: Vec<String> = (0..=KNOWN_IDS_MAX).map(|id| format!("sg-{id}")).collect();
    let many = small("", &format!("[api]\nknown_ids = {many:?}\n"));
    assert_eq!(only_mistake(&many), "must be at most 10000 ids");
}
