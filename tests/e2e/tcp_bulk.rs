//! TCP listeners under weight: streams too long to keep, readers that stall, more connections than
//! anybody could leak.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::harness::{
    Elbow, PATIENCE, RawBackend, Setup, eventually, expect_pattern, pattern, send_pattern,
};
use crate::tcp::{
    connect, expect, expect_end, expect_nothing_held, expect_reset, reset, start, start_held,
};

const MIB: usize = 1 << 20;

/// What is streamed each way where it matters how long it is.
const LONG: Range<usize> = 0..1024 * MIB;

/// Long enough to be passed on at bulk speed, and to fill whatever is on the way.
const BULK: Range<usize> = 0..32 * MIB;

/// Far below what is streamed; a few blocks of each size fit.
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// Whose bytes nobody takes for so long is held back.
const HELD_BACK: Duration = Duration::from_millis(500);

/// Connections in all. Each is accepted, connected on, ended and closed on both sides.
const SHORT_CONNECTIONS: usize = 100_000;

/// Clients at once, each with an address of its own, so that none runs out of ports.
const SHORT_CLIENTS: usize = 8;

/// Passes that part one way, and looks whether it went the way of bulk.
fn pass(elbow: &Elbow, from: &mut TcpStream, to: &mut TcpStream, part: Range<usize>) {
    let before = elbow.sum("elbow_spliced_bytes_total");
    let length = part.len() as u64;
    thread::scope(|scope| {
        let sent = part.clone();
        scope.spawn(|| send_pattern(from, sent));
        expect_pattern(to, part);
    });
    let spliced = elbow.sum("elbow_spliced_bytes_total") - before;
    assert!(spliced > length / 2, "{spliced} of {length} were spliced");
}

/// Sends until nothing more is taken for a while; tells how far it came.
fn send_until_held_back(stream: &mut TcpStream, part: Range<usize>) -> usize {
    let mut position = part.start;
    stream.set_write_timeout(Some(HELD_BACK)).expect("not zero");
    while position < part.end {
        match stream.write(pattern(position..part.end)) {
            Ok(count) => position += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
    position
}

#[test]
fn a_gibibyte_passes_each_way_at_once_in_constant_memory() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (mut near, mut far) = connect(&elbow, &streams);
    let before = elbow.resident_bytes_max();
    thread::scope(|scope| {
        for stream in [&near, &far] {
            let mut stream = stream.try_clone().expect("a descriptor is free");
            scope.spawn(move || {
                send_pattern(&mut stream, LONG);
                stream.shutdown(Shutdown::Write).expect("it is open");
            });
        }
        scope.spawn(|| expect_pattern(&mut far, LONG));
        expect_pattern(&mut near, LONG);
    });
    expect_end(&mut near);
    expect_end(&mut far);
    let growth = elbow.resident_bytes_max().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more");
    expect_nothing_held(&elbow);
    let length = LONG.len() as u64;
    let counts = ["up", "down"].map(|way| elbow.sum(&format!("elbow_relayed_{way}_bytes_total")));
    assert_eq!(counts, [1 + length, length]);
    let spliced = elbow.sum("elbow_spliced_bytes_total");
    assert!(spliced > length, "{spliced} bytes were spliced");
    assert_eq!(elbow.sum("elbow_aborted_total"), 0);
}

#[test]
fn an_end_of_sending_after_bulk_is_passed_on_and_the_other_way_goes_on() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (near, far) = connect(&elbow, &streams);
    let (far_first, near_first) = connect(&elbow, &streams);
    for (mut first, mut second) in [(near, far), (near_first, far_first)] {
        pass(&elbow, &mut first, &mut second, BULK);
        first.shutdown(Shutdown::Write).expect("it is open");
        expect_end(&mut second);
        pass(&elbow, &mut second, &mut first, BULK);
        second.shutdown(Shutdown::Write).expect("it is open");
        expect_end(&mut first);
    }
    expect_nothing_held(&elbow);
    assert_eq!(elbow.sum("elbow_aborted_total"), 0);
}

