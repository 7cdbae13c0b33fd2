//! MD5 of many messages at once.
//!
//! One MD5 (RFC 1321) is a chain of additions, each of which waits for the one before: a core computes one at a
//! fraction of its width. Several independent messages, one in each lane of a vector register, fill it. The loops over
//! the lanes are written so that the compiler turns them into vector instructions; there is nothing unsafe in them.
//!
//! A single message is left to the `md-5` crate, which is faster for one.

use md5::{Digest, Md5};

/// Messages at once: as many as 128-bit registers hold (SSE2, NEON), which every x86-64 and ARM64 has, or two AVX2
/// registers where the program is built for a processor with them.
pub(crate) const LANES: usize = if cfg!(target_feature = "avx2") { 16 } else { 4 };

/// Fewer messages than this are hashed one by one.
const WORTHWHILE: usize = LANES / 2;

const BLOCK_BYTES: usize = 64;

/// What follows a message at least: a one bit and the length.
const PADDING_BYTES: usize = 9;

/// A 32-bit word of each message.
type Lanes = [u32; LANES];

/// RFC 1321: the integer part of 4294967296 times abs(sin(i)), i in radians from 1.
#[rustfmt::skip]
const SINES: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

const START: [Lanes; 4] = [[0x6745_2301; LANES], [0xefcd_ab89; LANES], [0x98ba_dcfe; LANES], [0x1032_5476; LANES]];

/// The digests of the messages, in their order.
#[must_use]
pub fn digests(messages: &[&[u8]]) -> Vec<[u8; 16]> {
    // Messages of about the same length keep each other company to the end.
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_unstable_by_key(|index| blocks(messages[*index].len()));
    let mut digests = vec![[0; 16]; messages.len()];
    for group in order.chunks(LANES) {
        if group.len() <= WORTHWHILE {
            for index in group {
                digests[*index] = Md5::digest(messages[*index]).into();
            }
        } else {
            together(messages, group, &mut digests);
        }
    }
    digests
}

/// Hashes the messages of `group`, at most one for each lane, the shortest first. Lanes without a message idle.
fn together(messages: &[&[u8]], group: &[usize], digests: &mut [[u8; 16]]) {
    let mut state = START;
    let last = messages[group[group.len() - 1]];
    let mut done = 0;
    for block in 0..blocks(last.len()) {
        let mut words = [[0; LANES]; 16];
        for (lane, index) in group.iter().enumerate().skip(done) {
            load(messages[*index], block, lane, &mut words);
        }
        compress(&mut state, &words);
        while let Some(index) = group.get(done).filter(|index| blocks(messages[**index].len()) == block + 1) {
            digests[*index] = digest(&state, done);
            done += 1;
        }
    }
}

/// Puts a block of a message, padded, into a lane.
fn load(message: &[u8], block: usize, lane: usize, words: &mut [Lanes; 16]) {
    let start = block * BLOCK_BYTES;
    let mut padded = [0; BLOCK_BYTES];
    let whole = message.get(start..start + BLOCK_BYTES);
    let bytes = whole.unwrap_or_else(|| {
        let rest = message.get(start..).unwrap_or_default();
        padded[..rest.len()].copy_from_slice(rest);
        if message.len() >= start {
            padded[rest.len()] = 0x80;
        }
        if block + 1 == blocks(message.len()) {
            padded[BLOCK_BYTES - 8..].copy_from_slice(&(message.len() as u64 * 8).to_le_bytes());
        }
        &padded
    });
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        word[lane] = u32::from_le_bytes(*bytes);
    }
}

fn digest(state: &[Lanes; 4], lane: usize) -> [u8; 16] {
    let mut digest = [0; 16];
    for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word[lane].to_le_bytes();
    }
    digest
}

fn blocks(length: usize) -> usize {
    (length + PADDING_BYTES).div_ceil(BLOCK_BYTES)
}

