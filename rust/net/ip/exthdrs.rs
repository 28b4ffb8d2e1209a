// SPDX-License-Identifier: GPL-2.0

//! IPv6 extension headers (RFC 8200 section 4).
//!
//! C header: [`include/net/ipv6.h`](srctree/include/net/ipv6.h)

use crate::net::{
    bindings,
    skbuff::Skb, //
};

/// More headers, or options in one, than this nobody sends in good faith. Linux bounds the options
/// by this number (`max_dst_opts_number`).
const MANY: usize = 8;

/// The first header that is no extension header.
#[derive(Clone, Copy)]
pub(in crate::net) struct Upper {
    /// Its protocol.
    pub(in crate::net) protocol: u32,
    /// Where it begins.
    pub(in crate::net) at: usize,
}

/// The length of an extension header with this length field.
fn len_of(field: u8) -> usize {
    (usize::from(field) + 1) * 8
}

impl Skb {
    /// Finds the upper header of an IPv6 packet at the LOCAL_IN hook. `None` where it is behind a header
    /// that does more than a host may skip (it must be checked, decrypted, obeyed, or the packet
    /// refused): that is the kernel's business, which goes through them after the hook.
    pub(in crate::net) fn upper_v6(&self) -> Option<Upper> {
        // SAFETY: At the hook the IPv6 header is complete and in one piece.
        let first = unsafe { (*bindings::ipv6_hdr(self.as_raw())).nexthdr };
        let mut upper = Upper {
            protocol: first.into(),
            at: super::v6::HEADER as usize,
        };
        for _ in 0..MANY {
            match upper.protocol {
                // Was obeyed before the hook.
                bindings::NEXTHDR_HOP if upper.at == super::v6::HEADER as usize => {}
                bindings::NEXTHDR_DEST if self.is_skippable(upper.at) => {}
                bindings::NEXTHDR_ROUTING if self.is_at_its_end(upper.at) => {}
                bindings::NEXTHDR_HOP
                | bindings::NEXTHDR_DEST
                | bindings::NEXTHDR_ROUTING
                | bindings::NEXTHDR_FRAGMENT
                | bindings::NEXTHDR_AUTH => return None,
                _ => return Some(upper),
            }
            let [next, len] = self.copied(upper.at)?;
            upper.protocol = next.into();
            upper.at += len_of(len);
        }
        None
    }

    /// Whether a host that knows none of the destination options may go on (RFC 8200 section 4.2).
    fn is_skippable(&self, header: usize) -> bool {
        let Some([_, len]) = self.copied(header) else {
            return false;
        };
        let end = header + len_of(len);
        let mut at = header + 2;
        let mut options = 0;
        while at < end {
            let Some([kind]) = self.copied(at) else {
                return false;
            };
            if u32::from(kind) == bindings::IPV6_TLV_PAD1 {
                at += 1;
                continue;
            }
            let Some([_, len]) = self.copied(at) else {
                return false;
            };
            options += usize::from(u32::from(kind) != bindings::IPV6_TLV_PADN);
            // The two highest bits say what becomes of a packet whose option is not known.
            if kind & 0xc0 != 0 || options > MANY {
                return false;
            }
            at += 2 + usize::from(len);
        }
        at == end
    }

    /// Whether a routing header leads no further, and is of a kind that then means nothing.
    fn is_at_its_end(&self, header: usize) -> bool {
        let Some([_, _, kind, left]) = self.copied(header) else {
            return false;
        };
        let meaningful = [
            bindings::IPV6_SRCRT_TYPE_2,
            bindings::IPV6_SRCRT_TYPE_3,
            bindings::IPV6_SRCRT_TYPE_4,
        ];
        left == 0 && !meaningful.contains(&kind.into())
    }

    /// Finds the upper header of a packet that an ICMPv6 error quotes, whose extension headers begin at
    /// `at` with the one of number `first`.
    pub(in crate::net) fn quoted_upper_v6(&self, first: u8, at: usize) -> Option<Upper> {
        let mut upper = Upper {
            protocol: first.into(),
            at,
        };
        for _ in 0..MANY {
            let len = match upper.protocol {
                bindings::NEXTHDR_HOP | bindings::NEXTHDR_DEST | bindings::NEXTHDR_ROUTING => {
                    let [_, len] = self.copied(upper.at)?;
                    len_of(len)
                }
                bindings::NEXTHDR_AUTH => {
                    let [_, len] = self.copied(upper.at)?;
                    (usize::from(len) + 2) * 4
                }
                bindings::NEXTHDR_FRAGMENT => {
                    let [_, _, high, low] = self.copied(upper.at)?;
                    // Only the first fragment has the upper header.
                    if u16::from_be_bytes([high, low]) & !7 != 0 {
                        return None;
                    }
                    8
                }
                _ => return Some(upper),
            };
            let [next] = self.copied(upper.at)?;
            upper.protocol = next.into();
            upper.at += len;
        }
        None
    }
}
