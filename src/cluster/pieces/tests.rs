use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ONE: Sender = Sender {
    node: 1,
    boot_ms: 1,
};

fn message(bytes: usize) -> Vec<u8> {
    (0_u8..=250).cycle().take(bytes).collect()
}

fn pieces(number: u32, message: &[u8]) -> Vec<Piece<'_>> {
    cut(number, message).expect("it is not too long").collect()
}

/// As it is sent and read again.
fn sent(piece: &Piece<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    piece.write(&mut bytes);
    assert_eq!(Piece::read(&bytes).as_ref(), Some(piece));
    bytes
}

#[test]
fn a_message_takes_as_many_pieces_as_it_needs() {
    for (bytes, count) in [
        (0, 1),
        (1, 1),
        (PIECE_BYTES, 1),
        (PIECE_BYTES + 1, 2),
        (GOSSIP_MESSAGE_BYTES_MAX, PIECES_MAX),
    ] {
        let message = message(bytes);
        let pieces = pieces(7, &message);
        assert_eq!(pieces.len(), count, "{bytes}");
        let mut joiner = Joiner::default();
        let (last, others) = pieces.split_last().expect("there is one");
        assert!(
            others
                .iter()
                .all(|piece| joiner.join(ONE, piece, 0).is_none())
        );
        assert_eq!(joiner.join(ONE, last, 0), Some(message));
        assert_eq!((joiner.waiting(), joiner.given_up()), (0, 0));
    }
    assert!(cut(7, &message(GOSSIP_MESSAGE_BYTES_MAX + 1)).is_none());
}

#[test]
fn what_no_message_is_cut_into_is_no_piece() {
    let message = message(2 * PIECE_BYTES + 5);
    let [first, _, last] = pieces(7, &message)[..] else {
        panic!("three pieces");
    };
    let altered = |piece: &Piece<'_>, at: usize, byte: u8| {
        let mut bytes = sent(piece);
        bytes[at] = byte;
        Piece::read(&bytes).is_some()
    };
    assert!(!altered(&first, 5, 0), "none of none");
    assert!(!altered(&first, 4, 3), "a fourth of three");
    assert!(!altered(&last, 4, 1), "a short one that is not the last");
    assert!(!altered(&first, 5, u8::MAX) && !altered(&first, 4, u8::MAX));
    let cut_short = |piece: &Piece<'_>| {
        let bytes = sent(piece);
        Piece::read(&bytes[..bytes.len() - 1]).is_some()
    };
    assert!(!cut_short(&first) && cut_short(&last));
    assert!(
        Piece::read(&sent(&last)[..HEADER_BYTES]).is_none(),
        "a last one of nothing"
    );
    assert!(Piece::read(&[0; HEADER_BYTES - 1]).is_none());
    let longest = vec![0; GOSSIP_MESSAGE_BYTES_MAX];
    let mut bytes = sent(pieces(7, &longest).last().expect("there is a last one"));
    bytes.push(0);
    assert!(
        Piece::read(&bytes).is_none(),
        "more than the longest message"
    );
}

#[test]
fn a_message_whose_pieces_do_not_come_is_given_up() {
    let message = message(PIECE_BYTES + 1);
    let pieces = pieces(7, &message);
    let mut joiner = Joiner::default();
    assert_eq!(joiner.join(ONE, &pieces[0], 1000), None);
    joiner.give_up_old(1000 + HALF_MESSAGE_MS_MAX);
    assert_eq!(joiner.waiting(), 1);
    // Too late: nothing is made of it and what comes after.
    assert_eq!(
        joiner.join(ONE, &pieces[1], 1001 + HALF_MESSAGE_MS_MAX),
        None
    );
    assert_eq!((joiner.waiting(), joiner.given_up()), (1, 1));
}

