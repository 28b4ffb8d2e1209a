// SPDX-License-Identifier: GPL-2.0

//! IP options of packets that no socket sends, and how those of a packet are answered.
//!
//! RFC 1122 has TCP answer along the source route that a connection came by (section 4.2.3.8); as Linux
//! the other options that a router writes into are answered as well, and a label.
//!
//! C headers: [`include/net/ip.h`](srctree/include/net/ip.h),
//! [`include/uapi/linux/ip.h`](srctree/include/uapi/linux/ip.h)

use super::{
    be,
    v4, //
};
use crate::net::{
    bindings,
    net_namespace::Net,
    skbuff::Skb,
    time, //
};
use core::{
    net::Ipv4Addr,
    ptr, //
};
use kernel::prelude::*;

/// Bytes of options that an IPv4 header has room for (RFC 791, 3.1).
const MAX: usize = 40;
/// Bytes of an IPv4 header without options.
const HEADER: usize = v4::HEADER as usize;
/// Where an option says how long it is, and where in it the next router writes.
const LENGTH: usize = 1;
const POINTER: usize = 2;
/// Where the timestamp option says what is written.
const TS_FLAGS: usize = 3;
/// Bytes in front of the addresses of a source route.
const ROUTE: usize = 3;
/// Bytes of an address.
const ADDRESS: usize = 4;

/// The IP options of a packet, as `struct ip_options`: where each is in the IP header (0 where it is
/// not), and what is still to be written when the packet leaves.
#[derive(Clone, Copy)]
pub struct IpOptions {
    len: u8,
    source_route: u8,
    record_route: u8,
    timestamp: u8,
    cipso: u8,
    strict: bool,
    needs_recorded: bool,
    needs_address: bool,
    needs_time: bool,
    /// They answer none that can be answered.
    refused: bool,
    /// The first hop of the source route, in network byte order.
    hop: u32,
    bytes: [u8; MAX],
}

/// `struct ip_options_rcu` with what follows it.
#[repr(C)]
struct Raw {
    head: bindings::ip_options_rcu,
    data: [u8; MAX],
}

/// The option at `at` in an IP header.
fn option_at(header: &[u8], at: u8) -> Option<&[u8]> {
    let option = header.get(usize::from(at)..)?;
    option.get(..usize::from(*option.get(LENGTH)?))
}

/// The address whose first byte is that of this number, counted from 1 as pointers of options do.
fn address(option: &[u8], pointer: usize) -> Option<[u8; ADDRESS]> {
    option
        .get(pointer.checked_sub(1)?..)?
        .first_chunk()
        .copied()
}

/// Whether an address is that of a host, and not one of ours.
fn is_elsewhere(net: &Net, address: [u8; ADDRESS]) -> bool {
    let address = be(Ipv4Addr::from(address));
    // SAFETY: The namespace is valid, and RCU is held where packets are received.
    unsafe { bindings::inet_addr_type(net.as_raw(), address) == bindings::RTN_UNICAST }
}

impl IpOptions {
    /// No options.
    pub const NONE: Self = Self {
        len: 0,
        source_route: 0,
        record_route: 0,
        timestamp: 0,
        cipso: 0,
        strict: false,
        needs_recorded: false,
        needs_address: false,
        needs_time: false,
        refused: false,
        hop: 0,
        bytes: [0; MAX],
    };

    /// The options of the answer to a received packet, as `__ip_options_echo`.
    pub(super) fn answering(net: &Net, skb: &Skb) -> Self {
        if skb.is_ipv6() {
            return Self::NONE;
        }
        // SAFETY: The packet is a received one of IPv4 whose header IP has checked, which stays in one
        // piece in front of what was pulled; the control block still has what IP found in it.
        let (header, seen) = unsafe {
            let ip = bindings::ip_hdr(skb.as_raw());
            let len = usize::from((*ip).ihl()) * 4;
            (
                core::slice::from_raw_parts(ip.cast::<u8>(), len),
                &(*bindings::IPCB(skb.as_raw())).opt,
            )
        };
        if header.len() <= HEADER || seen.optlen == 0 {
            return Self::NONE;
        }
        Self::echo(net, header, seen).unwrap_or(Self {
            refused: true,
            ..Self::NONE
        })
    }

