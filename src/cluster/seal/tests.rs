use proptest::collection::vec;
use proptest::prelude::*;

use super::super::cut;
use super::*;

const NOW_MS: u64 = 1_700_000_000_000;
const ONE: &str = "correct horse battery staple";
const TWO: &str = "0123456789abcdef";

fn secrets(lines: &[&str]) -> Secrets {
    Secrets::parse(&lines.join("\n")).expect("they hold")
}

fn sender(node: u32) -> Sender {
    Sender {
        node,
        boot_ms: NOW_MS - 1000,
    }
}

fn sealer(node: u32) -> Sealer {
    Sealer::new(&secrets(&[ONE]), sender(node))
}

/// That of node 1.
fn opener() -> Opener {
    Opener::new(&secrets(&[ONE]), sender(1))
}

fn seal_at(sealer: &mut Sealer, bytes: &[u8], now_ms: u64) -> Vec<u8> {
    let mut pieces = cut(3, bytes).expect("it is short");
    let piece = pieces.next().expect("there is one");
    sealer.seal(&piece, now_ms, [7; NONCE_BYTES])
}

fn seal(sealer: &mut Sealer, bytes: &[u8]) -> Vec<u8> {
    seal_at(sealer, bytes, NOW_MS)
}

/// Whose it is, or why it is refused.
fn open_at(opener: &mut Opener, datagram: &[u8], now_ms: u64) -> Result<Sender, Refusal> {
    opener.open(datagram, now_ms).map(|opened| opened.sender)
}

fn open(opener: &mut Opener, datagram: &[u8]) -> Result<Sender, Refusal> {
    open_at(opener, datagram, NOW_MS)
}

#[test]
fn what_one_node_seals_another_opens() {
    let message = b"hello";
    let datagram = seal(&mut sealer(2), message);
    assert_eq!(datagram.len(), OVERHEAD_BYTES + message.len());
    let mut opener = opener();
    let opened = opener.open(&datagram, NOW_MS).expect("it is heard");
    let piece = cut(3, message).and_then(|mut pieces| pieces.next());
    assert_eq!(opened.sender, sender(2));
    assert_eq!(Some(opened.piece), piece);
}

/// What this version sends every later one must read, or call by another version.
#[test]
fn a_datagram_is_these_bytes() {
    let datagram = seal(&mut sealer(0x0102_0304), b"hello");
    let digits: String = datagram.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = "01b10bf5a1070707070707070707070707\
                    1cb923e7fe2b2ea0f55d85adbafb0c1c80ef8233cd540942618ff81b\
                    988bebfad965dea891e2d9f913b41219563f1f04e812b98fb9d09e";
    assert_eq!(digits, expected);
    assert_eq!(open(&mut opener(), &datagram), Ok(sender(0x0102_0304)));
}

#[test]
fn the_longest_piece_fits_a_datagram() {
    let long = [1; 2 * GOSSIP_DATAGRAM_BYTES_MAX];
    let datagram = seal(&mut sealer(2), &long);
    assert_eq!(datagram.len(), GOSSIP_DATAGRAM_BYTES_MAX);
    assert!(open(&mut opener(), &datagram).is_ok());
    let longer = [&datagram[..], &[0]].concat();
    assert_eq!(open(&mut opener(), &longer), Err(Refusal::Long));
    let shortest = seal(&mut sealer(2), b"");
    assert!(open(&mut opener(), &shortest).is_ok());
    assert_eq!(open(&mut opener(), &shortest[1..]), Err(Refusal::Short));
    assert_eq!(open(&mut opener(), b""), Err(Refusal::Short));
}

#[test]
fn a_later_version_is_told_from_what_is_forged() {
    let mut datagram = seal(&mut sealer(2), b"hello");
    datagram[0] = VERSION + 1;
    assert_eq!(open(&mut opener(), &datagram), Err(Refusal::Version));
}

#[test]
fn two_secrets_open_and_the_first_seals() {
    let by = |lines: &[&str]| seal(&mut Sealer::new(&secrets(lines), sender(2)), b"hello");
    let opens = |lines: &[&str], datagram: &[u8]| {
        open(&mut Opener::new(&secrets(lines), sender(1)), datagram)
    };
    assert!(opens(&[TWO, ONE], &by(&[ONE])).is_ok());
    assert!(opens(&[ONE, TWO], &by(&[TWO, ONE])).is_ok());
    assert_eq!(opens(&[ONE], &by(&[TWO, ONE])), Err(Refusal::UnknownKey));
}

