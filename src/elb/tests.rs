use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use quick_xml::events::Event;

use super::*;

/// What the catalog of `failures.txt` begins with.
const SETUP: [&str; 13] = [
    "Action=CreateLoadBalancer&LoadBalancerName=web&AvailabilityZones.member.1=a\
        &Listeners.member.1.Protocol=HTTP&Listeners.member.1.LoadBalancerPort=80\
        &Listeners.member.1.InstancePort=8080\
        &Listeners.member.2.Protocol=HTTPS&Listeners.member.2.LoadBalancerPort=443\
        &Listeners.member.2.InstanceProtocol=HTTPS&Listeners.member.2.InstancePort=8443\
        &Listeners.member.2.SSLCertificateId=arn:a\
        &Listeners.member.3.Protocol=TCP&Listeners.member.3.LoadBalancerPort=25\
        &Listeners.member.3.InstancePort=25",
    "Action=CreateLoadBalancer&LoadBalancerName=inner&Subnets.member.1=subnet-a\
        &Listeners.member.1.Protocol=TCP&Listeners.member.1.LoadBalancerPort=80\
        &Listeners.member.1.InstancePort=80",
    "Action=CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=sticky",
    "Action=CreateAppCookieStickinessPolicy&LoadBalancerName=web&PolicyName=app&CookieName=c",
    "Action=CreateLoadBalancerPolicy&LoadBalancerName=web&PolicyName=tls\
        &PolicyTypeName=SSLNegotiationPolicyType\
        &PolicyAttributes.member.1.AttributeName=Reference-Security-Policy\
        &PolicyAttributes.member.1.AttributeValue=ELBSecurityPolicy-2015-05",
    "Action=CreateLoadBalancerPolicy&LoadBalancerName=web&PolicyName=tls2\
        &PolicyTypeName=SSLNegotiationPolicyType\
        &PolicyAttributes.member.1.AttributeName=Reference-Security-Policy\
        &PolicyAttributes.member.1.AttributeValue=ELBSecurityPolicy-2015-03",
    "Action=CreateLoadBalancerPolicy&LoadBalancerName=web&PolicyName=proxy\
        &PolicyTypeName=ProxyProtocolPolicyType\
        &PolicyAttributes.member.1.AttributeName=ProxyProtocol\
        &PolicyAttributes.member.1.AttributeValue=true",
    "Action=CreateLoadBalancerPolicy&LoadBalancerName=web&PolicyName=key\
        &PolicyTypeName=PublicKeyPolicyType\
        &PolicyAttributes.member.1.AttributeName=PublicKey\
        &PolicyAttributes.member.1.AttributeValue=MIIB",
    "Action=CreateLoadBalancerPolicy&LoadBalancerName=web&PolicyName=trust\
        &PolicyTypeName=BackendServerAuthenticationPolicyType\
        &PolicyAttributes.member.1.AttributeName=PublicKeyPolicyName\
        &PolicyAttributes.member.1.AttributeValue=key",
    "Action=SetLoadBalancerPoliciesOfListener&LoadBalancerName=web&LoadBalancerPort=80\
        &PolicyNames.member.1=sticky",
    "Action=SetLoadBalancerPoliciesOfListener&LoadBalancerName=web&LoadBalancerPort=443\
        &PolicyNames.member.1=tls",
    "Action=SetLoadBalancerPoliciesForBackendServer&LoadBalancerName=web&InstancePort=8443\
        &PolicyNames.member.1=trust",
    "Action=RegisterInstancesWithLoadBalancer&LoadBalancerName=inner\
        &Instances.member.1.InstanceId=i-1",
];

/// Small enough that requests of one line reach them, and SETUP just fits.
const FEW: Limits = Limits {
    load_balancers: 2,
    listeners: 4,
    instances: 2,
    policies: 7,
    tags: 2,
};

