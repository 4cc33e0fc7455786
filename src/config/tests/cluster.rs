//! `[cluster]`: where a node meets the others.

use super::*;
use crate::limits::CLUSTER_SEEDS_MAX;

const SECRET: &str = "secret_file = \"/secret\"\n";

/// What `[cluster]` with these lines, and a secret, is read as.
fn cluster(lines: &str) -> Cluster {
    let text = small("", &format!("[cluster]\n{SECRET}{lines}"));
    let config = parse(&text, "elbow.toml").unwrap_or_else(|problems| panic!("{problems}"));
    config.cluster.expect("there is one")
}

/// Why `[cluster]` with these lines, and a secret, is refused.
fn mistake(lines: &str) -> String {
    only_mistake(&small("", &format!("[cluster]\n{SECRET}{lines}")))
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

#[test]
fn a_node_arrives_as_the_file_has_it() {
    let config = parse(FULL, "elbow.toml").expect("the file holds");
    let expected = Cluster {
        listen: address("0.0.0.0:7946"),
        advertise: address("10.0.0.5:7946"),
        node: "rack-7".to_owned(),
        seeds: vec!["10.0.0.6:7946".to_owned(), "elbow.internal:7946".to_owned()],
        secret_file: "/etc/elbow/cluster-secret".into(),
    };
    assert_eq!(config.cluster, Some(expected));
    let alone = parse(&small("", ""), "elbow.toml").expect("the file holds");
    assert_eq!(alone.cluster, None);
}

#[test]
fn a_node_is_reached_where_it_listens_and_called_so_unless_the_file_says_otherwise() {
    let least = cluster("listen = \"[::1]:7946\"");
    assert_eq!(least.advertise, least.listen);
    assert_eq!(least.node, "[::1]:7946");
    assert_eq!(least.seeds, [""; 0]);
    let behind = cluster("listen = \"0.0.0.0:7946\"\nadvertise = \"192.0.2.1:17946\"");
    assert_eq!(behind.node, "192.0.2.1:17946");
}

#[test]
fn other_nodes_must_have_an_address_to_send_to() {
    for listen in ["0.0.0.0:7946", "[::]:7946"] {
        let mistake = mistake(&format!("listen = \"{listen}\""));
        assert!(mistake.contains("`advertise` must say"), "{mistake}");
    }
    let advertising =
        |listen: &str, advertise| format!("listen = \"{listen}\"\nadvertise = \"{advertise}\"");
    for advertise in [
        "0.0.0.0:7946",
        "[::]:1",
        "10.0.0.5:0",
        "224.0.0.1:1",
        "10.0.0.5",
        "a:1",
    ] {
        let lines = advertising("10.0.0.5:7946", advertise);
        let expected = [format!("10 cluster.advertise = \"{advertise}\"")];
        assert_eq!(
            problems(&small("", &format!("[cluster]\n{lines}\n{SECRET}"))),
            expected
        );
    }
    // The kernel chooses, and the others are told what.
    let chosen = cluster("listen = \"127.0.0.1:0\"");
    assert_eq!(chosen.advertise, address("127.0.0.1:0"));
    let chosen = cluster(&advertising("0.0.0.0:0", "10.0.0.5:0"));
    assert_eq!(chosen.advertise, address("10.0.0.5:0"));
    let fixed = cluster(&advertising("0.0.0.0:0", "10.0.0.5:7"));
    assert_eq!(fixed.advertise, address("10.0.0.5:7"));
}

#[test]
fn every_mistake_about_the_cluster_is_named_where_it_is() {
    let text = small(
        "",
        "[cluster]\nlisten = \"elbow-1:7946\"\nadvertise = 1\nnode = \"a/b\"\n\
         seeds = [\"10.0.0.6\", 1, \"a:1\"]\nsecret_file = \"\"\nsecret = \"s\"\n",
    );
    let expected = [
        "9 cluster.listen = \"elbow-1:7946\"",
        "10 cluster.advertise = 1",
        "11 cluster.node = \"a/b\"",
        "12 cluster.seeds[0] = \"10.0.0.6\"",
        "12 cluster.seeds[1] = 1",
        "13 cluster.secret_file = \"\"",
        "14 cluster.secret",
    ];
    assert_eq!(problems(&text), expected);
    let missing = ["8 cluster.listen", "8 cluster.secret_file"];
    assert_eq!(problems(&small("", "[cluster]\n")), missing);
    assert_eq!(
        mistake("listen = \"[::1]:1\"\nseed = []"),
        "is not a key here; did you mean `seeds`?"
    );
    assert_eq!(
        only_mistake(&small("", "[[cluster]]\n")),
        "there is one at most: write [cluster] in single brackets"
    );
    assert_eq!(
        only_mistake(&small("", "[clutser]\n")),
        "is not a key here; did you mean `cluster`?"
    );
}

#[test]
fn there_are_so_many_seeds_and_no_more() {
    let lines = |count: usize| {
        let seeds = vec!["elbow:7946"; count];
        format!("listen = \"[::1]:1\"\nseeds = {seeds:?}")
    };
    assert_eq!(
        cluster(&lines(CLUSTER_SEEDS_MAX)).seeds.len(),
        CLUSTER_SEEDS_MAX
    );
    assert_eq!(
        mistake(&lines(CLUSTER_SEEDS_MAX + 1)),
        "must be at most 64 addresses"
    );
}

#[test]
fn a_summary_says_where_a_lonely_node_is() {
    let text = small(
        "",
        &format!("[cluster]\nlisten = \"10.0.0.5:7946\"\n{SECRET}"),
    );
    let summary = parse(&text, "elbow.toml")
        .expect("the file holds")
        .to_string();
    let expected = "\nnode 10.0.0.5:7946 of a cluster, on 10.0.0.5:7946, waits to be found (no \
                    seeds), its secret in /secret\ncookie keys by its secret\n";
    assert!(summary.contains(expected), "{summary}");
}
