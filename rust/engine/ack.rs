// SPDX-License-Identifier: GPL-2.0

//! What an acknowledgment did, in one value for all that react to it.

/// The effect of one acceptable acknowledgment on the send half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AckInfo {
    /// Octets (FIN included) that it acknowledged for the first time.
    pub(crate) acked: u64,
    /// SND.UNA after it, as a stream offset.
    pub(crate) una: u64,
    /// SND.NXT, as a stream offset.
    pub(crate) nxt: u64,
    /// Octets that its SACK blocks reported for the first time.
    pub(crate) newly_sacked: u64,
    /// Whether it is a duplicate by RFC 5681, 2, or, with SACK, by RFC 6675, 2.
    pub(crate) duplicate: bool,
}