    /// `None` where an option has no room for what it says that is to be written.
    fn echo(net: &Net, header: &[u8], seen: &bindings::ip_options) -> Option<Self> {
        let mut this = Self::NONE;
        if seen.rr != 0 {
            let option = option_at(header, seen.rr)?;
            let pointer = option.get(POINTER).copied()?;
            let begin = this.push(option)?;
            this.record_route = begin;
            if seen.rr_needaddr() != 0 && usize::from(pointer) <= option.len() {
                address(option, pointer.into())?;
                this.needs_recorded = true;
                this.set(begin, POINTER, pointer.checked_add(ADDRESS as u8)?);
            }
        }
        if seen.ts != 0 {
            let option = option_at(header, seen.ts)?;
            this.timestamp = this.push(option)?;
            this.prepare_timestamp(net, option, seen)?;
        }
        if seen.srr != 0 {
            this.reverse(header, seen);
        }
        if seen.cipso != 0 {
            this.cipso = this.push(option_at(header, seen.cipso)?)?;
        }
        // The rest of the last word is ends of options (RFC 791, 3.1).
        this.len = this.len.next_multiple_of(4);
        Some(this)
    }

    /// Appends an option, and returns where in the IP header it is.
    fn push(&mut self, option: &[u8]) -> Option<u8> {
        let begin = usize::from(self.len);
        let end = begin + option.len();
        self.bytes.get_mut(begin..end)?.copy_from_slice(option);
        self.len = end as u8;
        Some((HEADER + begin) as u8)
    }

    /// Sets a byte of the option at `at` in the IP header.
    fn set(&mut self, at: u8, byte: usize, value: u8) {
        let place = usize::from(at).wrapping_sub(HEADER).wrapping_add(byte);
        if let Some(to) = self.bytes.get_mut(place) {
            *to = value;
        }
    }

    /// Makes room for what we write into a timestamp option.
    fn prepare_timestamp(
        &mut self,
        net: &Net,
        option: &[u8],
        seen: &bindings::ip_options,
    ) -> Option<()> {
        let mut pointer = usize::from(*option.get(POINTER)?);
        if pointer > option.len() {
            return Some(());
        }
        if seen.ts_needaddr() != 0 {
            address(option, pointer)?;
            self.needs_address = true;
            pointer += ADDRESS;
        }
        if seen.ts_needtime() != 0 {
            address(option, pointer)?;
            let what = u32::from(*option.get(TS_FLAGS)? & 0xf);
            if what != bindings::IPOPT_TS_PRESPEC {
                self.needs_time = true;
                pointer += ADDRESS;
            } else if option.len() >= pointer + 7 && !is_elsewhere(net, address(option, pointer)?) {
                self.needs_time = true;
                pointer += 2 * ADDRESS;
            }
        }
        self.set(self.timestamp, POINTER, pointer as u8);
        Some(())
    }

    /// The route back: the hops that a packet came by, the last first, and then its source.
    fn reverse(&mut self, header: &[u8], seen: &bindings::ip_options) {
        let Some(option) = option_at(header, seen.srr) else {
            return;
        };
        let &[kind, _, pointer, ..] = option else {
            return;
        };
        // Behind the last that was visited.
        let visited = usize::from(pointer).min(option.len() + 1).saturating_sub(1);
        let hops = option.get(ROUTE..visited).unwrap_or_default();
        let mut hops = hops.rchunks_exact(ADDRESS);
        let Some(hop) = hops.next().and_then(|hop| hop.first_chunk().copied()) else {
            return;
        };
        let mut route = [0_u8; MAX];
        let mut len = ROUTE;
        let mut first = hop;
        for hop in hops {
            let Some(to) = route.get_mut(len..len + ADDRESS) else {
                return;
            };
            to.copy_from_slice(hop);
            first = hop.first_chunk().copied().unwrap_or(first);
            len += ADDRESS;
        }
        // A source that is its own first hop (RFC 1812, 5.3.13.4) is not to be passed twice.
        let source = header
            .get(12..)
            .and_then(|from| from.first_chunk::<ADDRESS>());
        if source == Some(&first) {
            if len == ROUTE {
                return;
            }
            len -= ADDRESS;
        }
        // The last is written when the packet leaves.
        len += ADDRESS;
        [route[0], route[LENGTH], route[POINTER]] = [kind, len as u8, ADDRESS as u8];
        if let Some(begin) = route.get(..len).and_then(|route| self.push(route)) {
            self.source_route = begin;
            self.strict = seen.is_strictroute() != 0;
            self.hop = be(Ipv4Addr::from(hop));
        }
    }