pub(in crate::elb) fn world(limits: Limits) -> World<'static> {
    World {
        now_ms: 1_767_323_045_670,
        number: 1_234_567_890,
        region: "us-west-2",
        dns_suffix: Some("elb.amazonaws.com"),
        address: IpAddr::from([127, 1, 0, 1]),
        hosted_zone: "Z3DZXE0EXAMPLE",
        is_instance: &|id| id.starts_with("i-"),
        is_certificate: &|arn| arn.starts_with("arn:") && arn != "arn:none",
        is_public_key: &|text| text.starts_with("MII"),
        is_zone: &|zone| zone != "nowhere",
        is_security_group: &|id| id.starts_with("sg-"),
        subnet: &|id| {
            let (zone, vpc) = match id {
                "subnet-a" | "subnet-a2" => ("us-west-2a", "vpc-1"),
                "subnet-b" => ("us-west-2b", "vpc-1"),
                "other-b" => ("us-west-2b", "vpc-2"),
                _ => return None,
            };
            Some(SubnetFacts {
                zone: Some(zone.to_owned()),
                vpc: Some(vpc.to_owned()),
            })
        },
        health: &|_, id| match id {
            "i-healthy" => Some(Health::in_service()),
            "i-failed" => Some(Health::failed()),
            "i-going" => Some(Health::leaving()),
            _ => None,
        },
        limits,
    }
}

/// What a client would get: the action if it is one, and the answer.
fn ask(catalog: &mut Catalog, query: &str, limits: Limits) -> Result<(Action, Answer), Failure> {
    let version = if query.contains("Version=") {
        ""
    } else {
        "&Version=2012-06-01"
    };
    let parameters = Parameters::parse(format!("{query}{version}").as_bytes())?;
    let action = Action::parse(&parameters)?;
    let answer = catalog.apply(&action, &world(limits))?;
    Ok((action, answer))
}

fn furnished() -> Catalog {
    let mut catalog = Catalog::default();
    for query in SETUP {
        ask(&mut catalog, query, FEW).expect(query);
    }
    catalog
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/elb")
}

