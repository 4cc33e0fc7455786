use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::super::Runtime;
use super::*;
use crate::config::Driver;

const HOST: &str = "site.test";

/// What each side sends in the test that has both send at once.
const BYTES: usize = 8 << 20;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(15);

type Client = StreamOwned<ClientConnection, TcpStream>;

/// The settings of a server and of a client that trusts it.
fn settings() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Runs `serve` on a session after its handshake, against `client` on a thread.
fn run<T: Send + 'static>(
    client: impl FnOnce(&mut Client) -> T + Send + 'static,
    serve: impl AsyncFnOnce(&Tls<'_>, &Blocks),
) -> T {
    let (server_settings, client_settings) = settings();
    let (mut runtime, _) = Runtime::build(Driver::Auto).unwrap();
    runtime.block_on(async {
        let listener = monoio::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let client = thread::spawn(move || {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let host = ServerName::try_from(HOST).unwrap();
            let session = ClientConnection::new(client_settings, host).unwrap();
            client(&mut StreamOwned::new(session, stream))
        });
        let (stream, _) = listener.accept().await.unwrap();
        let blocks = Blocks::default();
        let tls = Tls::new(Stream::new(stream), server_settings, &blocks);
        tls.shake_hands().await.unwrap();
        serve(&tls, &blocks).await;
        client.join().unwrap()
    })
}

/// The byte at each offset of what is sent; 251 is prime, so what is lost or moved shows.
fn byte(offset: usize) -> u8 {
    u8::try_from(offset % 251).unwrap()
}

#[test]
fn both_directions_run_at_once_and_through_changes_of_keys() {
    let client = |stream: &mut Client| {
        let mut received = 0;
        let mut sent = 0;
        let mut sizes = [1, 100, 5_000, 16_384, 40_000].into_iter().cycle();
        while received < BYTES || sent < BYTES {
            let size = sizes.next().unwrap();
            let piece: Vec<u8> = (sent..BYTES.min(sent + size)).map(byte).collect();
            stream.write_all(&piece).unwrap();
            sent += piece.len();
            if size == 100 {
                stream.conn.refresh_traffic_keys().unwrap();
            }
            let mut piece = vec![0; size.min(BYTES - received)];
            stream.read_exact(&mut piece).unwrap();
            let is_whole = (received..).zip(&piece).all(|(at, b)| *b == byte(at));
            assert!(is_whole, "after {received}");
            received += piece.len();
        }
    };
    run(client, async |tls, blocks| {
        let sending = async {
            let mut sent = 0;
            while sent < BYTES {
                let mut block = blocks.larger(blocks.relay());
                let size = block.room().min(BYTES - sent);
                block.append(&(sent..sent + size).map(byte).collect::<Vec<_>>());
                let (result, block) = tls.send(block, |_| ()).await;
                result.unwrap();
                assert_eq!(block.len(), size, "the block comes back as it went");
                blocks.put(block);
                sent += size;
            }
        };
        let receiving = async {
            let mut received = 0;
            while received < BYTES {
                let limit = 1 + received % 70_000;
                let (result, block) = tls.receive(blocks.relay(), limit).await;
                let count = result.unwrap();
                assert_eq!(count, block.len());
                assert!((1..=limit).contains(&count), "{count} of {limit}");
                let is_whole = (received..)
                    .zip(block.bytes())
                    .all(|(at, b)| *b == byte(at));
                assert!(is_whole, "after {received}");
                received += count;
                blocks.put(block);
            }
        };
        monoio::join!(sending, receiving);
    });
}

#[test]
fn an_announced_end_comes_after_the_last_byte() {
    let client = |stream: &mut Client| {
        stream.write_all(b"last").unwrap();
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        rest
    };
    let rest = run(client, async |tls, blocks| {
        let (received, mut block) = tls.receive(blocks.idle(), usize::MAX).await;
        assert_eq!((received.unwrap(), block.bytes()), (4, &b"last"[..]));
        for _ in 0..2 {
            let received;
            (received, block) = tls.receive(block, usize::MAX).await;
            assert_eq!(received.unwrap(), 0);
        }
        // The client's end is not ours.
        tls.send(block, |_| ()).await.0.unwrap();
        for _ in 0..2 {
            tls.close_notify().await.unwrap();
        }
    });
    assert_eq!(rest, b"last");
}

#[test]
fn records_fill_a_block_in_one_call_and_no_further() {
    let blocks = Blocks::default();
    let mut block = blocks.idle();
    let slices = [[b'a'; 1024], [b'b'; 1024], [b'c'; 1024]];
    let slices = slices.each_ref().map(|slice| IoSlice::new(slice));
    assert_eq!(Tail(&mut block).write_vectored(&slices[..1]).unwrap(), 1024);
    assert_eq!(Tail(&mut block).write_vectored(&slices[1..]).unwrap(), 1024);
    assert_eq!(Tail(&mut block).write(b"more").unwrap(), 0);
    assert_eq!(block.bytes(), [[b'a'; 1024], [b'b'; 1024]].concat());
}