/// RFC 1321, 3.4, step 4, for a block of each message.
#[inline(never)]
fn compress(state: &mut [Lanes; 4], words: &[Lanes; 16]) {
    let [mut a, mut b, mut c, mut d] = *state;
    // Four operations of a round from the `index`th on; each takes the next word, `stride` further.
    macro_rules! four {
        ($mix:ident, $index:expr, $stride:expr, $first:expr, $turns:expr) => {
            a = turn::<{ $turns[0] }>($mix(b, c, d), a, b, words[($stride * $index + $first) % 16], SINES[$index]);
            d = turn::<{ $turns[1] }>(
                $mix(a, b, c),
                d,
                a,
                words[($stride * ($index + 1) + $first) % 16],
                SINES[$index + 1],
            );
            c = turn::<{ $turns[2] }>(
                $mix(d, a, b),
                c,
                d,
                words[($stride * ($index + 2) + $first) % 16],
                SINES[$index + 2],
            );
            b = turn::<{ $turns[3] }>(
                $mix(c, d, a),
                b,
                c,
                words[($stride * ($index + 3) + $first) % 16],
                SINES[$index + 3],
            );
        };
    }
    macro_rules! round {
        ($mix:ident, $start:expr, $stride:expr, $first:expr, $turns:expr) => {
            four!($mix, $start, $stride, $first, $turns);
            four!($mix, $start + 4, $stride, $first, $turns);
            four!($mix, $start + 8, $stride, $first, $turns);
            four!($mix, $start + 12, $stride, $first, $turns);
        };
    }
    round!(f, 0, 1, 0, [7, 12, 17, 22]);
    round!(g, 16, 5, 1, [5, 9, 14, 20]);
    round!(h, 32, 3, 5, [4, 11, 16, 23]);
    round!(i, 48, 7, 0, [6, 10, 15, 21]);
    for (old, new) in state.iter_mut().zip([a, b, c, d]) {
        *old = each(*old, new, u32::wrapping_add);
    }
}

#[inline(always)]
fn turn<const BITS: u32>(mixed: Lanes, a: Lanes, b: Lanes, word: Lanes, sine: u32) -> Lanes {
    std::array::from_fn(|lane| {
        let sum = a[lane].wrapping_add(mixed[lane]).wrapping_add(word[lane]).wrapping_add(sine);
        sum.rotate_left(BITS).wrapping_add(b[lane])
    })
}

#[inline(always)]
fn each(left: Lanes, right: Lanes, combine: impl Fn(u32, u32) -> u32) -> Lanes {
    std::array::from_fn(|lane| combine(left[lane], right[lane]))
}

/// F of RFC 1321.
#[inline(always)]
fn f(b: Lanes, c: Lanes, d: Lanes) -> Lanes {
    std::array::from_fn(|lane| d[lane] ^ (b[lane] & (c[lane] ^ d[lane])))
}

/// G of RFC 1321.
#[inline(always)]
fn g(b: Lanes, c: Lanes, d: Lanes) -> Lanes {
    std::array::from_fn(|lane| c[lane] ^ (d[lane] & (b[lane] ^ c[lane])))
}

/// H of RFC 1321.
#[inline(always)]
fn h(b: Lanes, c: Lanes, d: Lanes) -> Lanes {
    std::array::from_fn(|lane| b[lane] ^ c[lane] ^ d[lane])
}

/// I of RFC 1321.
#[inline(always)]
fn i(b: Lanes, c: Lanes, d: Lanes) -> Lanes {
    std::array::from_fn(|lane| c[lane] ^ (b[lane] | !d[lane]))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn many_digests_are_those_of_each_message_alone(messages in vec(vec(any::<u8>(), 0..300), 0..3 * LANES + 1)) {
            let slices: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let alone: Vec<[u8; 16]> = slices.iter().map(|message| Md5::digest(message).into()).collect();
            prop_assert_eq!(digests(&slices), alone);
        }
    }

    #[test]
    fn every_length_around_the_ends_of_blocks_is_padded_right() {
        let text = [b'x'; 4 * BLOCK_BYTES];
        let messages: Vec<&[u8]> = (0..text.len()).map(|length| &text[..length]).collect();
        for (message, digest) in messages.iter().zip(digests(&messages)) {
            assert_eq!(digest, <[u8; 16]>::from(Md5::digest(message)), "{}", message.len());
        }
    }

    #[test]
    fn the_digests_of_rfc_1321_come_out() {
        let suite: [&[u8]; 5] = [b"", b"a", b"abc", b"message digest", b"abcdefghijklmnopqrstuvwxyz"];
        let expected = [
            0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e_u128,
            0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661,
            0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72,
            0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0,
            0xc3fc_d3d7_6192_e400_7dfb_496c_ca67_e13b,
        ];
        let numbers: Vec<u128> = digests(&suite).into_iter().map(u128::from_be_bytes).collect();
        assert_eq!(numbers, expected);
    }
}