#[test]
fn a_reset_after_bulk_is_passed_on_as_a_reset() {
    let (_backend, streams, elbow) = start_held(&[]);
    for is_near_first in [true, false] {
        let (near, far) = connect(&elbow, &streams);
        let (mut first, mut second) = if is_near_first {
            (near, far)
        } else {
            (far, near)
        };
        pass(&elbow, &mut first, &mut second, BULK);
        reset(first);
        expect_reset(&mut second);
    }
    expect_nothing_held(&elbow);
    assert_eq!(elbow.sum("elbow_aborted_total"), 2);
}

#[test]
fn a_reader_that_is_reset_amid_bulk_ends_the_sender() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (mut near, mut far) = connect(&elbow, &streams);
    let block = vec![b'x'; MIB];
    thread::scope(|scope| {
        let sender = scope.spawn(|| while far.write_all(&block).is_ok() {});
        near.read_exact(&mut vec![0; BULK.len()])
            .expect("the stream comes");
        reset(near);
        sender.join().expect("it ends");
    });
    expect_nothing_held(&elbow);
    assert_eq!(elbow.sum("elbow_aborted_total"), 1);
}

#[test]
fn who_stops_reading_holds_back_the_sender_and_misses_nothing() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (mut near, mut far) = connect(&elbow, &streams);
    let before = elbow.resident_bytes_max();
    pass(&elbow, &mut far, &mut near, BULK);
    let sent = send_until_held_back(&mut far, BULK.end..LONG.end);
    assert!(sent < LONG.end, "nobody reads, and all was taken");
    // The other way is not held back.
    pass(&elbow, &mut near, &mut far, BULK);
    thread::scope(|scope| {
        scope.spawn(|| send_pattern(&mut far, sent..sent + BULK.len()));
        expect_pattern(&mut near, BULK.end..sent + BULK.len());
    });
    let growth = elbow.resident_bytes_max().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more");
    drop((near, far));
    expect_nothing_held(&elbow);
}

#[test]
fn who_does_not_read_is_given_up_and_the_next_gets_none_of_its_bytes() {
    let (_backend, streams, elbow) = start_held(&["idle_timeout = 2"]);
    let before = elbow.resident_bytes_max();
    let (stalled, mut far) = connect(&elbow, &streams);
    let block = vec![b'x'; MIB];
    // Ends when the silence has lasted: nothing moves once the buffers are full.
    while far.write_all(&block).is_ok() {}
    expect_nothing_held(&elbow);
    let (mut near, mut far) = connect(&elbow, &streams);
    pass(&elbow, &mut far, &mut near, BULK);
    let growth = elbow.resident_bytes_max().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes more");
    drop(stalled);
}

#[test]
fn silence_after_bulk_ends_a_connection_on_both_sides() {
    let (_backend, streams, elbow) = start_held(&["idle_timeout = 1"]);
    let (mut near, mut far) = connect(&elbow, &streams);
    pass(&elbow, &mut far, &mut near, BULK);
    expect_reset(&mut near);
    expect_reset(&mut far);
    expect_nothing_held(&elbow);
}

/// A small message each way, one after the other.
fn ask_and_answer(near: &mut TcpStream, far: &mut TcpStream) {
    near.write_all(b"a question").expect("elbow takes it");
    expect(far, b"a question");
    far.write_all(b"an answer!").expect("elbow takes it");
    expect(near, b"an answer!");
}

#[test]
fn small_messages_after_bulk_pass_as_before_it() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (mut near, mut far) = connect(&elbow, &streams);
    for _ in 0..3 {
        pass(&elbow, &mut far, &mut near, BULK);
        pass(&elbow, &mut near, &mut far, BULK);
        // What was spliced is counted before the next of the same side is read.
        ask_and_answer(&mut near, &mut far);
        let before = elbow.sum("elbow_spliced_bytes_total");
        let messages = 100;
        for _ in 0..messages {
            ask_and_answer(&mut near, &mut far);
        }
        let spliced = elbow.sum("elbow_spliced_bytes_total") - before;
        assert!(spliced < messages * 10, "{spliced} bytes still spliced");
    }
    drop((near, far));
    expect_nothing_held(&elbow);
}