fn read(name: &str) -> String {
    let path = cases().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a file of cases that are not comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Compares a file with what it should say; the message has the text that would make it right.
fn compare(name: &str, written: &str) {
    let expected = read(name);
    assert!(
        expected.trim_end() == written,
        "{name} is not what is answered:\n{written}\n"
    );
}

#[test]
fn every_action_answers_as_its_file_says() {
    let mut catalog = Catalog::default();
    let mut seen = BTreeSet::new();
    for line in lines(&read("requests.txt")) {
        if line.starts_with('[') {
            catalog = Catalog::default();
            continue;
        }
        let (name, query) = line.split_once(": ").expect("name: query");
        let outcome = ask(&mut catalog, query, Limits::default());
        if name != "-" {
            let id = "f9880f01-7852-629d-a6c3-3ae2666a4e4e";
            let document = match &outcome {
                Ok((action, answer)) => answer.to_xml(action, id),
                Err(failure) => failure.to_xml(id),
            };
            compare(&format!("{name}.xml"), &document);
        }
        match outcome {
            Ok((action, _)) => drop(seen.insert(action.name())),
            Err(failure) => assert_eq!(name, "describe-absent", "{failure}"),
        }
    }
    assert_eq!(seen.len(), 29, "actions with a file: {seen:?}");
}

#[test]
fn every_code_has_a_status_and_a_document() {
    let mut documents = String::new();
    for code in Code::ALL {
        let failure = Failure::new(code, "a < b & 'c'");
        documents += &format!("<!-- {} -->\n{}\n", code.status(), failure.to_xml("id-1"));
    }
    compare("codes.xml", documents.trim_end());
}

#[test]
fn what_is_refused_says_why_and_changes_nothing() {
    let before = furnished();
    for line in lines(&read("failures.txt")) {
        let (query, expected) = line.split_once(" => ").expect("query => failure");
        let mut catalog = before.clone();
        let failure = ask(&mut catalog, query, FEW).expect_err(query);
        assert_eq!(failure.to_string(), expected, "{query}");
        assert!(catalog == before, "{query} changed something");
    }
}

#[test]
fn creating_again_is_no_mistake() {
    let mut catalog = furnished();
    let before = catalog.clone();
    let (_, answer) = ask(&mut catalog, SETUP[0], FEW).unwrap();
    let Answer::DnsName(name) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(name, "web-1234567890.us-west-2.elb.amazonaws.com");
    let listener = "Action=CreateLoadBalancerListeners&LoadBalancerName=web\
        &Listeners.member.1.Protocol=http&Listeners.member.1.LoadBalancerPort=80\
        &Listeners.member.1.InstancePort=8080&Listeners.member.1.SSLCertificateId=arn:a";
    ask(&mut catalog, listener, FEW).unwrap();
    let instance = "Action=RegisterInstancesWithLoadBalancer&LoadBalancerName=inner\
        &Instances.member.1.InstanceId=i-1";
    ask(&mut catalog, instance, FEW).unwrap();
    assert!(catalog == before);
}

#[test]
fn a_clone_shares_what_has_not_changed() {
    let before = furnished();
    let mut after = before.clone();
    let query = "Action=AddTags&LoadBalancerNames.member.1=web&Tags.member.1.Key=a";
    ask(&mut after, query, FEW).unwrap();
    let same = |name| {
        let (before, after) = (before.load_balancer(name), after.load_balancer(name));
        std::sync::Arc::ptr_eq(before.unwrap(), after.unwrap())
    };
    assert!(same("inner") && !same("web"));
}

#[test]
fn deleting_what_is_not_there_is_no_mistake() {
    let mut catalog = furnished();
    let before = catalog.clone();
    for query in [
        "Action=DeleteLoadBalancer&LoadBalancerName=absent",
        "Action=DeleteLoadBalancerListeners&LoadBalancerName=web&LoadBalancerPorts.member.1=81",
        "Action=DeleteLoadBalancerPolicy&LoadBalancerName=web&PolicyName=absent",
        "Action=DeleteLoadBalancerPolicy&LoadBalancerName=web&PolicyName=ELBSecurityPolicy-2016-08",
        "Action=DeregisterInstancesFromLoadBalancer&LoadBalancerName=web\
            &Instances.member.1.InstanceId=i-9",
        "Action=RemoveTags&LoadBalancerNames.member.1=web&Tags.member.1.Key=absent",
        "Action=DisableAvailabilityZonesForLoadBalancer&LoadBalancerName=web\
            &AvailabilityZones.member.1=b",
        "Action=DetachLoadBalancerFromSubnets&LoadBalancerName=inner&Subnets.member.1=subnet-b",
    ] {
        ask(&mut catalog, query, FEW).expect(query);
        assert!(catalog == before, "{query}");
    }
}

#[test]
fn a_listener_with_tls_keeps_a_policy_for_it() {
    let default = "ELBSecurityPolicy-2016-08";
    let newer = "ELBSecurityPolicy-TLS-1-2-2017-01";
    let steps: [(&[&str], &[&str]); 7] = [
        (&["sticky"], &["sticky", default]),
        (&[], &[default]),
        (&["sticky", "tls", "sticky"], &["sticky", "tls"]),
        (&["app"], &["app", "tls"]),
        (&["tls"], &["tls"]),
        (&[newer, "app"], &[newer, "app"]),
        (&[], &[newer]),
    ];
    let mut catalog = furnished();
    let query =
        "Action=SetLoadBalancerPoliciesOfListener&LoadBalancerName=web&LoadBalancerPort=443";
    ask(
        &mut catalog,
        &format!("{query}&PolicyNames.member.1={default}"),
        FEW,
    )
    .unwrap();
    for (names, expected) in steps {
        let mut query = query.to_owned();
        for (index, name) in names.iter().enumerate() {
            query += &format!("&PolicyNames.member.{index}={name}");
        }
        if names.is_empty() {
            query += "&PolicyNames=";
        }
        ask(&mut catalog, &query, FEW).unwrap();
        let web = catalog.load_balancer("web").unwrap();
        assert_eq!(web.listener(443).unwrap().policies, expected, "{names:?}");
    }
}

#[test]
fn pages_show_each_load_balancer_once() {
    let mut catalog = Catalog::default();
    for index in 0..7 {
        let query = SETUP[1].replace("inner", &format!("lb-{index}"));
        ask(&mut catalog, &query, Limits::default()).unwrap();
    }
    let mut seen = Vec::new();
    let mut marker = String::new();
    loop {
        let query = format!("Action=DescribeLoadBalancers&PageSize=3&Marker={marker}");
        let (_, answer) = ask(&mut catalog, &query, FEW).unwrap();
        let Answer::LoadBalancers {
            load_balancers,
            next,
            ..
        } = answer
        else {
            panic!("{answer:?}");
        };
        seen.extend(load_balancers.iter().map(|one| one.name.clone()));
        // One that is shown already goes while the list is read: it is not missed by anybody.
        let gone = format!("Action=DeleteLoadBalancer&LoadBalancerName={}", seen[0]);
        ask(&mut catalog, &gone, FEW).unwrap();
        match next {
            Some(next) => marker = next,
            None => break,
        }
    }
    let all: Vec<_> = (0..7).map(|index| format!("lb-{index}")).collect();
    assert_eq!(seen, all);
}

#[test]
fn a_policy_that_lost_its_key_cannot_be_enabled() {
    let mut catalog = furnished();
    let use_of =
        "Action=SetLoadBalancerPoliciesForBackendServer&LoadBalancerName=web&InstancePort=8443";
    ask(&mut catalog, &format!("{use_of}&PolicyNames="), FEW).unwrap();
    let delete = "Action=DeleteLoadBalancerPolicy&LoadBalancerName=web&PolicyName=key";
    ask(&mut catalog, delete, FEW).unwrap();
    let enable = format!("{use_of}&PolicyNames.member.1=trust");
    let failure = ask(&mut catalog, &enable, FEW).unwrap_err();
    assert_eq!(failure.code, Code::InvalidConfigurationRequest);
}

#[test]
fn what_is_no_public_key_cannot_be_enabled() {
    let mut catalog = furnished();
    let delete = "Action=DeleteLoadBalancerPolicy&LoadBalancerName=web&PolicyName=tls2";
    ask(&mut catalog, delete, FEW).unwrap();
    let use_of =
        "Action=SetLoadBalancerPoliciesForBackendServer&LoadBalancerName=web&InstancePort=8443";
    ask(&mut catalog, &format!("{use_of}&PolicyNames="), FEW).unwrap();
    let delete = "Action=DeleteLoadBalancerPolicy&LoadBalancerName=web&PolicyName=key";
    ask(&mut catalog, delete, FEW).unwrap();
    ask(&mut catalog, &SETUP[7].replace("=MIIB", "=words"), FEW).unwrap();
    let enable = format!("{use_of}&PolicyNames.member.1=trust");
    let failure = ask(&mut catalog, &enable, FEW).unwrap_err();
    let why = "The policies for instance port 8443 refer to what is no public key";
    assert_eq!(failure, Failure::configuration(why));
}

#[test]
fn what_is_in_force_can_be_asked_for() {
    let mut catalog = furnished();
    let both = "Action=SetLoadBalancerPoliciesForBackendServer&LoadBalancerName=web\
        &InstancePort=8443&PolicyNames.member.1=proxy&PolicyNames.member.2=trust";
    ask(&mut catalog, both, FEW).unwrap();
    let web = catalog.load_balancer("web").unwrap();
    let [http, https, tcp] = web.listeners.as_slice() else {
        panic!("{:?}", web.listeners);
    };
    assert_eq!(web.stickiness(http), web.policy("sticky"));
    assert_eq!(web.stickiness(https), None);
    assert_eq!(web.ssl_policy(https).as_ref(), web.policy("tls"));
    assert_eq!(web.ssl_policy(tcp), None);
    assert!(web.has_proxy_header(8443) && !web.has_proxy_header(8080));
    assert_eq!(web.public_keys(8443), Some(vec!["MIIB"]));
    assert_eq!(web.public_keys(8080), None);
}

#[test]
fn an_attribute_that_is_not_sent_stays_and_an_empty_one_goes() {
    let mut catalog = furnished();
    let steps = [
        (
            "AccessLog.S3BucketName=logs&LoadBalancerAttributes.AccessLog.S3BucketPrefix=p",
            Some("p"),
        ),
        ("AccessLog.EmitInterval=5", Some("p")),
        ("AccessLog.S3BucketPrefix=", None),
    ];
    for (change, expected) in steps {
        let query = format!(
            "Action=ModifyLoadBalancerAttributes&LoadBalancerName=web\
                &LoadBalancerAttributes.AccessLog.Enabled=true&LoadBalancerAttributes.{change}"
        );
        ask(&mut catalog, &query, FEW).unwrap();
        let log = &catalog.load_balancer("web").unwrap().attributes.access_log;
        assert_eq!(log.bucket.as_deref(), Some("logs"));
        assert_eq!(log.prefix.as_deref(), expected);
    }
}

/// The keys of the file that catalogs are kept in. A change here needs a default for old files.
#[test]
fn a_catalog_is_kept_under_these_keys() {
    let catalog = furnished();
    compare(
        "catalog.json",
        &serde_json::to_string_pretty(&catalog).unwrap(),
    );
    let read: Catalog = serde_json::from_str(&read("catalog.json")).unwrap();
    assert!(read == catalog);
}

/// What holds for a catalog whatever was asked of it.
fn judge(catalog: &Catalog) {
    for one in catalog.load_balancers() {
        assert_ne!(one.zones.is_empty(), one.subnets.is_empty());
        let has_policy = |name: &String| {
            one.policy(name).is_some() || one.predefined_policies().contains(&name.as_str())
        };
        for listener in &one.listeners {
            assert!(listener.policies.iter().all(has_policy));
            let has_stickiness = one.stickiness(listener).is_some();
            assert!(listener.protocol.is_http() || !has_stickiness);
            let is_secure = listener.protocol.is_secure();
            assert_eq!(one.ssl_policy(listener).is_some(), is_secure);
            let count = usize::from(has_stickiness) + usize::from(is_secure);
            assert_eq!(listener.policies.len(), count);
            assert_eq!(
                listener.certificate.is_some(),
                listener.protocol.is_secure()
            );
        }
        for server in &one.backend_servers {
            assert!(!server.policies.is_empty() && server.policies.iter().all(has_policy));
            let mut listeners = one.listeners.iter();
            assert!(listeners.any(|listener| listener.instance_port == server.instance_port));
        }
    }
    let json = serde_json::to_string(catalog).unwrap();
    let read: Catalog = serde_json::from_str(&json).unwrap();
    assert!(read == *catalog);
}

/// A query of one of the files, with some of its words put in place of others.
fn queries() -> impl Strategy<Value = String> {
    let mut queries: Vec<String> = SETUP.iter().map(|query| (*query).to_owned()).collect();
    let requests = read("requests.txt");
    queries.extend(
        lines(&requests).filter_map(|line| Some(line.split_once(": ")?.1.replace("=shop", "=web"))),
    );
    let failures = read("failures.txt");
    queries.extend(lines(&failures).filter_map(|line| Some(line.split_once(" => ")?.0.to_owned())));
    let words = [
        "web", "inner", "80", "443", "8443", "sticky", "tls", "trust", "a", "TCP",
    ];
    (
        proptest::sample::select(queries),
        proptest::sample::select(words.to_vec()),
        proptest::sample::select(words.to_vec()),
    )
        .prop_map(|(query, from, to)| query.replace(&format!("={from}"), &format!("={to}")))
}

proptest! {
    #[test]
    fn a_failed_action_changes_nothing_and_rules_hold_after_any(
        queries in proptest::collection::vec(queries(), 1..60)
    ) {
        let mut catalog = furnished();
        for query in queries {
            let before = catalog.clone();
            match ask(&mut catalog, &query, Limits::default()) {
                Ok((action, _)) => {
                    prop_assert!(!action.is_read_only() || catalog == before, "{}", query);
                }
                Err(_) => prop_assert!(catalog == before, "{}", query),
            }
            judge(&catalog);
        }
    }

    #[test]
    fn a_damaged_request_is_read_or_refused(
        query in queries(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut form = format!("{query}&Version=2012-06-01").into_bytes();
        *at.get_mut(&mut form) = byte;
        if let Ok(parameters) = Parameters::parse(&form) {
            drop(Action::parse(&parameters));
        }
    }

    #[test]
    fn any_text_makes_a_document_that_reads_back(text in "\\PC{0,40}|[\\x00-\\x7f]{0,40}") {
        let tag = Tag { key: text.clone(), value: text.clone() };
        let answer = Answer::Tags(vec![(text.clone(), vec![tag])]);
        let action = Action::DescribeTags(vec![]);
        let failure = Failure::new(Code::ValidationError, text.clone());
        for (document, times) in [
            (answer.to_xml(&action, "id"), 3),
            (failure.to_xml("id"), 1),
        ] {
            let texts = texts(&document);
            let has_words = |c: char| c >= ' ' && !('\u{FFFE}'..='\u{FFFF}').contains(&c)
                || matches!(c, '\t' | '\n' | '\r');
            let clean: String =
                text.chars().map(|c| if has_words(c) { c } else { '\u{FFFD}' }).collect();
            let found = texts.iter().filter(|found| **found == clean).count();
            let expected = if text.is_empty() { 0 } else { times };
            prop_assert!(found >= expected, "{document}");
        }
    }
}

/// The texts of the elements that have no others in them.
fn texts(document: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(document);
    let mut texts = Vec::new();
    let mut text = String::new();
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Eof => return texts,
            Event::Start(_) => text.clear(),
            Event::End(_) => texts.push(std::mem::take(&mut text)),
            Event::Text(part) => text += &part.decode().expect("UTF-8"),
            Event::GeneralRef(name) => {
                let name = format!("&{};", name.decode().expect("UTF-8"));
                text += &quick_xml::escape::unescape(&name).expect("a known name");
            }
            _ => {}
        }
    }
}
