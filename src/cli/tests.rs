//! Command lines as an operator types them, down to the configuration or the one line on stderr.

use std::fs::File;
use std::io::Write;

use clap::CommandFactory;

use super::*;
use crate::config::{Admin, Cores, Driver, Host, Stickiness};

/// A configuration file that is removed when the test ends.
struct ConfigFile(PathBuf);

impl ConfigFile {
    fn new(test_name: &str, text: &[u8]) -> Self {
        let name = format!("elbow-{}-{test_name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        File::create(&path)
            .and_then(|mut file| file.write_all(text))
            .expect("a temporary file");
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().expect("a name in UTF-8")
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        // A file that stays behind in the temporary directory fails no promise.
        let _removed = std::fs::remove_file(&self.0);
    }
}

const ONE_BALANCER: &str = r#"
[host]
cores = "0"
[[load_balancer]]
name = "shop"
instances = ["10.0.0.1"]
[[load_balancer.listener]]
protocol = "HTTP"
port = 8080
instance_port = 80
"#;

fn command(line: &str) -> Result<Command, String> {
    let cli = Cli::try_parse_from(line.split_whitespace());
    cli.map(|cli| cli.command).map_err(|error| one_line(&error))
}

fn run(line: &str) -> Run {
    match command(line) {
        Ok(Command::Run(run)) => *run,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_definitions_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn flags_alone_make_a_configuration() {
    let line = "elbow run --listen 0.0.0.0:8080 --backend 10.0.0.1:9001 --backend 10.0.0.2:9001 \
                --sticky 60 --shards 2 --no-pin --driver epoll --admin off --state-dir /state";
    let (config, _) = load(&run(line)).expect("the flags hold");
    let host = Host {
        cores: Cores::parse_count("2").expect("a count"),
        pin: false,
        driver: Driver::Epoll,
        state_dir: Some(PathBuf::from("/state")),
        ..Host::default()
    };
    assert_eq!(config.host, host);
    assert_eq!(config.admin, Admin::OFF);
    assert_eq!(config.load_balancers[0].backends.len(), 2);
    assert!(config.load_balancers[0].listeners[0].stickiness.is_some());
}

#[test]
fn stickiness_comes_from_one_flag_or_the_other() {
    let flags = "elbow run --listen 0.0.0.0:8080 --backend 10.0.0.1:9001";
    let stickiness = |more: &str| {
        let (config, _) = load(&run(&format!("{flags} {more}"))).expect("the flags hold");
        config.load_balancers[0].listeners[0].stickiness.clone()
    };
    assert_eq!(stickiness(""), None);
    assert_eq!(stickiness("--sticky 60"), Stickiness::for_seconds(60).ok());
    assert_eq!(
        stickiness("--sticky-app JSESSIONID"),
        Stickiness::by_application("JSESSIONID").ok()
    );
}

#[test]
fn flags_go_before_the_file() {
    let file = ConfigFile::new("flags-first", ONE_BALANCER.as_bytes());
    let (plain, _) = load(&run(&format!("elbow run --config {}", file.name()))).expect("it holds");
    assert_eq!(plain.host.cores, Cores::List(vec![0]));
    let line = format!("elbow run --config {} --cores 1-2", file.name());
    let (config, _) = load(&run(&line)).expect("it holds");
    assert_eq!(config.host.cores, Cores::List(vec![1, 2]));
    assert_eq!(config.load_balancers, plain.load_balancers);
}

#[test]
fn the_demo_needs_no_flags() {
    let Ok(Command::Demo(demo)) = command("elbow demo --driver uring") else {
        panic!("the demo's flags")
    };
    let backend = SocketAddr::from(([127, 0, 0, 1], 9001));
    let config = load_demo(&demo, &[backend]).expect("the demo holds");
    assert_eq!(config.host.driver, Driver::Uring);
    assert_eq!(config.admin, Admin::default());
    let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
    assert_eq!(config.load_balancers[0].listeners[0].address, listen);
}

#[test]
fn a_bad_command_line_is_one_line() {
    let flags = "elbow run --listen 0.0.0.0:80 --backend 10.0.0.1:80";
    for (line, expected) in [
        (
            format!("{flags} --cores 3-0"),
            "invalid value '3-0' for '--cores <LIST>': the range 3-0 runs backwards; \
             for more information, try '--help'",
        ),
        (
            format!("{flags} --shards 0"),
            "invalid value '0' for '--shards <N>': must be 1 to 1024; \
             for more information, try '--help'",
        ),
        (
            format!("{flags} --sticky-app AWSELB"),
            "invalid value 'AWSELB' for '--sticky-app <COOKIE>': is a name of elbow's own \
             cookies: name the application's; for more information, try '--help'",
        ),
        (
            "elbow run --listen :80 --backend 10.0.0.1:80".to_owned(),
            "invalid value ':80' for '--listen <ADDR>': must be an IP address and port, such as \
             127.0.0.1:8080; for more information, try '--help'",
        ),
    ] {
        assert_eq!(command(&line).expect_err("a bad line"), expected);
    }
    for line in [
        "elbow run".to_owned(),
        "elbow check".to_owned(),
        "elbow explain".to_owned(),
        "elbow run --listen 0.0.0.0:80".to_owned(),
        "elbow run --backend 10.0.0.1:80".to_owned(),
        "elbow run --config a.toml --sticky 60".to_owned(),
        "elbow run --config a.toml --sticky-app JSESSIONID".to_owned(),
        "elbow run --sticky-app JSESSIONID".to_owned(),
        format!("{flags} --sticky-app JSESSIONID --sticky 60"),
        format!("{flags} --sticky-app a;b"),
        "elbow run --config a.toml --listen 0.0.0.0:80 --backend 10.0.0.1:80".to_owned(),
        format!("{flags} --cores 0 --shards 1"),
        format!("{flags} --sticky 2147483648"),
        format!("{flags} --driver kqueue"),
        format!("{flags} --admin 0.0.0.0"),
        format!("{flags} --log-level loud"),
        format!("{flags} --stiky 60"),
    ] {
        let text = command(&line).expect_err(&line);
        assert!(
            !text.contains('\n') && !text.contains("Usage"),
            "{line}: {text}"
        );
    }
}

#[test]
fn a_misspelt_flag_is_told_its_neighbour() {
    let text = command("elbow run --confg a.toml").expect_err("a bad line");
    assert!(text.contains("'--config'"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_line() {
    let failure = load(&run("elbow run --config /nowhere/elbow.toml")).expect_err("no such file");
    let text = failure.to_string();
    assert!(
        text.starts_with("cannot read /nowhere/elbow.toml: No such file"),
        "{text}"
    );
    assert!(!text.contains('\n'));
    let not_text = ConfigFile::new("not-text", b"\xff\xfe");
    let failure = load(&run(&format!("elbow run --config {}", not_text.name())));
    assert!(
        matches!(failure, Err(Failure::Unreadable { .. })),
        "{failure:?}"
    );
    let endless = load(&run("elbow run --config /dev/zero"));
    assert!(
        matches!(endless, Err(Failure::Unreadable { .. })),
        "{endless:?}"
    );
}

#[test]
fn one_problem_is_one_line_and_several_are_listed() {
    let one = ConfigFile::new("one", ONE_BALANCER.replace("8080", "80801").as_bytes());
    let failure = load(&run(&format!("elbow run --config {}", one.name()))).expect_err("a problem");
    let expected = "9: load_balancer[0].listener[0].port = 80801: must be 0 to 65535";
    assert_eq!(failure.to_string(), format!("{}:{expected}", one.name()));
    let two = ONE_BALANCER.replace("8080", "80801").replace("HTTP", "FTP");
    let two = ConfigFile::new("two", two.as_bytes());
    let failure = load(&run(&format!("elbow run --config {}", two.name()))).expect_err("two");
    assert_eq!(failure.to_string().lines().count(), 4, "{failure}");
}

#[test]
fn check_says_what_the_file_says_or_what_is_wrong_with_it() {
    let good = ConfigFile::new("good", ONE_BALANCER.as_bytes());
    let answer = check(&Check {
        config: good.0.clone(),
    });
    assert_eq!(answer.exit_code, 0);
    assert!(
        answer
            .text
            .starts_with(&format!("{}: no problems\n", good.name()))
    );
    assert!(answer.text.contains("load balancer shop"));
    let bad = ConfigFile::new("bad", b"[host]\npin = 1\nname = 2\n");
    let answer = check(&Check {
        config: bad.0.clone(),
    });
    assert_eq!(answer.exit_code, 2);
    assert!(answer.text.ends_with("\n2 problems"), "{}", answer.text);
    let absent = check(&Check {
        config: PathBuf::from("/nowhere/elbow.toml"),
    });
    assert_eq!(absent.exit_code, 2);
    assert!(
        absent.text.starts_with("elbow: cannot read "),
        "{}",
        absent.text
    );
}

#[test]
fn log_levels_are_those_of_the_log() {
    let level = |name: &str| {
        let line = format!("elbow demo --log-level {name}");
        let Ok(Command::Demo(demo)) = command(&line) else {
            panic!("{line}")
        };
        LevelFilter::from(demo.host.log_level)
    };
    let names = ["error", "warn", "info", "debug", "trace"];
    let filters = names.map(|name| name.parse::<LevelFilter>().expect("a level"));
    assert_eq!(names.map(level), filters);
    let Ok(Command::Demo(demo)) = command("elbow demo") else {
        panic!("the demo's flags")
    };
    assert_eq!(demo.host.log_level, LogLevel::Info);
}
