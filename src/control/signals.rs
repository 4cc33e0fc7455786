//! SIGTERM, SIGINT, SIGHUP and SIGUSR1, as messages.
//!
//! Not here: what they bring about (`drain.rs`, `certificates/renewal.rs`). Invariant: once
//! [`listen`], [`hangups`] and [`reopenings`] have returned, no such signal ends the process by
//! itself.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// A signal that asks the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
}

/// Begins to listen. Each signal is one message; the third and later ones may be lost.
///
/// # Errors
///
/// If the handlers cannot be installed.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Stop>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Two: the first begins the drain, the second ends it.
    let (stops, inbox) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            let stop = tokio::select! {
                Some(()) = terminate.recv() => Stop::Terminate,
                Some(()) = interrupt.recv() => Stop::Interrupt,
                else => return,
            };
            if stops.send(stop).await.is_err() {
                return;
            }
        }
    });
    Ok(inbox)
}

/// Begins to listen for SIGHUP, which asks to read files again. Signals that come while none is
/// taken are one.
///
/// # Errors
///
/// If the handler cannot be installed.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Begins to listen for SIGUSR1, which says that files of logs were moved away.
///
/// # Errors
///
/// If the handler cannot be installed.
pub(super) fn reopenings() -> io::Result<Signal> {
    signal(SignalKind::user_defined1())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn both_signals_arrive_as_messages() {
        let mut inbox = listen().expect("handlers can be installed");
        let own_id = std::process::id().to_string();
        for (name, expected) in [("-TERM", Stop::Terminate), ("-INT", Stop::Interrupt)] {
            let sent = Command::new("kill")
                .args([name, &own_id])
                .stdin(Stdio::null())
                .status()
                .expect("kill is there");
            assert!(sent.success());
            assert_eq!(inbox.recv().await, Some(expected));
        }
    }
}
