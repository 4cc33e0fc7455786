//! A connection to a backend with TLS on it: a client's session by monoio-rustls, over a connection
//! of the ring.
//!
//! Not whom to trust: the terms say that. monoio-rustls lends its write buffer to each write and
//! panics if a receive that fails has an alert to write meanwhile, and it sends every record by
//! itself. Here a write to it never waits: what it writes is gathered, and leaves in one send from
//! [`Secured::send`] and [`Secured::announce_end`] alone. Invariant: the halves are taken out while
//! an operation works with them, so there is one receive and one send at a time.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::mem;
use std::rc::Rc;
use std::slice;
use std::sync::Arc;

use futures_util::FutureExt;
use monoio::BufResult;
use monoio::buf::{IoBuf, IoBufMut, IoVecBuf, IoVecBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Split, Splitable};
use monoio_rustls::{ClientTlsStream, TlsConnector};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::block::{Block, Incoming, Outgoing};
use super::socket::{Sight, receive_now, send_now};
use super::stream::Stream;
use crate::limits::IDLE_BLOCK_BYTES;

/// A connection that can be received from and sent to at the same time, over TLS.
pub struct Secured {
    wire: Rc<Wire>,
    reader: Cell<Option<OwnedReadHalf<ClientTlsStream<Tap>>>>,
    writer: Cell<Option<OwnedWriteHalf<ClientTlsStream<Tap>>>>,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("wire", &self.wire).finish()
    }
}

/// The connection below, and what waits to be sent on it.
#[derive(Debug)]
struct Wire {
    stream: Stream,
    /// Ciphertext in the order in which the session made it.
    outgoing: RefCell<Vec<u8>>,
    reads: Cell<Reads>,
}

/// What a read of the session's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// It sends what waits, then receives: the two sides take turns.
    InTurn,
    /// It receives.
    Plainly,
    /// It takes what has come in already, and does not wait.
    AtHand,
}

impl Secured {
    /// Shakes hands over a connection that is open; `preface` goes in clear before. It may take for
    /// ever; the caller ends the connection.
    ///
    /// # Errors
    /// Those of the connection, or that the backend is not whom the terms trust. No byte of any
    /// request has been sent then.
    pub async fn connect(
        stream: Stream,
        terms: &Arc<ClientConfig>,
        name: ServerName<'static>,
        preface: Vec<u8>,
    ) -> io::Result<Self> {
        let wire = Rc::new(Wire {
            stream,
            outgoing: RefCell::new(preface),
            reads: Cell::new(Reads::InTurn),
        });
        let connector = TlsConnector::from(Arc::clone(terms));
        let shaken = connector.connect(name, Tap(Rc::clone(&wire))).await;
        // Also where it failed: an alert says why.
        let flushed = wire.flush(&|_| ()).await;
        let session = shaken?;
        flushed?;
        wire.reads.set(Reads::Plainly);
        let (reader, writer) = session.into_split();
        Ok(Self {
            wire,
            reader: Cell::new(Some(reader)),
            writer: Cell::new(Some(writer)),
        })
    }

    /// Receives plaintext as [`Stream::receive`] does.
    ///
    /// # Errors
    /// Those of the connection, that what came is not what the backend sent, or `UnexpectedEof`:
    /// the connection has ended and the backend has not said that it was done.
    pub async fn receive(&self, block: Block, limit: usize) -> (io::Result<usize>, Block) {
        let mut reader = self.reader.take().expect("one receive at a time");
        let (result, incoming) = reader.read(Incoming { block, limit }).await;
        self.reader.set(Some(reader));
        (result, incoming.block)
    }

    /// Sends plaintext as [`Stream::send`] does, and whatever the session has to say besides.
    ///
    /// # Errors
    /// Those of the connection, or that its keys may seal no more.
    pub async fn send(
        &self,
        mut block: Block,
        on_progress: impl Fn(usize),
    ) -> (io::Result<()>, Block) {
        let mark = block.mark();
        let mut writer = self.writer.take().expect("one send at a time");
        let result = loop {
            if block.is_empty() {
                break Ok(());
            }
            let (sealed, outgoing) = writer.write(Outgoing(block)).await;
            block = outgoing.0;
            match sealed {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => block.consume(count),
                Err(error) => break Err(error),
            }
            if let Err(error) = self.wire.flush(&on_progress).await {
                break Err(error);
            }
        };
        self.writer.set(Some(writer));
        block.restore(mark);
        (result, block)
    }

