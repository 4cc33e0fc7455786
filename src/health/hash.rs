//! Hashes that are part of what elbow promises: cookies carry them, and all nodes must agree.
//!
//! Not for hash tables, where a seed belongs. Invariant: the values never change, in no process,
//! no version and on no machine; the tests hold known answers.

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of a name: FNV-1a over its bytes, finished by [`finish`].
///
/// FNV-1a alone leaves names that differ in their last letter close together; the finalizer
/// spreads them over all 64 bits, which ranks need.
pub fn id_hash(id: &str) -> u64 {
    key_hash(id.as_bytes())
}

/// The hash of any bytes by which clients are told apart, see [`id_hash`]. Anybody can find bytes
/// of a given hash: it chooses a backend, and protects nothing.
pub fn key_hash(key: &[u8]) -> u64 {
    let folded = key.iter().fold(FNV_OFFSET, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)
    });
    finish(folded)
}

/// One hash of two values, in this order.
///
/// For a fixed `left` it is a bijection of `right`: two different backends never tie for a session.
pub fn mix(left: u64, right: u64) -> u64 {
    finish(finish(left) ^ right)
}

/// The output function of splitmix64: every input bit moves about half of the output bits.
fn finish(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finish_is_splitmix64() {
        // The generator's well-known first outputs from seed 0.
        assert_eq!(finish(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(finish(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn hashes_never_change_between_versions() {
        assert_eq!(id_hash(""), finish(FNV_OFFSET));
        assert_eq!(id_hash("a"), finish(0xaf63_dc4c_8601_ec8c));
        assert_eq!(id_hash("foobar"), finish(0x8594_4171_f739_67e8));
        assert_eq!(id_hash("i-0a1b2c3d"), 0x62b4_7985_2c70_bce0);
        assert_eq!(mix(1, 2), 0xbcd9_dbb4_9673_066b);
    }

    #[test]
    fn neighbouring_names_differ_in_about_half_of_the_bits() {
        for port in 9000..9100 {
            let left = id_hash(&format!("10.0.0.1:{port}"));
            let right = id_hash(&format!("10.0.0.1:{}", port + 1));
            assert!((10..=54).contains(&(left ^ right).count_ones()), "{port}");
        }
    }

    #[test]
    fn the_order_of_what_is_mixed_matters() {
        assert_ne!(mix(1, 2), mix(2, 1));
    }
}
