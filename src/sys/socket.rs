//! Sockets as the kernel has them: listeners with inherited options, and the few direct calls.
//!
//! Not the ring's operations (`stream.rs`). Invariant: each function that takes a raw descriptor
//! is given one that its owner keeps open for the time of the call.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use monoio::buf::IoBufMut;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::limits;

/// Opens a listener that shares its port with the other shards' (`SO_REUSEPORT`).
///
/// Accepted connections inherit no-delay and keep-alive, so they cost no further call.
///
/// # Errors
/// Those of `bind(2)`: the port is in use by someone else, the address is not ours, or it is a
/// privileged port.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)))?;
    socket.bind(&address.into())?;
    socket.listen(limits::ACCEPT_QUEUE)?;
    Ok(socket.into())
}

/// Whether another process listens on this address. `SO_REUSEPORT` would let us share the port
/// with a stranger of the same user in silence; a bind without it tells.
///
/// # Errors
/// Those of `bind(2)`.
pub fn probe_free(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// Has new connections to the address of a listener go to some of those who listen there: the
/// kernel numbers them in the order in which they came. Where fewer are left it chooses among all.
///
/// # Errors
/// Those of `setsockopt(2)`; all get connections as before.
///
/// # Panics
/// If `some` is empty.
pub fn steer(listener: &TcpListener, some: Range<u32>) -> io::Result<()> {
    const RANDOM: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM).cast_unsigned();
    assert!(!some.is_empty(), "somebody takes connections");
    let step = |code: u32, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("codes have eight bits"),
        jt: 0,
        jf: 0,
        k,
    };
    // A random number, brought into the range, is who gets the connection.
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, RANDOM),
        step(
            libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K,
            some.end - some.start,
        ),
        step(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K, some.start),
        step(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(steps.len()).expect("four"),
        filter: steps.as_mut_ptr(),
    };
    set_option(listener, libc::SO_ATTACH_REUSEPORT_CBPF, &program)
}

/// Undoes [`steer`]: new connections go to all who listen at the address.
///
/// # Errors
/// Those of `setsockopt(2)`, as where nothing was steered.
pub fn steer_no_more(listener: &TcpListener) -> io::Result<()> {
    set_option(listener, libc::SO_DETACH_REUSEPORT_BPF, &0)
}

/// Sets an option of the socket level that `socket2` does not know. What the value points to has to
/// be live.
fn set_option<T>(listener: &TcpListener, option: libc::c_int, value: &T) -> io::Result<()> {
    #[expect(unsafe_code, reason = "setsockopt(2) with an option of Linux alone")]
    // SAFETY: the value is live and of the size that is passed; the kernel copies what it needs of
    // it, and of what it points to, before the call returns.
    let done = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const *value).cast(),
            libc::socklen_t::try_from(size_of::<T>()).expect("a few bytes"),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether somebody listens on this address, as far as a bind tells.
pub fn is_taken(address: SocketAddr) -> bool {
    probe_free(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Whether a call has failed for want of descriptors or memory: that is no fault of the other end.
pub fn is_shortage(error: &io::Error) -> bool {
    const SHORTAGES: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error
        .raw_os_error()
        .is_some_and(|number| SHORTAGES.contains(&number))
}

/// Which way a connection is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nothing more is received: a waiting receive ends with 0 bytes.
    Receive,
    /// Nothing more is sent: the peer sees the end.
    Send,
    /// Both.
    Both,
}

/// Shuts a connection down; operations in flight on it complete. An error means that the peer was
/// gone already, which is what was wanted.
pub fn shut_down(descriptor: RawFd, way: Way) {
    let how = match way {
        Way::Receive => libc::SHUT_RD,
        Way::Send => libc::SHUT_WR,
        Way::Both => libc::SHUT_RDWR,
    };
    #[expect(
        unsafe_code,
        reason = "the standard library has it for its own types alone"
    )]
    // SAFETY: `shutdown` takes no pointers; the descriptor is open (module invariant).
    unsafe {
        libc::shutdown(descriptor, how);
    }
}

/// What there is to see of a connection that nobody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nothing has come in and the peer has not closed: it can be used again.
    Quiet,
    /// Bytes have come in.
    Bytes,
    /// The peer has closed, or the connection is broken.
    End,
}

/// Whether nothing has come in and the peer has not closed.
pub fn is_quiet(descriptor: RawFd) -> bool {
    look(descriptor) == Sight::Quiet
}