    /// Tells the backend that nothing more will come (RFC 8446 §6.1).
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn announce_end(&self) -> io::Result<()> {
        let mut writer = self.writer.take().expect("one send at a time");
        let sealed = writer.shutdown().await;
        self.writer.set(Some(writer));
        sealed?;
        self.wire.flush(&|_| ()).await
    }

    /// What has come in, the session's own words apart.
    pub fn look(&self) -> Sight {
        let mut reader = self.reader.take().expect("one receive at a time");
        self.wire.reads.set(Reads::AtHand);
        let read = reader.read(Box::new([0_u8; 1])).now_or_never();
        self.wire.reads.set(Reads::Plainly);
        self.reader.set(Some(reader));
        match read {
            Some((Ok(1..), _)) => Sight::Bytes,
            Some((Err(error), _)) if error.kind() == io::ErrorKind::WouldBlock => Sight::Quiet,
            _ => Sight::End,
        }
    }

    /// The connection below, for its descriptor and address.
    pub fn stream(&self) -> &Stream {
        &self.wire.stream
    }
}

impl Drop for Secured {
    /// Many servers log a connection that ends without a word as an attack: it is said if that
    /// takes no waiting.
    fn drop(&mut self) {
        let Some(mut writer) = self.writer.take() else {
            return;
        };
        if let Some(Ok(())) = writer.shutdown().now_or_never() {
            send_now(self.stream().descriptor(), &self.wire.outgoing.borrow());
        }
    }
}

impl Wire {
    /// Sends what waits.
    async fn flush(&self, on_progress: &impl Fn(usize)) -> io::Result<()> {
        let mut outgoing = mem::take(&mut *self.outgoing.borrow_mut());
        let mut start = 0;
        while start < outgoing.len() {
            let (result, slice) = self.stream.operand().write(outgoing.slice(start..)).await;
            outgoing = slice.into_inner();
            match result? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => {
                    start += count;
                    on_progress(count);
                }
            }
        }
        let mut waiting = self.outgoing.borrow_mut();
        if waiting.capacity() == 0 && outgoing.capacity() <= IDLE_BLOCK_BYTES {
            outgoing.clear();
            *waiting = outgoing;
        }
        Ok(())
    }
}

/// What monoio-rustls takes for a connection. Its writes end at once.
#[derive(Debug)]
struct Tap(Rc<Wire>);

#[expect(unsafe_code, reason = "monoio's trait is unsafe to implement")]
// SAFETY: a read and a write share nothing but the `Wire`, through shared references: the read has
// the connection, whose receives and sends are independent (`Stream`), the write has `outgoing`,
// which a read touches in turn with writes only.
unsafe impl Split for Tap {}

impl AsyncReadRent for Tap {
    async fn read<T: IoBufMut>(&mut self, mut buffer: T) -> BufResult<usize, T> {
        match self.0.reads.get() {
            Reads::Plainly => {}
            Reads::InTurn => {
                if let Err(error) = self.0.flush(&|_| ()).await {
                    return (Err(error), buffer);
                }
            }
            Reads::AtHand => {
                let received = receive_now(self.0.stream.descriptor(), &mut buffer);
                return (received, buffer);
            }
        }
        self.0.stream.operand().read(buffer).await
    }

    async fn readv<T: IoVecBufMut>(&mut self, buffers: T) -> BufResult<usize, T> {
        // Never called by a session, which reads into one buffer.
        (Err(io::ErrorKind::Unsupported.into()), buffers)
    }
}

impl AsyncWriteRent for Tap {
    async fn write<T: IoBuf>(&mut self, buffer: T) -> BufResult<usize, T> {
        #[expect(
            unsafe_code,
            reason = "a view of a buffer that monoio's trait has none of"
        )]
        // SAFETY: an `IoBuf` has so many initialised bytes there, and it is borrowed meanwhile.
        let bytes = unsafe { slice::from_raw_parts(buffer.read_ptr(), buffer.bytes_init()) };
        self.0.outgoing.borrow_mut().extend_from_slice(bytes);
        (Ok(bytes.len()), buffer)
    }

    async fn writev<T: IoVecBuf>(&mut self, buffers: T) -> BufResult<usize, T> {
        (Err(io::ErrorKind::Unsupported.into()), buffers)
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        Ok(())
    }
}
