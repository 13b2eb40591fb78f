//! How a frame that we injected is known when it comes back.
//!
//! While control suspects a station ([`WATCHED`](crate::maps::WATCHED)) the workers note a digest of each
//! frame that they inject in its name in a table that the program reads: an array map that both sides
//! have in memory, so that a note costs a worker one store. A frame of a watched station whose digest is
//! there is ours; one whose digest is not was sent by somebody else.
//!
//! The [digest](digest()) covers what a frame keeps on its way through switches and drivers, see there. Time is
//! counted in generations, which control begins every two seconds and which stand in the table
//! themselves: no two clocks have to agree. A note counts in the generation it was made in and in the
//! next.

use crate::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader};

/// Bytes behind the Ethernet header, tags included, that the digest covers.
pub const WINDOW_LEN: usize = 64;

/// Those bytes, in words whose first byte is the lowest; zeros behind the frame's end.
pub type Window = [u64; WINDOW_LEN / 8];

/// Words of a bucket: one cache line. The first counts the notes, so that the oldest of the others makes room.
pub const WAYS: usize = 8;

/// The word that the next note goes to, of a bucket whose first word is `count`.
pub const fn next_way(count: u64) -> usize {
    1 + count as usize % (WAYS - 1)
}

/// A bucket of the table.
pub type Bucket = [u64; WAYS];

/// Buckets: with 10,000 frames injected in the time that one takes to come back, the notes of three in a
/// million have been overwritten by then (Poisson: seven or more later ones in the bucket).
pub const BUCKETS: u32 = 16_384;

/// The element of the array behind the last bucket; its first word is the generation.
pub const GENERATION_AT: u32 = BUCKETS;

/// Elements of the array.
pub const ELEMENTS: u32 = BUCKETS + 1;

/// The low bits of a note, where the generation stands in the digest's place.
const GENERATION_MASK: u64 = 0xffff;

/// The bucket of a digest.
#[inline(always)]
pub const fn bucket_of(digest: u64) -> u32 {
    digest as u32 & (BUCKETS - 1)
}

/// The note of a digest in a generation. Never 0, which is a free place.
#[inline(always)]
pub const fn note(digest: u64, generation: u16) -> u64 {
    (digest & !GENERATION_MASK) | (GENERATION_MASK + 1) | generation as u64
}

/// Whether `noted` is the note of the digest, made in this generation or the one before.
#[inline(always)]
pub const fn is_noted(noted: u64, digest: u64, generation: u16) -> bool {
    let different = (noted ^ note(digest, generation)) & !GENERATION_MASK;
    let age = generation.wrapping_sub(noted as u16) as u64;
    // One question, and so one branch for the verifier to follow.
    different | (age >> 1) == 0
}

/// What a frame is known by.
///
/// Covered are the addresses, the VLAN and the ethertype, and the first [`WINDOW_LEN`] bytes behind them. Left
/// out is what switches, drivers and offloads change without making it another frame: tags (only the VLAN
/// counts), padding (IP, ARP and IEEE 802.3 say where the packet ends; else zeros count as absent), DSCP
/// and ECN with the IPv4 header's checksum, and the checksums of TCP and UDP, which may be completed on
/// the way.
#[inline(always)]
pub fn digest(header: &EthernetHeader, window: &Window) -> u64 {
    let mut words = *window;
    let end = match header.ethertype {
        ETHERTYPE_IPV4 => mask_ipv4(&mut words),
        ETHERTYPE_IPV6 => mask_ipv6(&mut words),
        ETHERTYPE_ARP => ARP_LEN,
        length if length < FIRST_ETHERTYPE => length as usize,
        _ => WINDOW_LEN,
    };
    let [d0, d1, d2, d3, d4, d5] = header.destination;
    let [e0, e1] = header.ethertype.to_be_bytes();
    let to = u64::from_be_bytes([d0, d1, d2, d3, d4, d5, e0, e1]);
    let mut hash = mix(mix(SEED, to), u64::from(header.source_station()));
    let mut at = 0;
    while at < words.len() {
        hash = mix(hash, words[at] & keep(end, at));
        at += 1;
    }
    hash
}

/// Ethernet's length field ends where ethertypes begin (IEEE 802.3 section 3.2.6).
const FIRST_ETHERTYPE: u16 = 0x600;
/// Bytes of an ARP packet for IPv4 over Ethernet.
const ARP_LEN: usize = 28;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// 2^64 divided by the golden ratio, and the fraction of pi: nothing up the sleeve.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const SEED: u64 = 0x243f_6a88_85a3_08d3;

#[inline(always)]
const fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(SPREAD);
    product ^ (product >> 29)
}

/// The bytes of the word at `at` that lie before `end`, as a mask.
#[inline(always)]
const fn keep(end: usize, at: usize) -> u64 {
    let bytes = end.saturating_sub(8 * at);
    if bytes >= 8 {
        return u64::MAX;
    }
    (1 << (8 * bytes as u32)) - 1
}

/// The byte `at` of the window.
#[inline(always)]
const fn byte(words: &Window, at: usize) -> u8 {
    (words[at / 8] >> (8 * (at as u32 % 8))) as u8
}

/// Makes the two bytes at the even place `at` zero.
#[inline(always)]
const fn mask_two(words: &mut Window, at: usize) {
    words[at / 8] &= !(0xffff << (8 * (at as u32 % 8)));
}

/// Leaves out of an IPv4 packet what does not count; returns where it ends.
#[inline(always)]
fn mask_ipv4(words: &mut Window) -> usize {
    let length = u16::from_be_bytes([byte(words, 2), byte(words, 3)]) as usize;
    if byte(words, 0) == 0x45 {
        match byte(words, 9) {
            TCP => mask_two(words, 20 + 16),
            UDP => mask_two(words, 20 + 6),
            _ => {}
        }
    }
    words[0] &= !0xff00;
    mask_two(words, 10);
    length
}

/// The same of an IPv6 packet.
#[inline(always)]
fn mask_ipv6(words: &mut Window) -> usize {
    let length = u16::from_be_bytes([byte(words, 4), byte(words, 5)]) as usize;
    match byte(words, 6) {
        TCP => mask_two(words, 40 + 16),
        UDP => mask_two(words, 40 + 6),
        _ => {}
    }
    mask_two(words, 0);
    40 + length
}

/// The digest of a frame in two parts, of which the first has the whole Ethernet header; `None` if not.
pub fn digest_of(head: &[u8], tail: &[u8]) -> Option<u64> {
    let header = EthernetHeader::parse(head)?;
    let mut bytes = [0; WINDOW_LEN];
    let rest = head.get(header.len..)?.iter().chain(tail);
    for (to, from) in bytes.iter_mut().zip(rest) {
        *to = *from;
    }
    let mut window = [0; WINDOW_LEN / 8];
    for (word, bytes) in window.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Some(digest(&header, &window))
}