#[test]
fn an_urgent_byte_amid_bulk_does_not_stop_it() {
    let (_backend, streams, elbow) = start_held(&[]);
    let (mut near, mut far) = connect(&elbow, &streams);
    thread::scope(|scope| {
        scope.spawn(|| {
            send_pattern(&mut far, BULK);
            let socket = socket2::SockRef::from(&far);
            socket.send_out_of_band(b"!").expect("elbow takes it");
            send_pattern(&mut far, BULK.end..2 * BULK.end);
        });
        expect_pattern(&mut near, 0..2 * BULK.end);
    });
    drop((near, far));
    expect_nothing_held(&elbow);
}

#[test]
fn pipes_are_closed_when_nothing_passes_through_them() {
    let (_backend, streams, elbow) = start_held(&[]);
    let pairs: Vec<_> = (0..8).map(|_| connect(&elbow, &streams)).collect();
    let before = elbow.descriptors();
    thread::scope(|scope| {
        for (near, far) in &pairs {
            let ends = || {
                near.try_clone()
                    .and_then(|near| Ok((near, far.try_clone()?)))
            };
            let (mut near, mut far) = ends().expect("descriptors are free");
            scope.spawn(move || send_pattern(&mut far, BULK));
            scope.spawn(move || expect_pattern(&mut near, BULK));
        }
    });
    assert!(elbow.sum("elbow_spliced_bytes_total") > BULK.len() as u64);
    eventually("no pipe is open", || elbow.descriptors() <= before);
}

#[test]
fn a_hundred_thousand_short_connections_leave_nothing_behind() {
    let (one, two) = (RawBackend::named("one"), RawBackend::named("two"));
    let elbow = start(&Setup::tcp(&[one.address, two.address]), 2);
    ask_often(&elbow, SHORT_CONNECTIONS / 20);
    expect_nothing_held(&elbow);
    let (descriptors, resident) = (elbow.descriptors(), elbow.resident_bytes_max());
    ask_often(&elbow, SHORT_CONNECTIONS);
    expect_nothing_held(&elbow);
    eventually("all descriptors are closed", || {
        elbow.descriptors() <= descriptors
    });
    let growth = elbow.resident_bytes_max().saturating_sub(resident);
    assert!(growth < GROWTH_BYTES_MAX / 4, "{growth} bytes more");
    let asked = SHORT_CONNECTIONS + SHORT_CONNECTIONS / 20;
    assert_eq!(one.count() + two.count(), asked);
    assert_eq!(elbow.sum("elbow_relays_total"), asked as u64);
    assert_eq!(elbow.sum("elbow_aborted_total"), 0);
}

/// So many connections, several at a time, each of which gets its answer and ends.
fn ask_often(elbow: &Elbow, connections: usize) {
    thread::scope(|scope| {
        for client in 1..=SHORT_CLIENTS {
            let host = u8::try_from(client).expect("a few clients");
            scope.spawn(move || {
                for _ in 0..connections / SHORT_CLIENTS {
                    ask_from(Ipv4Addr::new(127, 0, 1, host), elbow.address());
                }
            });
        }
    });
}

/// One question and its answer, from that address.
fn ask_from(address: Ipv4Addr, listener: SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = SocketAddr::from((address, 0));
    socket.bind(&from.into()).expect("a port is free");
    socket
        .connect_timeout(&listener.into(), PATIENCE)
        .expect("elbow listens");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.write_all(b"?").expect("elbow takes it");
    let mut name = String::new();
    stream
        .read_to_string(&mut name)
        .expect("an answer, and an end");
    assert!(matches!(name.as_str(), "one" | "two"), "{name:?}");
}