/// What there is to see of a connection, of which nothing is taken.
pub fn look(descriptor: RawFd) -> Sight {
    let mut byte = 0_u8;
    let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK;
    #[expect(
        unsafe_code,
        reason = "recv(2) with flags on a descriptor that monoio owns"
    )]
    // SAFETY: the kernel writes at most one byte to a live local.
    let received = unsafe { libc::recv(descriptor, (&raw mut byte).cast(), 1, flags) };
    match received {
        1.. => Sight::Bytes,
        0 => Sight::End,
        _ if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock => Sight::Quiet,
        _ => Sight::End,
    }
}

/// Whether the peer has said that it sends no more, also where bytes from before still wait, or the
/// connection is broken.
pub fn has_ended(descriptor: RawFd) -> bool {
    let mut poll = libc::pollfd {
        fd: descriptor,
        events: libc::POLLRDHUP,
        revents: 0,
    };
    #[expect(unsafe_code, reason = "poll(2) on a descriptor that monoio owns")]
    // SAFETY: the kernel reads and writes one live local, and does not wait.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0
}

/// Whether nothing is left to receive and nothing more will come.
pub fn is_over(descriptor: RawFd) -> bool {
    look(descriptor) == Sight::End
}

/// Receives what has come in already, at most what the buffer takes.
///
/// # Errors
/// Those of `recv(2)`; `WouldBlock`: nothing has.
pub(super) fn receive_now(descriptor: RawFd, buffer: &mut impl IoBufMut) -> io::Result<usize> {
    let (place, room) = (buffer.write_ptr(), buffer.bytes_total());
    #[expect(unsafe_code, reason = "recv(2) into a buffer of monoio's trait")]
    // SAFETY: an `IoBufMut` has room for so many bytes there; the descriptor is open (module
    // invariant).
    let received = unsafe { libc::recv(descriptor, place.cast(), room, libc::MSG_DONTWAIT) };
    let count = usize::try_from(received).map_err(|_negative| io::Error::last_os_error())?;
    #[expect(
        unsafe_code,
        reason = "the trait's way to say how much has been written"
    )]
    // SAFETY: the kernel has written `count` bytes.
    unsafe {
        buffer.set_init(count);
    }
    Ok(count)
}

/// Sends what the kernel takes without waiting; for last words, which nobody depends on.
pub(super) fn send_now(descriptor: RawFd, bytes: &[u8]) {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    #[expect(
        unsafe_code,
        reason = "send(2) with flags on a descriptor that monoio owns"
    )]
    // SAFETY: the bytes are live for the time of the call; the descriptor is open (module
    // invariant).
    unsafe {
        libc::send(descriptor, bytes.as_ptr().cast(), bytes.len(), flags);
    }
}

/// Makes system calls on a socket return at once.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn unblock(descriptor: RawFd) -> io::Result<()> {
    borrowed(descriptor, |socket| socket.set_nonblocking(true))
}

/// A connection that waits in a listener's queue, if one does. The listener no longer blocks
/// afterwards, so accepts that are posted on the ring may fail: this is for one that closes.
pub fn accept_waiting(listener: RawFd) -> Option<(TcpStream, SocketAddr)> {
    unblock(listener).ok()?;
    let (socket, peer) = borrowed(listener, Socket::accept).ok()?;
    Some((socket.into(), peer.as_socket()?))
}

/// Calls with a view of a descriptor that monoio owns.
fn borrowed<T>(descriptor: RawFd, call: impl FnOnce(&Socket) -> T) -> T {
    #[expect(
        unsafe_code,
        reason = "a borrowed view of a descriptor that monoio owns"
    )]
    // SAFETY: the descriptor is open for the time of the call (module invariant).
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    call(&socket2::SockRef::from(&descriptor))
}

/// Resets a connection at once: the peer gets a reset with no end before it, unsent bytes are
/// dropped, operations in flight complete with an error. The descriptor stays open.
pub fn reset(descriptor: RawFd) {
    let nowhere = libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_UNSPEC).expect("it is 0"),
        sa_data: [0; 14],
    };
    #[expect(unsafe_code, reason = "connect(2) on a descriptor that monoio owns")]
    // SAFETY: the address is a live `sockaddr` of the size that is passed; the descriptor is open
    // (module invariant). `AF_UNSPEC` dissolves the association, see tcp(7) and connect(2).
    unsafe {
        libc::connect(
            descriptor,
            &raw const nowhere,
            libc::socklen_t::try_from(size_of::<libc::sockaddr>()).expect("16 bytes"),
        );
    }
}