#[test]
fn a_node_does_not_listen_to_its_own_number() {
    let mut opener = opener();
    let own = seal(&mut sealer(1), b"hello");
    assert_eq!(open(&mut opener, &own), Err(Refusal::Own));
    let before = Sender {
        boot_ms: 1,
        ..sender(1)
    };
    let namesake = seal(&mut Sealer::new(&secrets(&[ONE]), before), b"hello");
    assert_eq!(open(&mut opener, &namesake), Err(Refusal::Namesake));
}

#[test]
fn each_datagram_is_opened_once_in_whatever_order() {
    let (mut sealer, mut opener) = (sealer(2), opener());
    let [a, b, c] = [b"a", b"b", b"c"].map(|bytes| seal(&mut sealer, bytes));
    for datagram in [&c, &a, &b] {
        assert!(open(&mut opener, datagram).is_ok());
    }
    for datagram in [&a, &b, &c] {
        assert_eq!(open(&mut opener, datagram), Err(Refusal::Replayed));
    }
}

#[test]
fn what_is_further_behind_than_the_window_counts_as_come() {
    let (mut sealer, mut opener) = (sealer(2), opener());
    let all: Vec<_> = (0..=REPLAY_WINDOW)
        .map(|_| seal(&mut sealer, b""))
        .collect();
    assert!(open(&mut opener, &all[REPLAY_WINDOW]).is_ok());
    assert_eq!(open(&mut opener, &all[0]), Err(Refusal::Replayed));
    assert!(open(&mut opener, &all[1]).is_ok());
}

#[test]
fn after_another_start_the_earlier_one_is_over() {
    let mut opener = opener();
    let mut earlier = sealer(2);
    let [first, late] = [b"a", b"b"].map(|bytes| seal(&mut earlier, bytes));
    let later = Sender {
        boot_ms: NOW_MS,
        ..sender(2)
    };
    let anew = seal(&mut Sealer::new(&secrets(&[ONE]), later), b"c");
    assert_eq!(open(&mut opener, &first), Ok(sender(2)));
    assert_eq!(open(&mut opener, &anew), Ok(later));
    assert_eq!(open(&mut opener, &late), Err(Refusal::OlderStart));
}

#[test]
fn a_clock_that_is_off_is_told_by_how_much() {
    let heard = |sealed_ms: u64| {
        let datagram = seal_at(&mut sealer(2), b"hello", sealed_ms);
        open(&mut opener(), &datagram).map(|_| ())
    };
    let off = |off_ms| Err(Refusal::Clock { node: 2, off_ms });
    let most = i128::from(CLOCK_SKEW_MS_MAX);
    assert_eq!(heard(NOW_MS - CLOCK_SKEW_MS_MAX), Ok(()));
    assert_eq!(heard(NOW_MS + CLOCK_SKEW_MS_MAX), Ok(()));
    assert_eq!(heard(NOW_MS - CLOCK_SKEW_MS_MAX - 1), off(-most - 1));
    assert_eq!(heard(NOW_MS + CLOCK_SKEW_MS_MAX + 1), off(most + 1));
    assert_eq!(heard(u64::MAX), off(i128::from(u64::MAX - NOW_MS)));
}

#[test]
fn what_a_wrong_clock_has_sealed_does_not_count_as_heard() {
    let mut opener = opener();
    let ahead = Sender {
        boot_ms: NOW_MS + 3_600_000,
        ..sender(2)
    };
    let wrong = seal_at(
        &mut Sealer::new(&secrets(&[ONE]), ahead),
        b"",
        ahead.boot_ms,
    );
    assert!(matches!(
        open(&mut opener, &wrong),
        Err(Refusal::Clock { .. })
    ));
    assert_eq!(open(&mut opener, &seal(&mut sealer(2), b"")), Ok(sender(2)));
}

#[test]
fn a_node_whose_clock_was_put_back_is_heard_once_its_earlier_start_is_forgotten() {
    let (mut before, mut opener) = (sealer(2), opener());
    let old = seal(&mut before, b"");
    assert!(open(&mut opener, &old).is_ok());
    let earlier = Sender {
        boot_ms: 5,
        ..sender(2)
    };
    let mut after = Sealer::new(&secrets(&[ONE]), earlier);
    let mut try_at = |now_ms| {
        let datagram = seal_at(&mut after, b"", now_ms);
        open_at(&mut opener, &datagram, now_ms)
    };
    assert_eq!(try_at(NOW_MS + REMEMBERED_MS), Err(Refusal::OlderStart));
    let then = NOW_MS + REMEMBERED_MS + 1;
    assert_eq!(try_at(then), Ok(earlier));
    // And nothing that was heard before comes again.
    assert_eq!(
        open_at(&mut opener, &old, then).map_err(Refusal::name),
        Err("clock")
    );
}