#[test]
fn messages_of_several_nodes_and_starts_are_not_mixed() {
    let (a, b) = (message(2 * PIECE_BYTES), vec![1; 2 * PIECE_BYTES]);
    let (a, b) = (pieces(7, &a), pieces(7, &b));
    let mut joiner = Joiner::default();
    let senders = [ONE, Sender { node: 2, ..ONE }, Sender { boot_ms: 2, ..ONE }];
    assert_eq!(joiner.join(senders[0], &a[0], 0), None);
    assert_eq!(joiner.join(senders[1], &b[1], 0), None);
    assert_eq!(joiner.join(senders[2], &b[1], 0), None);
    assert_eq!(joiner.waiting(), 3);
    assert_eq!(
        joiner.join(senders[0], &a[1], 0),
        Some(message(2 * PIECE_BYTES))
    );
    assert_eq!(
        joiner.join(senders[1], &b[0], 0),
        Some(vec![1; 2 * PIECE_BYTES])
    );
}

#[test]
fn at_a_bound_that_which_began_first_is_given_up() {
    let message = message(PIECE_BYTES + 1);
    let mut joiner = Joiner::default();
    let mut begin = |node: u32, number: u32| {
        let sender = Sender { node, ..ONE };
        assert_eq!(joiner.join(sender, &pieces(number, &message)[0], 0), None);
        (joiner.waiting(), joiner.given_up())
    };
    let per_node = HALF_MESSAGES_PER_NODE_MAX;
    for number in 0..per_node {
        let number = u32::try_from(number).expect("few");
        assert_eq!(begin(1, number).1, 0);
    }
    assert_eq!(begin(1, 99), (per_node, 1));
    for node in 2.. {
        let (waiting, given_up) = begin(node, 0);
        if given_up == 2 {
            assert_eq!(waiting, HALF_MESSAGES_MAX);
            break;
        }
    }
    // The second of node 1, as the first went before, was the one to go; others are there.
    let mut finish = |number| {
        let last = pieces(number, &message)[1];
        joiner.join(ONE, &last, 0)
    };
    assert_eq!(finish(2), Some(message.clone()));
    assert_eq!(finish(1), None);
}

proptest! {
    /// In any order, with any of them twice, lost or of another message, what comes out is whole.
    #[test]
    fn messages_come_out_whole_or_not_at_all(
        lengths in vec(0_usize..4 * PIECE_BYTES, 1..6),
        arrivals in vec((any::<prop::sample::Index>(), 0_u64..600), 0..80),
    ) {
        let messages: Vec<Vec<u8>> = lengths
            .iter()
            .zip(1_u8..)
            .map(|(length, fill)| vec![fill; *length])
            .collect();
        let all: Vec<(usize, Piece<'_>)> = messages
            .iter()
            .enumerate()
            .flat_map(|(number, message)| {
                let pieces = pieces(u32::try_from(number).expect("few"), message);
                pieces.into_iter().map(move |piece| (number, piece))
            })
            .collect();
        let mut joiner = Joiner::default();
        let mut now_ms = 0;
        for (index, pause_ms) in arrivals {
            now_ms += pause_ms;
            let (number, piece) = index.get(&all);
            if let Some(message) = joiner.join(ONE, piece, now_ms) {
                prop_assert_eq!(&message, &messages[*number]);
            }
            prop_assert!(joiner.waiting() <= HALF_MESSAGES_PER_NODE_MAX);
        }
    }

    #[test]
    fn any_order_makes_the_message(
        length in 0..=GOSSIP_MESSAGE_BYTES_MAX,
        order in Just((0..PIECES_MAX).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let message = message(length);
        let pieces = pieces(9, &message);
        let mut joiner = Joiner::default();
        let came = order.into_iter().filter_map(|index| pieces.get(index));
        let made: Vec<_> = came.filter_map(|piece| joiner.join(ONE, piece, 0)).collect();
        prop_assert_eq!(made, [message]);
        prop_assert_eq!(joiner.waiting(), 0);
    }
}
