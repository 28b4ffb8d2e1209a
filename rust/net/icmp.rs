// SPDX-License-Identifier: GPL-2.0

//! What routers and hosts say of our segments.
//!
//! C headers: [`include/uapi/linux/icmp.h`](srctree/include/uapi/linux/icmp.h),
//! [`include/net/icmp.h`](srctree/include/net/icmp.h)

use super::{
    bindings,
    inet_sock::peer6,
    ip::Endpoints,
    proto::Protocol,
    skbuff::Skb,
    sock::{
        Locked,
        Sock, //
    }, //
};
use core::{
    net::{
        Ipv4Addr,
        Ipv6Addr,
        SocketAddr, //
    },
    ptr, //
};
use kernel::prelude::*;

/// Bytes of an ICMP header.
const ICMP_HEADER: usize = 8;
/// Bytes of an IPv4 header without options.
const IP_HEADER: usize = 20;
/// Bytes of an IPv6 header without extension headers.
const IPV6_HEADER: usize = 40;
/// Bytes of a TCP header that every error quotes (RFC 792): ports and sequence number.
const TCP_QUOTED: usize = 8;
/// Bytes of a redirect of ICMPv6 before its options (RFC 4861 section 4.5).
const REDIRECT6_HEADER: usize = 40;
/// The hop limit of what comes from the same link (RFC 4861 section 8.1).
const FROM_LINK: u8 = 255;

/// What an error means for the segment that it quotes.
#[derive(Clone, Copy)]
pub enum IcmpKind {
    /// A router could not forward it whole; the packet may have this many bytes at most.
    TooBig {
        /// Bytes with the IP header.
        mtu: u32,
    },
    /// It was not delivered.
    Failed {
        /// Why.
        reason: Error,
        /// Whether a connection that has just been asked for is to be forgotten.
        forget: bool,
        /// Whether a router knew no way (RFC 6069 section 4.1).
        no_way: bool,
    },
    /// It was, but a router knows a better first hop for what follows.
    Redirect,
}

/// An error that quotes a TCP segment.
#[derive(Clone, Copy)]
pub struct IcmpError {
    /// Source and destination of the quoted segment.
    pub quoted: Endpoints,
    /// Its sequence number.
    pub seq: u32,
    /// Its time to live, when it could not go on; of ICMPv6 the hop limit of the error itself, as Linux.
    pub ttl: u8,
    /// What happened to it.
    pub kind: IcmpKind,
    /// Where the error and the quoted segment begin, counted from `skb->data`.
    places: (u32, u32),
    /// What the error says beside its type and code, as error queues show it.
    info: u32,
}

impl Skb {
    /// The error in a packet at the LOCAL_IN hook, if it is one of ICMP or ICMPv6 that concerns a TCP
    /// segment, its checksum is right, and IPsec's policy lets it in. As `icmp_rcv` and `tcp_v4_err`,
    /// `icmpv6_rcv` and `tcp_v6_err` read them.
    pub fn icmp_error(&self) -> Option<IcmpError> {
        let error = if self.is_ipv6() {
            self.icmp6_error()
        } else {
            self.icmp4_error()
        };
        error.filter(|_| self.policy_allows(ptr::null_mut()))
    }

