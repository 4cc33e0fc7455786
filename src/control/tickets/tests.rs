use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use proptest::prelude::*;

use super::file::FILE;
use super::*;
use crate::control::hex;
use crate::limits::{TICKET_KEY_SEALS, TICKET_KEYS_AHEAD, TICKET_KEYS_MAX, TICKET_LIFETIME};
use crate::state::ControlLine;

const NOW: u64 = 1_750_000_000;
const SEALS: u64 = TICKET_KEY_SEALS.as_secs();
const LASTS: u64 = SEALS + TICKET_LIFETIME.as_secs();

/// A state directory that is not there yet, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("elbow-tickets-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&path));
        Self(path)
    }

    fn load(&self, now: u64) -> (Keyring, Keeper) {
        let keyring = Keyring::default();
        let keeper = load(Some(&self.0), &keyring, now).unwrap();
        (keyring, keeper)
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(&self.0).unwrap();
        fs::write(self.0.join(FILE), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.0.join(FILE)).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn in_memory(now: u64) -> (Keyring, Keeper) {
    let keyring = Keyring::default();
    let keeper = load(None, &keyring, now).unwrap();
    (keyring, keeper)
}

fn tickets(keyring: &Keyring) -> Arc<dyn ProducesTickets> {
    Issuer::new(keyring, "web", 443).tickets(&[])
}

/// The line of a key whose name and secret are this byte.
fn line(byte: u8, born: u64) -> String {
    let (name, secret) = (hex::to_text(&[byte; 16]), hex::to_text(&[byte; 32]));
    format!("{name} {secret} {born}\n")
}

/// The name of the key that a new ticket is sealed by.
fn sealed_by(keyring: &Keyring) -> Vec<u8> {
    tickets(keyring).encrypt(b"").unwrap()[..16].to_vec()
}

#[test]
fn what_was_sealed_opens_and_no_two_tickets_are_alike() {
    let tickets = tickets(&in_memory(NOW).0);
    let long = vec![7; TICKET_SESSION_BYTES_MAX + 1];
    for session in [&b""[..], b"session", &long[1..]] {
        let ticket = tickets.encrypt(session).unwrap();
        assert_eq!(ticket.len(), FRAME_BYTES + session.len());
        assert_eq!(tickets.decrypt(&ticket).as_deref(), Some(session));
        assert_ne!(tickets.encrypt(session).unwrap(), ticket);
    }
    assert!(tickets.encrypt(&long).is_none());
    assert_eq!((tickets.enabled(), tickets.lifetime()), (true, 43_200));
}

#[test]
fn a_ticket_does_not_open_with_a_byte_changed_cut_or_added() {
    let tickets = tickets(&in_memory(NOW).0);
    let ticket = tickets.encrypt(b"session").unwrap();
    for index in 0..ticket.len() {
        for bit in 0..8 {
            let mut forged = ticket.clone();
            forged[index] ^= 1 << bit;
            assert!(tickets.decrypt(&forged).is_none(), "bit {bit} of {index}");
        }
        assert!(tickets.decrypt(&ticket[..index]).is_none(), "{index} bytes");
    }
    let longer = [&ticket[..], &[0]].concat();
    assert!(tickets.decrypt(&longer).is_none());
}

#[test]
fn a_ticket_opens_by_no_other_key_and_without_keys_there_is_none() {
    let ticket = tickets(&in_memory(NOW).0).encrypt(b"session").unwrap();
    assert!(tickets(&in_memory(NOW).0).decrypt(&ticket).is_none());
    let none = tickets(&Keyring::default());
    assert!(none.encrypt(b"session").is_none());
    assert!(none.decrypt(&ticket).is_none());
}

#[test]
fn a_ticket_opens_in_its_own_scope_alone() {
    let (keyring, _) = in_memory(NOW);
    let of = |name: &str, port, terms: &[&[u8]]| Issuer::new(&keyring, name, port).tickets(terms);
    let ticket = of("web", 443, &[b"ab", b"c"]).encrypt(b"session").unwrap();
    assert!(of("web", 443, &[b"ab", b"c"]).decrypt(&ticket).is_some());
    for (name, port, terms) in [
        ("web2", 443, &[&b"ab"[..], b"c"][..]),
        ("web", 444, &[b"ab", b"c"]),
        ("web", 443, &[]),
        ("web", 443, &[b"ab"]),
        ("web", 443, &[b"a", b"bc"]),
        ("web", 443, &[b"abc"]),
        ("web", 443, &[b"ab", b"c", b""]),
    ] {
        let other = of(name, port, terms);
        assert!(other.decrypt(&ticket).is_none(), "{name} {port} {terms:?}");
    }
}

proptest! {
    #[test]
    fn bytes_that_nobody_sealed_never_open(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        has_name in any::<bool>(),
    ) {
        let (keyring, _) = in_memory(NOW);
        let name = if has_name { sealed_by(&keyring) } else { Vec::new() };
        prop_assert_eq!(tickets(&keyring).decrypt(&[name, bytes].concat()), None);
    }

    #[test]
    fn whatever_the_clock_does_a_born_key_seals_and_none_is_too_old(
        steps in prop::collection::vec(any::<u64>().prop_map(|n| n >> (n % 64)), 1..40),
    ) {
        let (keyring, mut keeper) = in_memory(NOW);
        for now in steps {
            keeper.turn(now).unwrap();
            let ring = keyring.0.load();
            let sealing = ring.sealing().unwrap();
            prop_assert!(sealing.born <= now && now - sealing.born < SEALS);
            prop_assert!(ring.keys().len() <= TICKET_KEYS_MAX);
            prop_assert!(ring.keys().iter().all(|key| now.saturating_sub(key.born) < LASTS));
        }
    }
}

#[test]
fn a_key_seals_for_its_time_opens_for_as_long_again_and_is_forgotten() {
    let (keyring, mut keeper) = in_memory(NOW);
    let tickets = tickets(&keyring);
    let ticket = tickets.encrypt(b"session").unwrap();
    assert!(!keeper.turn(NOW + SEALS - 1).unwrap());
    assert!(keeper.turn(NOW + SEALS).unwrap());
    assert_ne!(tickets.encrypt(b"session").unwrap()[..16], ticket[..16]);
    assert!(!keeper.turn(NOW + SEALS).unwrap());
    assert!(!keeper.turn(NOW + LASTS - 1).unwrap());
    assert!(tickets.decrypt(&ticket).is_some());
    keeper.turn(NOW + LASTS).unwrap();
    assert!(tickets.decrypt(&ticket).is_none());
}

#[test]
fn keys_are_found_again_as_long_as_they_hold_and_are_private() {
    let directory = Directory::new("again");
    let (keyring, _) = directory.load(NOW);
    let ticket = tickets(&keyring).encrypt(b"session").unwrap();
    let mode = fs::metadata(directory.0.join(FILE)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let text = directory.text();

    let (keyring, _) = directory.load(NOW + SEALS - 1);
    assert!(tickets(&keyring).decrypt(&ticket).is_some());
    assert_eq!(directory.text(), text);

    let (keyring, _) = directory.load(NOW + LASTS - 1);
    assert!(tickets(&keyring).decrypt(&ticket).is_some());
    assert_eq!(directory.text().lines().count(), 2, "the next seals");

    let (keyring, _) = directory.load(NOW + LASTS);
    assert!(tickets(&keyring).decrypt(&ticket).is_none());
    assert!(!directory.text().contains(text.trim()), "it is gone");
}

#[test]
fn machines_with_the_same_file_change_keys_at_the_same_time() {
    let directory = Directory::new("same");
    let lines = [line(2, NOW + SEALS), line(1, NOW), line(3, NOW + 2 * SEALS)];
    directory.write(&lines.concat());
    // The clock of the second is an hour behind.
    let (one, mut keeper) = directory.load(NOW + 7200);
    let (two, mut behind) = directory.load(NOW + 3600);
    for (round, name) in (0..).zip([1, 2, 3]) {
        let now = NOW + round * SEALS;
        keeper.turn(now + 7200).unwrap();
        behind.turn(now + 3600).unwrap();
        assert_eq!(
            (sealed_by(&one), sealed_by(&two)),
            (vec![name; 16], vec![name; 16])
        );
    }
    // One of them has its own already when the other has not.
    keeper.turn(NOW + 3 * SEALS + 1).unwrap();
    behind.turn(NOW + 3 * SEALS - 1).unwrap();
    assert_eq!(sealed_by(&two), vec![3; 16]);
    let ticket = tickets(&two).encrypt(b"session").unwrap();
    assert!(tickets(&one).decrypt(&ticket).is_some());
}

#[test]
fn a_key_from_the_future_opens_and_seals_in_its_time_and_one_from_far_ahead_is_forgotten() {
    let ahead = TICKET_KEYS_AHEAD.as_secs();
    let directory = Directory::new("future");
    directory.write(&[line(1, NOW + ahead), line(2, NOW + ahead + 1)].concat());
    let (keyring, mut keeper) = directory.load(NOW);
    let is_known = |byte| keyring.0.load().named(&[byte; 16]).is_some();
    assert!(is_known(1) && !is_known(2));
    assert_ne!(sealed_by(&keyring), [1; 16]);
    keeper.turn(NOW + ahead).unwrap();
    assert_eq!(sealed_by(&keyring), [1; 16]);
}

#[test]
fn a_file_that_does_not_hold_is_told_with_the_line_and_left_alone() {
    let directory = Directory::new("damaged");
    let (one, two) = (line(1, NOW), line(2, NOW));
    let many = (0..=TICKET_KEYS_MAX).map(|n| line(u8::try_from(n).unwrap(), NOW));
    for (text, problem) in [
        (String::new(), "no key in it"),
        (format!("{one}{}", &two[1..]), "line 2: not a key"),
        (one.replace(' ', "  x "), "line 1: not a key"),
        (one.replace("17", "-1"), "line 1: not a key"),
        (one.replacen('0', "g", 1), "line 1: not a key"),
        (one[..97].to_owned(), "line 1: not a key"),
        (
            format!("{one}\n{one}"),
            "line 3: two keys have the name 0101",
        ),
        (many.collect(), "line 81: more than 80 keys"),
    ] {
        directory.write(&text);
        let error = load(Some(&directory.0), &Keyring::default(), NOW).unwrap_err();
        let expected = format!("{FILE}: {problem}");
        assert!(error.to_string().contains(&expected), "{error}");
        assert_eq!(directory.text(), text);
    }
}

#[test]
fn a_full_file_gives_up_its_oldest_key_for_a_new_one() {
    let directory = Directory::new("full");
    let keys = (0..TICKET_KEYS_MAX).map(|n| line(u8::try_from(n).unwrap(), NOW + n as u64));
    directory.write(&keys.collect::<String>());
    let (keyring, _) = directory.load(NOW + 2 * SEALS - 1);
    let ring = keyring.0.load();
    assert_eq!(ring.keys().len(), TICKET_KEYS_MAX);
    assert!(ring.named(&[0; 16]).is_none() && ring.named(&[1; 16]).is_some());
    assert_eq!(ring.sealing().unwrap().born, NOW + 2 * SEALS - 1);
}

#[tokio::test]
async fn keys_that_cannot_be_written_are_used_counted_and_written_later() {
    let directory = Directory::new("unwritable");
    let counts = ControlLine::default();
    // A directory stands where the file beside is to be: no user can write that.
    let obstacle = directory.0.join(format!("{FILE}.new"));
    fs::create_dir_all(&obstacle).unwrap();
    let (keyring, mut keeper) = directory.load(NOW);
    let ticket = tickets(&keyring).encrypt(b"session").unwrap();
    for errors in 1..3 {
        keeper.write(&counts).await;
        assert_eq!(counts.ticket_key_write_errors.value(), errors);
        assert!(keeper.turn(NOW + errors * SEALS).unwrap());
        assert!(tickets(&keyring).encrypt(b"session").is_some());
    }
    assert!(!directory.0.join(FILE).exists());
    fs::remove_dir(&obstacle).unwrap();
    keeper.write(&counts).await;
    assert_eq!(counts.ticket_key_write_errors.value(), 2);
    let written = directory.text();
    assert_eq!(written.lines().count(), 2, "of the last day");
    // And only if there is something to write.
    fs::remove_file(directory.0.join(FILE)).unwrap();
    keeper.write(&counts).await;
    assert!(!directory.0.join(FILE).exists());
    assert!(tickets(&keyring).decrypt(&ticket).is_none());
}

#[test]
fn a_secret_is_not_shown() {
    let directory = Directory::new("shown");
    directory.write(&line(0xab, NOW));
    let (keyring, keeper) = directory.load(NOW);
    let text = format!("{keyring:?} {keeper:?} {:?}", tickets(&keyring));
    assert!(text.contains(&hex::to_text(&[0xab; 16])), "its name is");
    assert!(!text.contains(&hex::to_text(&[0xab; 32])));
    assert!(!text.contains(&format!("{:?}", [0xabu8; 32])));
}
