//! MD5 of many messages at once.
//!
//! One MD5 (RFC 1321) is a chain of additions, each of which waits for the one before: a core computes one at a
//! fraction of its width. Several independent messages, one in each lane of a vector register, fill it. With AVX2, looked
//! for when the program runs, sixteen messages in two registers take about as long as two alone; with what every x86-64
//! and ARM64 has, eight in two registers take as long as one and a half.
//!
//! A single message is left to the `md-5` crate, which is faster for one.

use fearless_simd::{Level, Simd, SimdBase, u32x8};
use md5::{Digest, Md5};

/// Lanes of a [`u32x8`]: one AVX2 register, or two of 128 bits.
const WIDTH: usize = 8;

/// Fewer messages than this are hashed one by one.
const TOGETHER_MIN: usize = 2;

const BLOCK_BYTES: usize = 64;

/// What follows a message at least: a one bit and the length.
const PADDING_BYTES: usize = 9;

/// A 32-bit word of each message, in `K` independent chains, so that one is computed while the other waits.
type Row<S, const K: usize> = [u32x8<S>; K];

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

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The digests of the messages, in their order.
#[must_use]
pub fn digests(messages: &[&[u8]]) -> Vec<[u8; 16]> {
    let level = Level::new();
    // Of the levels between, none is worth a further copy of the code.
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = level.as_avx2() {
        return digests_with::<_, 2>(avx2, messages);
    } else if let Some(sse2) = level.as_sse2() {
        return digests_with::<_, 1>(sse2, messages);
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(neon) = level.as_neon() {
        return digests_with::<_, 1>(neon, messages);
    }
    let _ = level;
    messages.iter().map(|message| Md5::digest(message).into()).collect()
}

fn digests_with<S: Simd, const K: usize>(simd: S, messages: &[&[u8]]) -> Vec<[u8; 16]> {
    // Messages of about the same length keep each other company to the end.
    let mut order: Vec<usize> = (0..messages.len()).collect();
    if messages.windows(2).any(|pair| blocks(pair[0].len()) != blocks(pair[1].len())) {
        order.sort_unstable_by_key(|index| blocks(messages[*index].len()));
    }
    let mut digests = vec![[0; 16]; messages.len()];
    for group in order.chunks(K * WIDTH) {
        if group.len() < TOGETHER_MIN {
            for index in group {
                digests[*index] = Md5::digest(messages[*index]).into();
            }
        } else if group.len() <= WIDTH {
            simd.vectorize(
                #[inline(always)]
                || together::<S, 1>(simd, messages, group, &mut digests),
            );
        } else {
            simd.vectorize(
                #[inline(always)]
                || together::<S, K>(simd, messages, group, &mut digests),
            );
        }
    }
    digests
}

/// Hashes the messages of `group`, at most one for each lane, the shortest first. Lanes without a message repeat the
/// last one.
#[inline(always)]
fn together<S: Simd, const K: usize>(simd: S, messages: &[&[u8]], group: &[usize], digests: &mut [[u8; 16]]) {
    let mut state = START.map(|word| [u32x8::splat(simd, word); K]);
    let lanes: [[&[u8]; WIDTH]; K] = std::array::from_fn(|chain| {
        std::array::from_fn(|lane| messages[group[(chain * WIDTH + lane).min(group.len() - 1)]])
    });
    let whole = lanes.iter().flatten().map(|message| message.len() / BLOCK_BYTES).min().unwrap_or_default();
    let (mut done, last) = (0, messages[group[group.len() - 1]].len());
    for block in 0..whole {
        compress(&mut state, &words(simd, |chain, lane| whole_block(lanes[chain][lane], block)));
    }
    for block in whole..blocks(last) {
        let padded: [[[u8; BLOCK_BYTES]; WIDTH]; K] = lanes.map(|lanes| lanes.map(|message| padded(message, block)));
        compress(&mut state, &words(simd, |chain, lane| &padded[chain][lane]));
        while let Some(index) = group.get(done).filter(|index| blocks(messages[**index].len()) == block + 1) {
            digests[*index] = digest(&state, done);
            done += 1;
        }
    }
}

/// A block that lies within a message.
#[inline(always)]
fn whole_block(message: &[u8], block: usize) -> &[u8; BLOCK_BYTES] {
    &message.as_chunks().0[block]
}

/// A block of a message and what follows it. Past that, anything.
fn padded(message: &[u8], block: usize) -> [u8; BLOCK_BYTES] {
    let start = block * BLOCK_BYTES;
    let rest = message.get(start..).unwrap_or_default();
    if let Some(whole) = rest.first_chunk() {
        return *whole;
    }
    let mut padded = [0; BLOCK_BYTES];
    padded[..rest.len()].copy_from_slice(rest);
    if message.len() >= start {
        padded[rest.len()] = 0x80;
    }
    if block + 1 == blocks(message.len()) {
        padded[BLOCK_BYTES - 8..].copy_from_slice(&(message.len() as u64 * 8).to_le_bytes());
    }
    padded
}

/// The words of a block of each message.
#[inline(always)]
fn words<'a, S: Simd, const K: usize>(
    simd: S,
    block: impl Fn(usize, usize) -> &'a [u8; BLOCK_BYTES],
) -> [Row<S, K>; 16] {
    let mut words = [[u32x8::splat(simd, 0); K]; 16];
    for chain in 0..K {
        for half in 0..2 {
            let rows = transposed(std::array::from_fn(
                #[inline(always)]
                |lane| {
                    let words: &[[u8; 4]] = block(chain, lane).as_chunks().0;
                    let words: [u32; WIDTH] = std::array::from_fn(
                        #[inline(always)]
                        |word| u32::from_le_bytes(words[half * WIDTH + word]),
                    );
                    u32x8::from_slice(simd, &words)
                },
            ));
            for (word, row) in rows.into_iter().enumerate() {
                words[half * WIDTH + word][chain] = row;
            }
        }
    }
    words
}

