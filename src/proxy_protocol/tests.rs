use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::*;
use crate::limits::{PROXY_HEADER_BYTES_MAX, PROXY_LINE_BYTES_MAX};

const VERSIONS: [Version; 2] = [Version::V1, Version::V2];

fn written(version: Version, endpoints: Option<Endpoints>) -> Vec<u8> {
    let mut out = Vec::new();
    write(version, endpoints, &mut out);
    out
}

fn between(source: &str, destination: &str) -> Endpoints {
    Endpoints {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

fn header(endpoints: Endpoints, length: usize) -> Result<Parsed, Malformed> {
    Ok(Parsed::Header { endpoints, length })
}

/// A version 2 header with this command and family in front of `rest`.
fn binary_header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = binary::SIGNATURE.to_vec();
    bytes.extend_from_slice(&[command, family]);
    bytes.extend_from_slice(&u16::try_from(rest.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

#[test]
fn text_is_as_the_specification_has_it() {
    let v4 = between("192.0.2.7:50000", "198.51.100.1:80");
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 80\r\n";
    assert_eq!(written(Version::V1, Some(v4)), line);
    let v6 = between("[2001:db8::7]:1", "[::1]:65535");
    let line = b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n";
    assert_eq!(written(Version::V1, Some(v6)), line);
    assert_eq!(written(Version::V1, None), b"PROXY UNKNOWN\r\n");
}

#[test]
fn binary_is_as_the_specification_has_it() {
    let v4 = between("192.0.2.7:258", "198.51.100.1:80");
    let rest = [192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 0, 80];
    let expected = binary_header(0x21, 0x11, &rest);
    assert_eq!(written(Version::V2, Some(v4)), expected);
    let mut rest = [0; 36];
    rest[15] = 1;
    rest[31] = 2;
    rest[33] = 3;
    rest[35] = 4;
    let expected = binary_header(0x21, 0x21, &rest);
    let v6 = between("[::1]:3", "[::2]:4");
    // ::2 is in none of the forms of an IPv4 address.
    assert_eq!(written(Version::V2, Some(v6)), expected);
    assert_eq!(written(Version::V2, None), binary_header(0x21, 0, &[]));
}

#[test]
fn ends_of_two_families_are_written_in_the_wider_one() {
    for version in VERSIONS {
        let mixed = between("192.0.2.7:1", "[2001:db8::1]:2");
        let bytes = written(version, Some(mixed));
        let told = between("[::ffff:192.0.2.7]:1", "[2001:db8::1]:2");
        assert_eq!(parse(&bytes), header(told, bytes.len()));
        // A listener on `::` sees IPv4 clients like this.
        let mapped = between("[::ffff:192.0.2.7]:1", "[::ffff:198.51.100.1]:2");
        let bytes = written(version, Some(mapped));
        let told = between("192.0.2.7:1", "198.51.100.1:2");
        assert_eq!(parse(&bytes), header(told, bytes.len()));
    }
}

#[test]
fn who_names_nobody_is_local() {
    let lines: [&[u8]; 3] = [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 \xff x\r\n",
        b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
          ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
    ];
    for line in lines {
        let length = line.len();
        assert_eq!(parse(line), Ok(Parsed::Local { length }));
    }
    let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 0, 80];
    // LOCAL whatever it says; PROXY over datagrams, over UNIX sockets, over nothing.
    for (command, family) in [
        (0x20, 0x00),
        (0x20, 0x11),
        (0x20, 0xff),
        (0x21, 0x12),
        (0x21, 0x22),
        (0x21, 0x31),
        (0x21, 0x32),
        (0x21, 0x00),
    ] {
        let bytes = binary_header(command, family, &v4);
        let length = bytes.len();
        assert_eq!(
            parse(&bytes),
            Ok(Parsed::Local { length }),
            "{command:x} {family:x}"
        );
    }
}

#[test]
fn extensions_are_skipped_up_to_the_bound() {
    let endpoints = between("192.0.2.7:258", "198.51.100.1:80");
    let mut rest = vec![192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 0, 80];
    rest.resize(PROXY_HEADER_BYTES_MAX - 16, 0xaa);
    let bytes = binary_header(0x21, 0x11, &rest);
    assert_eq!(parse(&bytes), header(endpoints, PROXY_HEADER_BYTES_MAX));
    rest.push(0xaa);
    let bytes = binary_header(0x21, 0x11, &rest);
    assert_eq!(parse(&bytes), Err(Malformed));
    assert_eq!(
        parse(&bytes[..16]),
        Err(Malformed),
        "its length is enough to know"
    );
}

#[test]
fn what_is_not_a_header_is_malformed_at_once() {
    let lines: [&[u8]; 20] = [
        b"G",
        b"PROXY\t",
        b"proxy ",
        b" PROXY ",
        b"PROXY \r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        b"PROXY TCP4 1.2.3.004 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
    ];
    for line in lines {
        let text = String::from_utf8_lossy(line);
        assert_eq!(parse(line), Err(Malformed), "{text:?}");
    }
    let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; PROXY_LINE_BYTES_MAX]].concat();
    assert_eq!(parse(&long[..PROXY_LINE_BYTES_MAX - 1]), Err(Malformed));
    assert!(matches!(
        parse(&long[..PROXY_LINE_BYTES_MAX - 2]),
        Ok(Parsed::Incomplete(_))
    ));
    assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT\r"), Err(Malformed));
    assert_eq!(
        parse(&binary_header(0x11, 0x11, &[])[..13]),
        Err(Malformed),
        "version 1"
    );
    assert_eq!(
        parse(&binary_header(0x22, 0x11, &[])[..13]),
        Err(Malformed),
        "a command"
    );
    assert_eq!(
        parse(&binary_header(0x21, 0x11, &[0; 11])),
        Err(Malformed),
        "too short"
    );
    assert_eq!(
        parse(&binary_header(0x21, 0x21, &[0; 35])),
        Err(Malformed),
        "too short"
    );
    assert_eq!(
        parse(&binary_header(0x21, 0x41, &[0; 99])),
        Err(Malformed),
        "a family"
    );
    assert_eq!(
        parse(&binary_header(0x21, 0x13, &[0; 99])),
        Err(Malformed),
        "a transport"
    );
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
    let not_v4 = |(address, _): &([u8; 16], u16)| {
        let address = Ipv6Addr::from(*address);
        address.to_ipv4_mapped().is_none()
    };
    let v6 = any::<([u8; 16], u16)>().prop_filter("is IPv4", not_v4);
    prop_oneof![v4, v6.prop_map(SocketAddr::from)]
}

fn any_header() -> impl Strategy<Value = (Vec<u8>, Option<Endpoints>)> {
    let version = prop_oneof![Just(Version::V1), Just(Version::V2)];
    let endpoints = (any_address(), any_address())
        .prop_filter("two families", |(a, b)| a.is_ipv4() == b.is_ipv4())
        .prop_map(|(source, destination)| Endpoints {
            source,
            destination,
        });
    (version, proptest::option::of(endpoints))
        .prop_map(|(version, endpoints)| (written(version, endpoints), endpoints))
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        (bytes, endpoints) in any_header(),
        behind in any::<Vec<u8>>(),
    ) {
        let length = bytes.len();
        prop_assert!(length <= PROXY_LINE_BYTES_MAX);
        let expected = match endpoints {
            Some(endpoints) => Parsed::Header { endpoints, length },
            None => Parsed::Local { length },
        };
        prop_assert_eq!(parse(&[bytes, behind].concat()), Ok(expected));
    }

    #[test]
    fn every_prefix_is_incomplete_and_asks_for_no_byte_behind((bytes, _) in any_header()) {
        for split in 0..bytes.len() {
            let Ok(Parsed::Incomplete(needed)) = parse(&bytes[..split]) else {
                panic!("{split} bytes of {bytes:?}: {:?}", parse(&bytes[..split]));
            };
            prop_assert!(0 < needed && split + needed <= bytes.len(), "{} at {}", needed, split);
        }
    }

    #[test]
    fn random_bytes_are_harmless(
        opening in prop_oneof![
            Just(Vec::new()),
            Just(b"PROXY ".to_vec()),
            Just(b"PROXY TCP4 ".to_vec()),
            Just(binary::SIGNATURE.to_vec()),
            Just([&binary::SIGNATURE[..], &[0x21, 0x11, 0]].concat()),
        ],
        rest in any::<Vec<u8>>(),
    ) {
        let bytes = [opening, rest].concat();
        let whole = parse(&bytes);
        if let Ok(Parsed::Header { length, .. } | Parsed::Local { length }) = whole {
            prop_assert!(length <= bytes.len());
            prop_assert_eq!(parse(&bytes[..length]), whole);
        }
        // What is malformed stays so, and what is not was never said to be.
        for split in 0..bytes.len() {
            match (parse(&bytes[..split]), whole) {
                (Ok(Parsed::Incomplete(needed)), _) => prop_assert!(needed > 0),
                (early, whole) => prop_assert_eq!(early, whole),
            }
        }
    }
}