#[test]
fn one_node_too_many_is_not_heard_until_another_falls_silent() {
    let mut opener = opener();
    let peers = u32::try_from(PEERS_MAX).expect("few");
    for node in 2..2 + peers {
        assert!(open(&mut opener, &seal(&mut sealer(node), b"")).is_ok());
    }
    let mut late = sealer(2 + peers);
    assert_eq!(
        open(&mut opener, &seal(&mut late, b"")),
        Err(Refusal::Crowded)
    );
    let then = NOW_MS + REMEMBERED_MS + 1;
    let datagram = seal_at(&mut late, b"", then);
    assert!(open_at(&mut opener, &datagram, then).is_ok());
}

#[test]
fn the_seal_of_a_secret_makes_no_sense_of_nonsense() {
    // A piece that says it is the second of one.
    let mut plain = Vec::new();
    let mut sealer = sealer(2);
    let piece = cut(3, b"hello").and_then(|mut pieces| pieces.next());
    piece.expect("there is one").write(&mut plain);
    plain[4] = 1;
    let record = Record {
        sender: sender(2),
        sequence: 1,
        wall_ms: NOW_MS,
    };
    let mut datagram = vec![VERSION];
    datagram.extend_from_slice(&sealer.key.id);
    datagram.extend_from_slice(&[7; NONCE_BYTES]);
    let header = datagram.clone();
    let mut sealed = [&record.to_bytes()[..], &plain].concat();
    let nonce = Nonce::assume_unique_for_key([7; NONCE_BYTES]);
    let tag = sealer
        .key
        .cipher
        .seal_in_place_separate_tag(nonce, Aad::from(&header[..]), &mut sealed)
        .expect("it is short");
    datagram.extend_from_slice(&sealed);
    datagram.extend_from_slice(tag.as_ref());
    let mut opener = opener();
    assert_eq!(open(&mut opener, &datagram), Err(Refusal::Malformed));
    sealer.sequence = 1;
    assert!(open(&mut opener, &seal(&mut sealer, b"")).is_ok());
}

#[test]
fn every_refusal_has_a_name_of_its_own() {
    let clock = Refusal::Clock { node: 1, off_ms: 0 };
    let all = [
        Refusal::Short,
        Refusal::Long,
        Refusal::Version,
        Refusal::UnknownKey,
        Refusal::Forged,
        Refusal::Malformed,
        Refusal::Own,
        Refusal::Namesake,
        Refusal::OlderStart,
        Refusal::Replayed,
        clock,
        Refusal::Crowded,
    ];
    assert_eq!(all.map(Refusal::name), Refusal::NAMES);
}

proptest! {
    #[test]
    fn any_changed_bit_closes_it(
        bytes in vec(any::<u8>(), 0..40),
        at in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        let (mut sealer, mut opener) = (sealer(2), opener());
        let datagram = seal(&mut sealer, &bytes);
        let mut altered = datagram.clone();
        altered[at.index(datagram.len())] ^= 1_u8 << bit;
        let refusal = open(&mut opener, &altered).expect_err("it was altered");
        prop_assert!(matches!(
            refusal,
            Refusal::Version | Refusal::UnknownKey | Refusal::Forged
        ));
        // It has not changed what is heard.
        prop_assert!(open(&mut opener, &datagram).is_ok());
    }

    #[test]
    fn what_was_cut_off_closes_it(bytes in vec(any::<u8>(), 0..40), kept in any::<prop::sample::Index>()) {
        let datagram = seal(&mut sealer(2), &bytes);
        let kept = &datagram[..kept.index(datagram.len())];
        prop_assert!(open(&mut opener(), kept).is_err());
    }

    /// In whatever order they come and however often, each is heard at most once; and unless it is
    /// far behind, once.
    #[test]
    fn the_window_lets_each_number_in_once(
        numbers in vec(1_u64..3 * REPLAY_WINDOW as u64, 1..200),
    ) {
        let mut window = Window::default();
        let mut come = std::collections::BTreeSet::new();
        for number in numbers {
            let top = come.last().copied().unwrap_or(0);
            let is_near = number + REPLAY_WINDOW as u64 > top;
            prop_assert_eq!(window.is_new(number), is_near && !come.contains(&number));
            if window.is_new(number) {
                window.mark(number);
                come.insert(number);
            }
        }
    }
}
