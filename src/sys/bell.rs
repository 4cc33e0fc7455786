//! A bell that wakes a shard: it says that there is something to look at, and nothing else.
//!
//! Not a channel: however often it is rung before it is heard, it is heard once. Invariant: whoever
//! has written something and then rings does not wait, and what was written is seen by whoever then
//! hears.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use monoio::io::AsyncReadRent;

/// A shard's bell, for all threads to ring. Rung before it hangs it is not heard.
#[derive(Debug, Default)]
pub struct Bell {
    is_rung: AtomicBool,
    rope: OnceLock<UnixStream>,
}

impl Bell {
    /// Hangs it where it is to be heard: on the runtime of this thread. Once.
    ///
    /// # Errors
    /// Those of `socketpair(2)`.
    pub fn hang(&self, is_epoll: bool) -> io::Result<Ear> {
        let (near, far) = UnixStream::pair()?;
        // The ring waits by itself and would hand `EAGAIN` through on a non-blocking descriptor.
        near.set_nonblocking(is_epoll)?;
        far.set_nonblocking(true)?;
        let near = monoio::net::UnixStream::from_std(near)?;
        self.rope
            .set(far)
            .map_err(|_far| io::Error::from(io::ErrorKind::AlreadyExists))?;
        Ok(Ear {
            near,
            byte: vec![0],
        })
    }

    /// Rings, unless it was rung already and not yet heard.
    pub fn ring(&self) {
        if let Some(mut rope) = self.rope.get()
            && !self.is_rung.swap(true, Ordering::AcqRel)
            // One byte at a time is on the way, which has room.
            && rope.write(&[0]).is_err()
        {
            self.is_rung.store(false, Ordering::Release);
        }
    }
}

/// Where a bell is heard.
#[derive(Debug)]
pub struct Ear {
    near: monoio::net::UnixStream,
    byte: Vec<u8>,
}

impl Ear {
    /// Waits until `bell`, which is the one that was hung, is rung.
    ///
    /// # Errors
    /// Those of the receive; it will not be heard any more.
    pub async fn hear(&mut self, bell: &Bell) -> io::Result<()> {
        let (received, byte) = self.near.read(std::mem::take(&mut self.byte)).await;
        self.byte = byte;
        // Before whatever is looked at now: what is written later rings anew.
        bell.is_rung.swap(false, Ordering::AcqRel);
        match received {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::thread;

    use super::*;

    fn write_and_ring(written: &AtomicU64, bell: &Bell) {
        written.fetch_add(1, Ordering::Relaxed);
        bell.ring();
    }

    #[test]
    fn what_was_written_before_a_ring_is_seen_by_whoever_hears() {
        const RINGS: u64 = 20_000;
        let mut runtime = monoio::RuntimeBuilder::<monoio::LegacyDriver>::new()
            .build()
            .unwrap();
        let bell = Arc::new(Bell::default());
        let written = Arc::new(AtomicU64::new(0));
        bell.ring();
        runtime.block_on(async {
            let mut ear = bell.hang(true).unwrap();
            let ringers = [0, 1].map(|_| {
                let (bell, written) = (Arc::clone(&bell), Arc::clone(&written));
                thread::spawn(move || (0..RINGS).for_each(|_| write_and_ring(&written, &bell)))
            });
            // A ring that is lost leaves this waiting for ever.
            while written.load(Ordering::Relaxed) < 2 * RINGS {
                ear.hear(&bell).await.unwrap();
            }
            for ringer in ringers {
                ringer.join().unwrap();
            }
        });
    }
}
