//! Configurations that need no file: `elbow run --listen ...` and `elbow demo`; and what flags
//! change in any configuration.
//!
//! Not here: the flags themselves (`cli`).

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::cookie::application_cookie_name;
use super::policy::EXPIRATION_SECONDS_MAX;
use super::{
    AccessLog, Admin, Api, ApplicationPolicy, Attributes, Backend, Config, Cores, Driver,
    DurationPolicy, HealthCheck,
};
use super::{Host, Listener, LoadBalancer, Mistake, Protocol, Sink, Stickiness, Target};
use crate::limits::BACKENDS_MAX;

/// What flags change in a configuration; `None` and `false` leave it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--cores` or `--shards`.
    pub cores: Option<Cores>,
    /// `--no-pin`.
    pub no_pin: bool,
    /// `--driver`.
    pub driver: Option<Driver>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
    /// `--admin`; of it only where it listens.
    pub admin: Option<Admin>,
    /// `--access-log`.
    pub access_log: Option<Sink>,
}

impl Stickiness {
    /// `--sticky`: the life of the cookie in seconds, 0 for the browser session.
    pub fn for_seconds(seconds: u32) -> Result<Self, Mistake> {
        if seconds > EXPIRATION_SECONDS_MAX {
            return Err(format!("must be 0 to {EXPIRATION_SECONDS_MAX}").into());
        }
        let policy = DurationPolicy::new(POLICY_OF_FLAGS, NonZeroU32::new(seconds));
        Ok(Self::Duration(policy))
    }

    /// `--sticky-app`: the name of the application's cookie.
    pub fn by_application(cookie_name: &str) -> Result<Self, Mistake> {
        let cookie_name = application_cookie_name(cookie_name)?;
        let policy = ApplicationPolicy::new(POLICY_OF_FLAGS, cookie_name);
        Ok(Self::Application(policy))
    }
}

/// What a policy is called that flags made.
const POLICY_OF_FLAGS: &str = "sticky";

impl Config {
    /// One load balancer, named `default`, from `listen` to `backends`, which are checked by TCP
    /// connections to their ports every 5 s.
    ///
    /// The first backend's port is the instance port, and with it the scope of cookies: sessions
    /// survive a restart that keeps it.
    pub fn from_flags(
        listen: SocketAddr,
        backends: &[SocketAddr],
        stickiness: Option<Stickiness>,
        overrides: Overrides,
    ) -> Result<Self, Mistake> {
        let instance_port = backends
            .first()
            .ok_or("at least one --backend is needed")?
            .port();
        let health_check = HealthCheck {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy_threshold: 2,
            ..HealthCheck::tcp(instance_port)
        };
        Self::of_one("default", listen, backends, stickiness, health_check)?
            .override_host(overrides)
    }

    /// The load balancer of `elbow demo`: sticky for the browser session, and with checks so short
    /// that a backend which is killed or comes back is noticed at once.
    pub fn demo(
        listen: SocketAddr,
        admin: Admin,
        backends: &[SocketAddr],
    ) -> Result<Self, Mistake> {
        let port = backends.first().ok_or("a demo needs a backend")?.port();
        let stickiness = Stickiness::Duration(DurationPolicy::new("browser-session", None));
        let health_check = HealthCheck {
            target: Target {
                protocol: Protocol::Http,
                port,
                path: "/health".to_owned(),
            },
            interval: Duration::from_millis(250),
            timeout: Duration::from_millis(200),
            unhealthy_threshold: 2,
            healthy_threshold: 2,
        };
        let config = Self::of_one("demo", listen, backends, Some(stickiness), health_check)?;
        config.override_host(Overrides {
            admin: Some(admin),
            ..Overrides::default()
        })
    }

    /// What the two above share. The admin address is still to be checked by `override_host`.
    fn of_one(
        name: &str,
        listen: SocketAddr,
        backends: &[SocketAddr],
        stickiness: Option<Stickiness>,
        health_check: HealthCheck,
    ) -> Result<Self, Mistake> {
        if backends.len() > BACKENDS_MAX {
            return Err(format!("more than {BACKENDS_MAX} backends").into());
        }
        let mut named = HashSet::new();
        if let Some(twice) = backends.iter().find(|backend| !named.insert(**backend)) {
            return Err(format!("the backend {twice} is named twice").into());
        }
        let of_address = |address: &SocketAddr| {
            Backend::from_socket_address(*address)
                .map_err(|mistake| Mistake::from(format!("the backend {address}: {mistake}")))
        };
        let load_balancer = LoadBalancer {
            name: name.to_owned(),
            backends: backends.iter().map(of_address).collect::<Result<_, _>>()?,
            listeners: vec![Listener {
                address: listen,
                protocol: Protocol::Http,
                instance_protocol: Protocol::Http,
                instance_port: health_check.target.port,
                stickiness,
                behind_tls: false,
                tls: None,
                proxy_networks: Vec::new(),
            }],
            backend_policies: Vec::new(),
            health_check,
            attributes: Attributes::default(),
        };
        Ok(Self {
            host: Host::default(),
            admin: Admin::default(),
            api: Api::default(),
            access_log: AccessLog::default(),
            cluster: None,
            instances: BTreeMap::new(),
            certificates: BTreeMap::new(),
            load_balancers: vec![load_balancer],
        })
    }

