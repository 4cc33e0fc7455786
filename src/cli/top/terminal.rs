//! The terminal while `elbow top` has it: a screen of its own, keys as they are pressed.
//!
//! Invariant: it is as before once a [`Screen`] is dropped, and before a panic is told.

use std::cell::Cell;
use std::io::{self, Stdout, Write, stdout};
use std::panic;
use std::rc::Rc;
use std::sync::mpsc::SyncSender;
use std::thread;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::signal::unix::{SignalKind, signal};

use super::watch::Happening;

/// A terminal that is taken.
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Forgiving>>,
    is_gone: Rc<Cell<bool>>,
}

impl Screen {
    pub(super) fn take() -> io::Result<Self> {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            previous(info);
        }));
        enable_raw_mode()?;
        let is_gone = Rc::new(Cell::new(false));
        let out = Forgiving {
            out: stdout(),
            is_gone: Rc::clone(&is_gone),
        };
        let taken = execute!(stdout(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(out)));
        match taken {
            Ok(terminal) => Ok(Self { terminal, is_gone }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Whether the terminal has hung up: nothing can be written to it.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.get()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Makes the terminal what it was. Where that fails it is gone.
fn give_back() {
    drop(disable_raw_mode());
    drop(execute!(stdout(), LeaveAlternateScreen, Show));
}

/// Stdout on a terminal that may hang up. Nothing fails then: what draws would tell it on stderr,
/// which is gone as well.
pub(super) struct Forgiving {
    out: Stdout,
    is_gone: Rc<Cell<bool>>,
}

impl Write for Forgiving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.is_gone.set(self.is_gone.get() || written.is_err());
        Ok(written.unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.is_gone.set(self.is_gone.get() || flushed.is_err());
        Ok(())
    }
}

/// Tells which keys are pressed, and that the terminal is of another size, until nobody listens.
pub(super) fn tell_keys(to: SyncSender<Happening>) {
    thread::spawn(move || {
        loop {
            let happening = event::read().map_or(Happening::Ended, Happening::Terminal);
            let is_over = matches!(happening, Happening::Ended);
            if to.send(happening).is_err() || is_over {
                return;
            }
        }
    });
}

/// Tells that a signal asks for the end. From here on none of these ends the process by itself.
pub(super) fn tell_signals(to: SyncSender<Happening>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut hangup, mut interrupt, mut terminate) = {
        let _within = runtime.enter();
        let of = |kind: fn() -> SignalKind| signal(kind());
        (
            of(SignalKind::hangup)?,
            of(SignalKind::interrupt)?,
            of(SignalKind::terminate)?,
        )
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        // Whoever does not listen any more has ended.
        drop(to.send(Happening::Ended));
    });
    Ok(())
}
