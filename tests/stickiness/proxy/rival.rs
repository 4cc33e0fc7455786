//! A proxy that is not ours, as a child process on ports that were free a moment ago.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::Site;
use crate::harness::eventually;

/// A rival that serves. Ends with this value.
pub(crate) struct Running {
    child: Child,
    pub(super) listeners: Vec<SocketAddr>,
    /// A socket that takes commands, where the rival has one.
    socket: Option<PathBuf>,
}

impl Running {
    /// Starts `command` and waits until its listeners accept and its socket answers.
    pub(super) fn start(
        mut command: Command,
        listeners: Vec<SocketAddr>,
        socket: Option<PathBuf>,
    ) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut running = Self {
            child,
            listeners,
            socket,
        };
        eventually("the rival accepts", || {
            let ended = running.child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            let mut listeners = running.listeners.iter();
            let accepts = listeners.all(|listener| TcpStream::connect(listener).is_ok());
            accepts && (running.socket.is_none() || running.ask("show info").is_ok())
        });
        running
    }

    pub(super) fn is_in_service(&self, backend: &str) -> Option<bool> {
        self.socket.as_ref()?;
        let table = self.ask("show stat pool 4 -1").expect("the socket answers");
        let row = table
            .lines()
            .map(|line| line.split(',').collect::<Vec<_>>())
            .find(|row| row.get(1) == Some(&backend));
        // The column `status`; a change in progress reads `UP 1/3`.
        Some(row.is_some_and(|row| row.get(17).is_some_and(|status| status.starts_with("UP"))))
    }

    /// Sends one command that has no answer.
    pub(super) fn tell(&self, command: &str) -> Result<(), String> {
        let answer = self.ask(command)?;
        if answer.trim().is_empty() {
            Ok(())
        } else {
            Err(answer)
        }
    }

    fn ask(&self, command: &str) -> Result<String, String> {
        let path = self.socket.as_ref().ok_or("this proxy takes no commands")?;
        let converse = || {
            let mut socket = UnixStream::connect(path)?;
            writeln!(socket, "{command}")?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            Ok(answer)
        };
        converse().map_err(|error: std::io::Error| format!("{command}: {error}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // By the signal on which a master ends its workers too. It may have ended already.
        kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
        drop(self.child.wait());
    }
}

/// An address of this machine that nobody listens on.
pub(super) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("the listener is bound")
}

/// Writes the configuration and says where it is.
pub(super) fn write_config(site: &Site<'_>, name: &str, text: &str) -> PathBuf {
    let path = site.directory.join(name);
    fs::write(&path, text).expect("the directory is writable");
    path
}