    /// Lets flags have the last word about the process.
    ///
    /// Fails where the result would not hold: the admin address is a listener's too, or open to
    /// other hosts.
    pub fn override_host(mut self, overrides: Overrides) -> Result<Self, Mistake> {
        let Overrides {
            cores,
            no_pin,
            driver,
            state_dir,
            admin,
            access_log,
        } = overrides;
        self.host.cores = cores.unwrap_or(self.host.cores);
        self.host.pin &= !no_pin;
        self.host.driver = driver.unwrap_or(self.host.driver);
        self.host.state_dir = state_dir.or(self.host.state_dir);
        self.access_log.to = access_log.or(self.access_log.to);
        if let Some(Admin { listen, .. }) = admin {
            self.admin.listen = listen;
        }
        self.admin
            .check()
            .map_err(|mistake| Mistake::from(format!("the admin address {mistake}")))?;
        let listeners = self
            .load_balancers
            .iter()
            .flat_map(|balancer| &balancer.listeners);
        for Listener { address, .. } in listeners {
            if self.admin.clashes_with(*address) {
                return Err(format!(
                    "the listener on {address} takes the admin address too; \
                     choose another one with --admin, or --admin off"
                )
                .into());
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("a socket address")
    }

    fn from_flags(
        listen: &str,
        backends: &[SocketAddr],
        sticky: Option<u32>,
    ) -> Result<Config, Mistake> {
        let stickiness = sticky.map(Stickiness::for_seconds).transpose()?;
        Config::from_flags(address(listen), backends, stickiness, Overrides::default())
    }

    fn two_backends() -> [SocketAddr; 2] {
        [address("10.0.0.1:9001"), address("10.0.0.2:9002")]
    }

    #[test]
    fn flags_make_one_load_balancer_that_a_file_could_have_made() {
        let made = from_flags("0.0.0.0:8080", &two_backends(), Some(60));
        let file = r#"
            [[load_balancer]]
            name = "default"
            instances = ["10.0.0.1:9001", "10.0.0.2:9002"]
            health_check = { interval = 5, timeout = 2, healthy_threshold = 2 }
            lb_cookie_policy = [{ name = "sticky", expiration_seconds = 60 }]
            listener = [{
                protocol = "HTTP", port = 8080, instance_port = 9001, policies = ["sticky"],
            }]
        "#;
        assert_eq!(
            made,
            Ok(super::super::parse(file, "same.toml").expect("the file holds"))
        );
    }

    #[test]
    fn sticky_0_is_the_browser_session_and_absent_is_none() {
        let stickiness = |sticky| {
            let config = from_flags("0.0.0.0:8080", &two_backends(), sticky);
            config.expect("the flags hold").load_balancers[0].listeners[0]
                .stickiness
                .clone()
        };
        assert_eq!(stickiness(None), None);
        let session = Stickiness::Duration(DurationPolicy::new("sticky", None));
        assert_eq!(stickiness(Some(0)), Some(session));
    }

    #[test]
    fn an_application_policy_is_one_that_a_file_could_have_made() {
        let made = Stickiness::by_application("JSESSIONID");
        let policy = ApplicationPolicy::new("sticky", "JSESSIONID");
        assert_eq!(made, Ok(Stickiness::Application(policy)));
        assert!(Stickiness::by_application("AWSELB").is_err());
        assert!(Stickiness::by_application("a b").is_err());
    }

    #[test]
    fn flags_that_no_file_may_say_are_refused() {
        let listen = "0.0.0.0:8080";
        let backend = address("10.0.0.1:9001");
        assert!(from_flags(listen, &[], None).is_err());
        assert!(from_flags(listen, &[backend, backend], None).is_err());
        assert!(from_flags(listen, &[address("10.0.0.1:0")], None).is_err());
        assert!(from_flags(listen, &[backend], Some(u32::MAX)).is_err());
        assert!(from_flags(listen, &vec![backend; BACKENDS_MAX + 1], None).is_err());
    }

    #[test]
    fn the_demo_checks_its_backends_several_times_a_second() {
        let admin = Admin::OFF;
        let demo = Config::demo(address("127.0.0.1:8080"), admin.clone(), &two_backends());
        let demo = demo.expect("the demo holds");
        assert_eq!(demo.admin, admin);
        let check = &demo.load_balancers[0].health_check;
        assert_eq!(check.target.to_string(), "HTTP:9001/health");
        assert!(check.timeout < check.interval && check.interval <= Duration::from_millis(500));
    }

    #[test]
    fn flags_have_the_last_word_and_leave_the_rest_alone() {
        let config = from_flags("127.0.0.1:8080", &two_backends(), None).expect("the flags hold");
        let unchanged = config.clone().override_host(Overrides::default());
        assert_eq!(unchanged.as_ref(), Ok(&config));
        let overrides = Overrides {
            cores: Some(Cores::List(vec![1])),
            no_pin: true,
            driver: Some(Driver::Epoll),
            state_dir: Some(PathBuf::from("/state")),
            admin: Some(Admin::OFF),
            access_log: Some(Sink::Stdout),
        };
        let changed = config
            .clone()
            .override_host(overrides)
            .expect("the overrides hold");
        assert_eq!(changed.load_balancers, config.load_balancers);
        assert_eq!(changed.admin, Admin::OFF);
        assert_eq!(changed.access_log.to, Some(Sink::Stdout));
        let host = Host {
            cores: Cores::List(vec![1]),
            pin: false,
            driver: Driver::Epoll,
            state_dir: Some(PathBuf::from("/state")),
            ..config.host
        };
        assert_eq!(changed.host, host);
    }

    #[test]
    fn an_admin_address_that_a_listener_takes_is_refused() {
        let listen = "0.0.0.0:9090";
        assert!(from_flags(listen, &two_backends(), None).is_err());
        let off = Overrides {
            admin: Some(Admin::OFF),
            ..Overrides::default()
        };
        assert!(Config::from_flags(address(listen), &two_backends(), None, off).is_ok());
    }
}
