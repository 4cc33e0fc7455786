//! What a scanner finds: versions, suites and curves as promised, no known weakness, and nothing
//! that Mozilla's recommendation for servers ("intermediate") has anything against.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::authority::Kind;
use crate::harness::{Backend, Directory};
use crate::program::run;
use crate::{Bench, HOST};

/// What it writes of one server.
#[derive(Deserialize)]
struct Report {
    server_scan_results: [Server; 1],
}

#[derive(Deserialize)]
struct Server {
    scan_result: Findings,
}

/// What it has found, by the name of each scan.
#[derive(Deserialize)]
struct Findings {
    /// Apart, as it has numbers as long as an RSA key, which no [`Value`] takes.
    #[serde(rename = "certificate_info")]
    _certificate_info: IgnoredAny,
    #[serde(flatten)]
    scans: BTreeMap<String, Value>,
}

impl Findings {
    fn of(&self, scan: &str) -> &Value {
        let attempt = &self.scans[scan];
        assert_eq!(attempt["status"], "COMPLETED", "{scan}: {attempt}");
        &attempt["result"]
    }

    /// The names that stand in a list, in order.
    fn names(&self, scan: &str, list: &str, name: &str) -> Vec<&str> {
        let items = self.of(scan)[list].as_array().expect("a list");
        let names = items.iter().map(|item| item.pointer(name));
        let mut names: Vec<&str> = names
            .map(|name| name.and_then(Value::as_str).expect("a name"))
            .collect();
        names.sort_unstable();
        names
    }

    fn suites(&self, version: &str) -> Vec<&str> {
        let scan = format!("{version}_cipher_suites");
        self.names(&scan, "accepted_cipher_suites", "/cipher_suite/name")
    }
}

/// Scans the HTTPS listener. Fails unless it is as Mozilla recommends, where that is asked for.
fn scan(bench: &Bench, arguments: &[&str]) -> Findings {
    let directory = Directory::new();
    let json = directory.path().join("findings").display().to_string();
    let mut command = Command::new("sslyze");
    command
        .args(["--json_out", &json, "--sni", HOST])
        .args(["--certinfo_ca_file", &bench.authority.root])
        .args(arguments)
        .arg(format!("127.0.0.1:{}", bench.port()));
    run(&mut command, "").expect_success();
    let text = fs::read_to_string(json).expect("it was written");
    let report: Report = serde_json::from_str(&text).expect("it is a report");
    let [server] = report.server_scan_results;
    server.scan_result
}

/// By scan, what it asks, and what it must find.
const ANSWERS: [(&str, &str, bool); 7] = [
    ("heartbleed", "is_vulnerable_to_heartbleed", false),
    (
        "openssl_ccs_injection",
        "is_vulnerable_to_ccs_injection",
        false,
    ),
    ("tls_compression", "supports_compression", false),
    ("tls_1_3_early_data", "supports_early_data", false),
    ("tls_fallback_scsv", "supports_fallback_scsv", true),
    ("tls_extended_master_secret", "supports_ems_extension", true),
    (
        "session_renegotiation",
        "is_vulnerable_to_client_renegotiation_dos",
        false,
    ),
];

#[test]
fn a_scan_finds_what_is_promised_and_no_weakness() {
    for kind in Kind::BOTH {
        let bench = Bench::new(kind, Backend::named("one"));
        let found = scan(&bench, &["--early_data", "--mozilla_config=intermediate"]);
        for version in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
            assert_eq!(found.suites(version), [""; 0], "{version}");
        }
        let key = match kind {
            Kind::Ecdsa => "ECDSA",
            Kind::Rsa => "RSA",
        };
        let suites = [
            "AES_128_GCM_SHA256",
            "AES_256_GCM_SHA384",
            "CHACHA20_POLY1305_SHA256",
        ];
        let of_1_2 = suites.map(|suite| format!("TLS_ECDHE_{key}_WITH_{suite}"));
        assert_eq!(found.suites("tls_1_2"), of_1_2);
        assert_eq!(
            found.suites("tls_1_3"),
            suites.map(|suite| format!("TLS_{suite}"))
        );
        let curves = found.names("elliptic_curves", "supported_curves", "/name");
        assert_eq!(curves, ["X25519", "secp256r1", "secp384r1"]);

        for (scan, question, answer) in ANSWERS {
            assert_eq!(found.of(scan)[question], answer, "{question}");
        }
        let renegotiation = found.of("session_renegotiation");
        assert_eq!(renegotiation["client_renegotiations_success_count"], 0);
        // There is no RSA key exchange that an oracle could be asked about.
        let robot = &found.of("robot")["robot_result"];
        assert_eq!(robot, "NOT_VULNERABLE_RSA_NOT_SUPPORTED");
        assert_eq!(bench.elbow.sum("elbow_panics_total"), 0);
    }
}

#[test]
fn a_scan_resumes_sessions_by_tickets_and_by_nothing_else() {
    const TRIES: u64 = 7;
    let bench = Bench::new(Kind::Ecdsa, Backend::named("one"));
    let tries = TRIES.to_string();
    let only = ["--mozilla_config", "disable", "--resum"];
    let found = scan(&bench, &[&only[..], &["--resum_attempts", &tries]].concat());
    let found = found.of("session_resumption");
    assert_eq!(found["session_id_successful_resumptions_count"], 0);
    assert_eq!(found["tls_ticket_attempted_resumptions_count"], TRIES);
    // It takes a session for a new one if its ticket was replaced, as RFC 5077 §3.3 lets elbow do,
    // so its own count says nothing.
    assert_eq!(bench.elbow.sum("elbow_tls_resumed_total"), TRIES);
}