    /// A copy of what the options at `options` are, if it is not null.
    ///
    /// # Safety
    ///
    /// `options` must be null or valid.
    pub(in crate::net) unsafe fn of_raw(options: *const bindings::ip_options_rcu) -> Self {
        if options.is_null() {
            return Self::NONE;
        }
        // SAFETY: By the requirement; so many bytes follow.
        let (opt, bytes) = unsafe {
            let opt = &(*options).opt;
            let bytes = core::slice::from_raw_parts(opt.__data.as_ptr(), opt.optlen.into());
            (opt, bytes)
        };
        let mut this = Self::NONE;
        if this.push(bytes).is_none() {
            return Self::NONE;
        }
        Self {
            source_route: opt.srr,
            record_route: opt.rr,
            timestamp: opt.ts,
            cipso: opt.cipso,
            strict: opt.is_strictroute() != 0,
            needs_recorded: opt.rr_needaddr() != 0,
            needs_address: opt.ts_needaddr() != 0,
            needs_time: opt.ts_needtime() != 0,
            hop: opt.faddr,
            ..this
        }
    }

    /// The options as the kernel keeps them, in memory that belongs to the caller and that `kfree`
    /// frees; null for none.
    pub(in crate::net) fn to_raw(self) -> Result<*mut bindings::ip_options_rcu> {
        if self.len == 0 {
            return Ok(ptr::null_mut());
        }
        let new = KBox::<Raw>::new_uninit(GFP_ATOMIC | __GFP_NOWARN)?;
        let raw = KBox::into_raw(new).cast::<Raw>();
        // SAFETY: The memory is new and ours, and zero is a valid value of all fields.
        unsafe {
            raw.write_bytes(0, 1);
            (*raw).data = self.bytes;
            self.describe(&mut (*raw).head.opt);
        }
        Ok(raw.cast())
    }

    /// Says in the kernel's words where the options are.
    fn describe(&self, opt: &mut bindings::ip_options) {
        opt.faddr = self.hop;
        opt.optlen = self.len;
        opt.srr = self.source_route;
        opt.rr = self.record_route;
        opt.ts = self.timestamp;
        opt.cipso = self.cipso;
        opt.set_is_strictroute(self.strict.into());
        opt.set_rr_needaddr(self.needs_recorded.into());
        opt.set_ts_needaddr(self.needs_address.into());
        opt.set_ts_needtime(self.needs_time.into());
    }

    /// How many bytes of the IP header they take, a multiple of four.
    pub fn header_bytes(&self) -> u32 {
        self.len.into()
    }

    /// Whether no packet can carry them, since what they answer is at odds with itself.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// Where a packet for `destination` is sent first.
    pub(super) fn next_hop(&self, destination: Ipv4Addr) -> Ipv4Addr {
        match self.source_route {
            0 => destination,
            _ => super::from_be(self.hop),
        }
    }

    /// Whether the source route forbids a way by another router than those that it names.
    pub(super) fn forbids(&self, by_gateway: bool) -> bool {
        self.strict && by_gateway
    }

    /// Writes the options of a packet from `source` to `destination` behind its IP header, as
    /// `ip_options_build`.
    ///
    /// # Safety
    ///
    /// `skb` must be a valid packet of the caller's that begins with the IP header and has room for the
    /// options behind it.
    pub(super) unsafe fn write(
        &self,
        skb: *mut bindings::sk_buff,
        source: Ipv4Addr,
        destination: Ipv4Addr,
    ) {
        if self.len == 0 {
            return;
        }
        let mut done = *self;
        let source = source.octets();
        let byte = |at: u8, byte: usize| {
            let place = usize::from(at).wrapping_sub(HEADER).wrapping_add(byte);
            usize::from(self.bytes.get(place).copied().unwrap_or_default())
        };
        // What was written last ends in front of the byte that a pointer, counted from 1, says.
        let mut write = |at: u8, end: usize, what: [u8; ADDRESS]| {
            let end = usize::from(at).wrapping_sub(HEADER).wrapping_add(end);
            let place = end.wrapping_sub(ADDRESS)..end;
            if let Some(to) = done.bytes.get_mut(place) {
                to.copy_from_slice(&what);
            }
        };
        if self.source_route != 0 {
            let length = byte(self.source_route, LENGTH);
            write(self.source_route, length, destination.octets());
        }
        if self.needs_recorded {
            let pointer = byte(self.record_route, POINTER);
            write(self.record_route, pointer.wrapping_sub(1), source);
        }
        let pointer = byte(self.timestamp, POINTER);
        if self.needs_address {
            write(self.timestamp, pointer.wrapping_sub(1 + ADDRESS), source);
        }
        if self.needs_time {
            let time = time::since_midnight_ms().to_be_bytes();
            write(self.timestamp, pointer.wrapping_sub(1), time);
        }
        // SAFETY: By the requirement; the control block is IP's from here on.
        unsafe {
            let to = bindings::skb_network_header(skb).add(HEADER);
            ptr::copy_nonoverlapping(done.bytes.as_ptr(), to, self.len.into());
            self.describe(&mut (*bindings::IPCB(skb)).opt);
        }
    }
}