    fn icmp4_error(&self) -> Option<IcmpError> {
        // SAFETY: At the hook the IP header is complete and in one piece.
        let ip = unsafe { &*bindings::ip_hdr(self.as_raw()) };
        if u32::from(ip.protocol) != bindings::IPPROTO_ICMP {
            return None;
        }
        let header_len = usize::from(ip.ihl()) * 4;
        let [kind, code, _, _, pointer, _, mtu @ ..] = self.copied::<ICMP_HEADER>(header_len)?;
        let info = match u32::from(kind) {
            bindings::ICMP_PARAMETERPROB => pointer.into(),
            _ => 0,
        };
        let kind = kind_of(kind, code, u16::from_be_bytes(mtu))?;

        let ip = header_len + ICMP_HEADER;
        let inner = self.copied::<IP_HEADER>(ip)?;
        let [first, _, _, _, _, _, _, _, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
            inner;
        if u32::from(protocol) != bindings::IPPROTO_TCP || first >> 4 != 4 {
            return None;
        }
        let tcp = ip + usize::from(first & 15) * 4;
        let [sp0, sp1, dp0, dp1, q0, q1, q2, q3] = self.copied::<TCP_QUOTED>(tcp)?;
        // SAFETY: Valid by the type invariant; at the hook, as the function wants it.
        let bad = unsafe {
            bindings::nf_ip_checksum(
                self.as_raw(),
                bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
                header_len as u32,
                bindings::IPPROTO_ICMP as u8,
            )
        };
        if bad != 0 {
            return None;
        }
        Some(IcmpError {
            quoted: Endpoints {
                source: SocketAddr::new(
                    Ipv4Addr::new(s0, s1, s2, s3).into(),
                    u16::from_be_bytes([sp0, sp1]),
                ),
                destination: SocketAddr::new(
                    Ipv4Addr::new(d0, d1, d2, d3).into(),
                    u16::from_be_bytes([dp0, dp1]),
                ),
            },
            seq: u32::from_be_bytes([q0, q1, q2, q3]),
            ttl,
            kind,
            places: (header_len as u32, tcp as u32),
            info,
        })
    }

    /// Lets the error queue of a socket show this error, whose packet it is: in IPv6 if the socket asks
    /// for it.
    pub fn queue_error<P: Protocol>(&mut self, sk: &Sock<P>, error: &IcmpError, reason: Error) {
        let (at, segment) = error.places;
        let raw = self.as_raw();
        let errno = -reason.to_errno();
        let port = error.quoted.destination.port().to_be();
        // SAFETY: Valid by the type invariant; the callees take a copy, of which the bytes up to the
        // quoted segment lie in one piece. Where the upper layer begins is left as it was.
        unsafe {
            if !bindings::pskb_may_pull(raw, segment + TCP_QUOTED as u32) {
                return;
            }
            let before = bindings::skb_transport_offset(raw);
            bindings::skb_set_transport_header(raw, at as i32);
            let quoted = (*raw).data.add(segment as usize);
            if error.quoted.source.is_ipv6() {
                bindings::ipv6_icmp_error(sk.as_raw(), raw, errno, port, error.info, quoted);
            } else {
                bindings::ip_icmp_error(sk.as_raw(), raw, errno, port, error.info, quoted);
            }
            bindings::skb_set_transport_header(raw, before);
        }
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Lets the socket's route follow a redirect, whose packet this is; the next segment finds where
    /// to. Whether it may be believed is decided as for any route. As `do_redirect`.
    pub fn redirect(&mut self, skb: &Skb, error: &IcmpError) {
        let (at, _) = error.places;
        let (sk, raw) = (self.raw(), skb.as_raw());
        let by_ipv6 = self.sock().goes_by_ipv6();
        // SAFETY: The lock is held, and the route is the socket's. The packet is valid by its type
        // invariant, and lies in one piece; where it and its upper layer begin is left as it was.
        // The quoted packet begins within it, see `icmp4_error`.
        unsafe {
            let cookie = match by_ipv6 {
                true => (*self.sock().as_inet6()).dst_cookie,
                false => 0,
            };
            let dst = bindings::__sk_dst_check(sk, cookie);
            if dst.is_null() || !bindings::pskb_may_pull(raw, (*raw).len) {
                return;
            }
            let Some(redirect) = (*(*dst).ops).redirect else {
                return;
            };
            let quoted = match by_ipv6 {
                true => 0,
                false => at + ICMP_HEADER as u32,
            };
            let before = bindings::skb_transport_offset(raw);
            bindings::skb_set_transport_header(raw, at as i32);
            bindings::__skb_pull(raw, quoted);
            redirect(dst, sk, raw);
            bindings::__skb_push(raw, quoted);
            bindings::skb_set_transport_header(raw, before);
        }
    }
}

impl Skb {
    /// Where a redirect of ICMPv6 at `at` quotes a packet, if it comes from a router of the link. As
    /// `ndisc_rcv` and `ndisc_redirect_rcv` check it.
    fn redirected_v6(&self, at: usize) -> Option<usize> {
        let [hops] = self.copied::<1>(7)?;
        let router = Ipv6Addr::from(self.copied::<16>(8)?);
        if hops != FROM_LINK || !router.is_unicast_link_local() {
            return None;
        }
        let mut option = at + REDIRECT6_HEADER;
        loop {
            let [kind, words] = self.copied::<2>(option)?;
            if u32::from(kind) == bindings::ND_OPT_REDIRECT_HDR {
                return Some(option + 8);
            }
            option += match usize::from(words) * 8 {
                0 => return None,
                len => len,
            };
        }
    }

    fn icmp6_error(&self) -> Option<IcmpError> {
        let outer = self.upper_v6()?;
        if outer.protocol != bindings::IPPROTO_ICMPV6 {
            return None;
        }
        let [kind, code, _, _, info @ ..] = self.copied::<ICMP_HEADER>(outer.at)?;
        let info = u32::from_be_bytes(info);
        let kind = kind_of_v6(kind, code, info)?;

        let ip = match kind {
            IcmpKind::Redirect => self.redirected_v6(outer.at)?,
            _ => outer.at + ICMP_HEADER,
        };
        let [first, _, _, _, _, _, next, _] = self.copied::<8>(ip)?;
        let source: [u8; 16] = self.copied(ip + 8)?;
        let destination: [u8; 16] = self.copied(ip + 24)?;
        let upper = self.quoted_upper_v6(next, ip + IPV6_HEADER)?;
        if first >> 4 != 6 || upper.protocol != bindings::IPPROTO_TCP {
            return None;
        }
        let [sp0, sp1, dp0, dp1, q0, q1, q2, q3] = self.copied::<TCP_QUOTED>(upper.at)?;
        // SAFETY: Valid by the type invariant; at the hook, as the function wants it.
        let (bad, device, ttl) = unsafe {
            let bad = bindings::nf_ip6_checksum(
                self.as_raw(),
                bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
                outer.at as u32,
                bindings::IPPROTO_ICMPV6 as u8,
            );
            let ttl = (*bindings::ipv6_hdr(self.as_raw())).hop_limit;
            (bad, bindings::IP6CB_iif(self.as_raw()), ttl)
        };
        if bad != 0 {
            return None;
        }
        let peer = peer6(destination.into(), u16::from_be_bytes([dp0, dp1]), device);
        Some(IcmpError {
            quoted: Endpoints {
                source: SocketAddr::new(
                    Ipv6Addr::from(source).into(),
                    u16::from_be_bytes([sp0, sp1]),
                ),
                destination: peer.into(),
            },
            seq: u32::from_be_bytes([q0, q1, q2, q3]),
            ttl,
            kind,
            places: (outer.at as u32, upper.at as u32),
            info,
        })
    }
}

fn kind_of_v6(kind: u8, code: u8, info: u32) -> Option<IcmpKind> {
    match u32::from(kind) {
        bindings::NDISC_REDIRECT if code == 0 => Some(IcmpKind::Redirect),
        bindings::ICMPV6_PKT_TOOBIG => Some(IcmpKind::TooBig { mtu: info }),
        bindings::ICMPV6_DEST_UNREACH
        | bindings::ICMPV6_TIME_EXCEED
        | bindings::ICMPV6_PARAMPROB => {
            let mut errno = 0;
            // SAFETY: The number is written to where it may be.
            let forget = unsafe { bindings::icmpv6_err_convert(kind, code, &mut errno) } != 0;
            Some(IcmpKind::Failed {
                reason: Error::from_errno(-errno),
                forget,
                no_way: u32::from(kind) == bindings::ICMPV6_DEST_UNREACH
                    && u32::from(code) == bindings::ICMPV6_NOROUTE,
            })
        }
        _ => None,
    }
}

fn kind_of(kind: u8, code: u8, mtu: u16) -> Option<IcmpKind> {
    use super::errno::{
        EHOSTUNREACH,
        EPROTO, //
    };
    let failed = |reason| IcmpKind::Failed {
        reason,
        forget: true,
        no_way: false,
    };
    match u32::from(kind) {
        bindings::ICMP_REDIRECT => Some(IcmpKind::Redirect),
        bindings::ICMP_PARAMETERPROB => Some(failed(EPROTO)),
        // Fragments that did not all come say nothing of the path.
        bindings::ICMP_TIME_EXCEEDED if u32::from(code) == bindings::ICMP_EXC_FRAGTIME => None,
        bindings::ICMP_TIME_EXCEEDED => Some(failed(EHOSTUNREACH)),
        bindings::ICMP_DEST_UNREACH => {
            if u32::from(code) == bindings::ICMP_FRAG_NEEDED {
                return Some(IcmpKind::TooBig { mtu: mtu.into() });
            }
            if u32::from(code) > bindings::NR_ICMP_UNREACH {
                return None;
            }
            // SAFETY: The kernel's table has an entry for each code up to `NR_ICMP_UNREACH`, whose
            // first field is the error (the name of the field is not the same on all architectures).
            let errno = unsafe {
                (&raw const bindings::icmp_err_convert)
                    .cast::<bindings::icmp_err>()
                    .add(code.into())
                    .cast::<kernel::ffi::c_int>()
                    .read()
            };
            let reason = Error::from_errno(-errno);
            let no_way = matches!(
                u32::from(code),
                bindings::ICMP_NET_UNREACH | bindings::ICMP_HOST_UNREACH
            );
            Some(IcmpKind::Failed {
                reason,
                forget: no_way,
                no_way,
            })
        }
        _ => None,
    }
}