/// Makes the coming close drop unsent bytes and reset the peer at once, for clients that stopped
/// reading.
pub fn reset_on_close(descriptor: RawFd) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    #[expect(unsafe_code, reason = "setsockopt(2) on a descriptor that monoio owns")]
    // SAFETY: the option value is a live `linger` of the size that is passed.
    unsafe {
        libc::setsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            libc::socklen_t::try_from(size_of::<libc::linger>()).expect("a few bytes"),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        (near, far)
    }

    #[test]
    fn two_listeners_of_ours_share_a_port() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        listen(first.local_addr().unwrap()).unwrap();
    }

    #[test]
    fn a_port_that_someone_listens_on_is_not_free() {
        let taken = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = probe_free(taken.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn connections_go_to_whom_they_are_steered_to() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let all = [first, listen(address).unwrap(), listen(address).unwrap()];
        // How many of twelve new connections each of them gets.
        let taken = || {
            let clients: Vec<_> = (0..12).map(|_| TcpStream::connect(address)).collect();
            assert!(clients.iter().all(Result::is_ok));
            let count = |l| std::iter::from_fn(|| accept_waiting(l)).count();
            all.each_ref().map(|listener| count(listener.as_raw_fd()))
        };
        steer(&all[0], 0..1).unwrap();
        assert_eq!(taken(), [12, 0, 0]);
        steer(&all[2], 2..3).unwrap();
        assert_eq!(taken(), [0, 0, 12]);
        steer(&all[0], 1..3).unwrap();
        assert_eq!(taken()[0], 0);
        steer(&all[0], 7..8).unwrap();
        assert_eq!(taken().iter().sum::<usize>(), 12, "nobody is the eighth");
        steer_no_more(&all[1]).unwrap();
        assert_eq!(taken().iter().sum::<usize>(), 12);
        assert!(steer_no_more(&all[1]).is_err(), "that was done");
    }

    #[test]
    fn a_connection_is_quiet_until_something_comes() {
        let (near, mut far) = pair();
        assert!(is_quiet(near.as_raw_fd()));
        far.write_all(b"x").unwrap();
        far.flush().unwrap();
        let mut byte = [0];
        near.peek(&mut byte).unwrap();
        assert_eq!(look(near.as_raw_fd()), Sight::Bytes);
    }

    #[test]
    fn a_closed_connection_is_not_quiet() {
        let (mut near, far) = pair();
        drop(far);
        assert_eq!(near.read(&mut [0]).unwrap(), 0);
        assert_eq!(look(near.as_raw_fd()), Sight::End);
    }

    #[test]
    fn an_end_is_seen_behind_bytes_and_over_is_what_has_none_left() {
        let (mut near, mut far) = pair();
        far.write_all(b"x").unwrap();
        near.peek(&mut [0]).unwrap();
        let look = |near: &TcpStream| (has_ended(near.as_raw_fd()), is_over(near.as_raw_fd()));
        assert_eq!(look(&near), (false, false));
        shut_down(far.as_raw_fd(), Way::Send);
        assert_eq!(look(&near), (true, false));
        near.read_exact(&mut [0]).unwrap();
        assert_eq!(look(&near), (true, true));
    }

    #[test]
    fn a_reset_connection_has_ended() {
        let (near, far) = pair();
        reset(far.as_raw_fd());
        assert!(near.peek(&mut [0]).is_err());
        assert!(has_ended(near.as_raw_fd()) && is_over(near.as_raw_fd()));
    }

    #[test]
    fn a_waiting_connection_is_taken_and_an_empty_queue_does_not_block() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(accept_waiting(listener.as_raw_fd()).is_none());
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_, peer) = accept_waiting(listener.as_raw_fd()).unwrap();
        assert_eq!(peer, near.local_addr().unwrap());
    }

    #[test]
    fn a_reset_reaches_a_peer_before_any_end() {
        for ended_before in [None, Some(Way::Send)] {
            let (mut near, mut far) = pair();
            if let Some(way) = ended_before {
                shut_down(near.as_raw_fd(), way);
                assert_eq!(far.read(&mut [0]).unwrap(), 0);
            }
            reset(near.as_raw_fd());
            let told = far.write_all(b"x").and_then(|()| far.read(&mut [0]));
            assert!(told.is_err(), "after {ended_before:?}: {told:?}");
            assert!(near.read(&mut [0]).is_err(), "our side is told as well");
        }
    }

    #[test]
    fn shutting_down_one_way_ends_the_peers_read() {
        let (near, mut far) = pair();
        shut_down(near.as_raw_fd(), Way::Send);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    }
}