/// Rows to columns: three perfect shuffles of the 64 words.
#[inline(always)]
fn transposed<S: Simd>(mut rows: [u32x8<S>; WIDTH]) -> [u32x8<S>; WIDTH] {
    for _ in 0..WIDTH.ilog2() {
        let before = rows;
        for pair in 0..WIDTH / 2 {
            (rows[2 * pair], rows[2 * pair + 1]) = before[pair].interleave(before[pair + WIDTH / 2]);
        }
    }
    rows
}

fn digest<S: Simd, const K: usize>(state: &[Row<S, K>; 4], lane: usize) -> [u8; 16] {
    let mut digest = [0; 16];
    for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word[lane / WIDTH].as_slice()[lane % WIDTH].to_le_bytes();
    }
    digest
}

fn blocks(length: usize) -> usize {
    (length + PADDING_BYTES).div_ceil(BLOCK_BYTES)
}

/// RFC 1321, 3.4, step 4, for a block of each message.
#[inline(always)]
fn compress<S: Simd, const K: usize>(state: &mut [Row<S, K>; 4], words: &[Row<S, K>; 16]) {
    let [mut a, mut b, mut c, mut d] = *state;
    // Four operations of a round from the `index`th on; each takes the next word, `stride` further.
    macro_rules! four {
        ($mix:ident, $index:expr, $stride:expr, $first:expr, $turns:expr) => {
            a = turn::<S, K, { $turns[0] }>(
                $mix(b, c, d),
                a,
                b,
                words[($stride * $index + $first) % 16],
                SINES[$index],
            );
            d = turn::<S, K, { $turns[1] }>(
                $mix(a, b, c),
                d,
                a,
                words[($stride * ($index + 1) + $first) % 16],
                SINES[$index + 1],
            );
            c = turn::<S, K, { $turns[2] }>(
                $mix(d, a, b),
                c,
                d,
                words[($stride * ($index + 2) + $first) % 16],
                SINES[$index + 2],
            );
            b = turn::<S, K, { $turns[3] }>(
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
        for (old, new) in old.iter_mut().zip(new) {
            *old += new;
        }
    }
}

#[inline(always)]
fn turn<S: Simd, const K: usize, const BITS: u32>(
    mixed: Row<S, K>,
    a: Row<S, K>,
    b: Row<S, K>,
    word: Row<S, K>,
    sine: u32,
) -> Row<S, K> {
    std::array::from_fn(
        #[inline(always)]
        |chain| {
            let sum = a[chain] + mixed[chain] + (word[chain] + sine);
            ((sum << BITS) | (sum >> (u32::BITS - BITS))) + b[chain]
        },
    )
}

/// F of RFC 1321.
#[inline(always)]
fn f<S: Simd, const K: usize>(b: Row<S, K>, c: Row<S, K>, d: Row<S, K>) -> Row<S, K> {
    std::array::from_fn(|chain| d[chain] ^ (b[chain] & (c[chain] ^ d[chain])))
}

/// G of RFC 1321.
#[inline(always)]
fn g<S: Simd, const K: usize>(b: Row<S, K>, c: Row<S, K>, d: Row<S, K>) -> Row<S, K> {
    std::array::from_fn(|chain| c[chain] ^ (d[chain] & (b[chain] ^ c[chain])))
}

/// H of RFC 1321.
#[inline(always)]
fn h<S: Simd, const K: usize>(b: Row<S, K>, c: Row<S, K>, d: Row<S, K>) -> Row<S, K> {
    std::array::from_fn(|chain| b[chain] ^ c[chain] ^ d[chain])
}

/// I of RFC 1321.
#[inline(always)]
fn i<S: Simd, const K: usize>(b: Row<S, K>, c: Row<S, K>, d: Row<S, K>) -> Row<S, K> {
    std::array::from_fn(|chain| c[chain] ^ (b[chain] | !d[chain]))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn many_digests_are_those_of_each_message_alone(messages in vec(vec(any::<u8>(), 0..300), 0..5 * WIDTH)) {
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
