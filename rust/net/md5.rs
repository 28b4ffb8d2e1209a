// SPDX-License-Identifier: GPL-2.0

//! Signatures of segments by MD5 (RFC 2385).
//!
//! C headers: [`include/crypto/md5.h`](srctree/include/crypto/md5.h),
//! [`include/net/tcp.h`](srctree/include/net/tcp.h)

use super::{
    bindings,
    errno::EOPNOTSUPP,
    ip::{
        from_in6,
        Endpoints,
        Payload,
        Segment, //
    },
    msg::OptionIn,
    net_namespace::Net,
    proto::Protocol,
    sock::{
        Locked,
        Sock, //
    }, //
};
use core::{
    mem::{
        size_of,
        MaybeUninit, //
    },
    net::{
        IpAddr,
        Ipv4Addr, //
    },
    ptr, //
};
use kernel::prelude::*;

/// Whether the kernel was built with the option, and with what computes the signatures.
pub const SUPPORTED: bool = cfg!(all(CONFIG_TCP_MD5SIG, CONFIG_CRYPTO_LIB_MD5));

/// Octets of a signature.
pub const LEN: usize = bindings::MD5_DIGEST_SIZE as usize;
/// The longest key, in octets.
pub const KEY_MAX: usize = bindings::TCP_MD5SIG_MAXKEYLEN as usize;
/// `TCP_MD5SIG_FLAG_PREFIX`
pub const FLAG_PREFIX: u8 = bindings::TCP_MD5SIG_FLAG_PREFIX as u8;
/// `TCP_MD5SIG_FLAG_IFINDEX`
pub const FLAG_IFINDEX: u8 = bindings::TCP_MD5SIG_FLAG_IFINDEX as u8;

/// Octets of a TCP header that are signed; the options are not.
const TCP_HEADER: usize = 20;
/// Where the checksum is in it, which counts as zero.
const TCP_CHECKSUM: core::ops::Range<usize> = 16..18;
/// The memory of a key, by which the kernel's own count.
const KEY_MEMORY: i32 = size_of::<bindings::tcp_md5sig_key>() as i32;

/// A key that both ends know.
#[derive(Clone, Copy)]
pub struct Key {
    bytes: [u8; KEY_MAX],
    len: u8,
}

impl Key {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }

    /// The signature of a segment that goes along `ends`. `header` is whole but for its checksum and
    /// its signature.
    pub fn sign(
        &self,
        ends: &Endpoints,
        header: &[u8],
        payload: Option<&Payload<'_>>,
    ) -> [u8; LEN] {
        let len = payload.map_or(0, |payload| payload.len);
        let mut digest = Digest::new();
        digest.headers(ends, header, header.len() as u32 + len);
        if let Some(payload) = payload {
            payload
                .rope
                .for_range(payload.offset, payload.len, |page, at, len| {
                    // SAFETY: The send buffer has the page, and so many of its bytes.
                    unsafe {
                        let from = bindings::page_address(page).cast::<u8>();
                        digest.update_raw(from.add(at as usize), len as usize);
                    }
                });
        }
        digest.finish(self)
    }

    /// Whether `signature` is that of a segment that came along `ends`.
    pub fn has_signed(&self, ends: &Endpoints, segment: &Segment, signature: &[u8; LEN]) -> bool {
        let header = segment.header();
        let len = header.len() as u32 + segment.payload_len();
        let mut digest = Digest::new();
        digest.headers(ends, header, len);
        let mut state = MaybeUninit::<bindings::skb_seq_state>::uninit();
        let mut done = 0;
        // SAFETY: The packet is the segment's and in no list. The state is initialised first, and the walk
        // goes to its end, which gives back what it mapped; what it shows is there until the next step.
        unsafe {
            let skb = segment.as_raw();
            bindings::skb_prepare_seq_read(skb, header.len() as u32, len, state.as_mut_ptr());
            loop {
                let mut from = ptr::null();
                let part = bindings::skb_seq_read(done, &mut from, state.as_mut_ptr());
                if part == 0 {
                    break;
                }
                digest.update_raw(from, part as usize);
                done += part;
            }
        }
        let right = digest.finish(self);
        // SAFETY: Both have as many octets.
        unsafe {
            bindings::crypto_memneq(right.as_ptr().cast(), signature.as_ptr().cast(), LEN) == 0
        }
    }
}

/// A computation.
///
/// # Invariants
///
/// The context is initialised.
struct Digest(MaybeUninit<bindings::md5_ctx>);

impl Digest {
    fn new() -> Self {
        let mut context = MaybeUninit::uninit();
        #[cfg(CONFIG_CRYPTO_LIB_MD5)]
        // SAFETY: The callee initialises it.
        unsafe {
            bindings::md5_init(context.as_mut_ptr())
        };
        #[cfg(not(CONFIG_CRYPTO_LIB_MD5))]
        let _: &mut MaybeUninit<bindings::md5_ctx> = &mut context;
        // INVARIANT: Done above, where there is something that would use it.
        Self(context)
    }

    /// # Safety
    ///
    /// There must be `len` octets to read at `from`. Somebody else may write them meanwhile.
    unsafe fn update_raw(&mut self, from: *const u8, len: usize) {
        #[cfg(CONFIG_CRYPTO_LIB_MD5)]
        // SAFETY: By the type invariant and the requirement.
        unsafe {
            bindings::md5_update(self.0.as_mut_ptr(), from, len)
        };
        #[cfg(not(CONFIG_CRYPTO_LIB_MD5))]
        let _ = (&self.0, from, len);
    }

    fn update(&mut self, bytes: &[u8]) {
        // SAFETY: They can be read.
        unsafe { self.update_raw(bytes.as_ptr(), bytes.len()) };
    }

    /// RFC 2385, 2.0, 1 and 2: the pseudo-header and the header without options. `len` is that of the
    /// segment.
    fn headers(&mut self, ends: &Endpoints, header: &[u8], len: u32) {
        let mut fixed = [0; TCP_HEADER];
        for (to, from) in fixed.iter_mut().zip(header) {
            *to = *from;
        }
        if let Some(checksum) = fixed.get_mut(TCP_CHECKSUM) {
            checksum.fill(0);
        }
        let protocol = bindings::IPPROTO_TCP as u8;
        match (ends.source.ip(), ends.destination.ip()) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.update(&source.octets());
                self.update(&destination.octets());
                self.update(&len.to_be_bytes());
                self.update(&u32::from(protocol).to_be_bytes());
            }
            (source, destination) => {
                for address in [source, destination] {
                    if let IpAddr::V4(address) = address {
                        self.update(&address.octets());
                    }
                }
                let [high, low] = (len as u16).to_be_bytes();
                self.update(&[0, protocol, high, low]);
            }
        }
        self.update(&fixed);
    }

    /// RFC 2385, 2.0, 4: the key comes last.
    fn finish(mut self, key: &Key) -> [u8; LEN] {
        self.update(key.as_bytes());
        #[cfg_attr(not(CONFIG_CRYPTO_LIB_MD5), expect(unused_mut))]
        let mut signature = [0; LEN];
        #[cfg(CONFIG_CRYPTO_LIB_MD5)]
        // SAFETY: By the type invariant; the callee writes as many octets.
        unsafe {
            bindings::md5_final(self.0.as_mut_ptr(), signature.as_mut_ptr())
        };
        signature
    }
}

/// What `TCP_MD5SIG` and `TCP_MD5SIG_EXT` ask for.
pub struct Request {
    /// The peer: of IPv4, or of IPv6, whatever the address family of the socket. Its port says nothing.
    pub peer: IpAddr,
    /// `TCP_MD5SIG_FLAG_…`
    pub flags: u8,
    /// How many bits of the address count, where the flags say so.
    pub prefix: u8,
    /// The index of the virtual router, where the flags say so.
    pub device: i32,
    /// Octets that the user says the key has.
    pub key_len: u16,
    key: [u8; KEY_MAX],
}

impl Request {
    /// The key; `EINVAL` where there is none, or it is too long.
    pub fn key(&self) -> Result<Key> {
        let len = usize::from(self.key_len);
        if len == 0 || len > KEY_MAX {
            return Err(EINVAL);
        }
        Ok(Key {
            bytes: self.key,
            len: len as u8,
        })
    }
}

impl OptionIn {
    /// The value of `TCP_MD5SIG`, for a socket of AF_INET6 or not. Fails with `EINVAL` where it is
    /// shorter, or the peer's address of another family.
    pub fn md5_request(&self, inet6: bool) -> Result<Request> {
        let mut raw = MaybeUninit::<bindings::tcp_md5sig>::zeroed();
        let size = size_of::<bindings::tcp_md5sig>();
        if self.size() < size {
            return Err(EINVAL);
        }
        // SAFETY: `raw` has room for the bytes, any of which are valid for its integers; the source is
        // checked by the callee if it is user space's, and the kernel's own otherwise.
        let raw = unsafe {
            if bindings::copy_from_sockptr(raw.as_mut_ptr().cast(), self.raw(), size) != 0 {
                return Err(EFAULT);
            }
            raw.assume_init()
        };
        // SAFETY: Room for any address, all of whose bytes are initialised.
        let (family, v4, v6) = unsafe {
            let at = &raw const raw.tcpm_addr;
            (
                at.cast::<u16>().read(),
                (*at.cast::<bindings::sockaddr_in>()).sin_addr.s_addr,
                from_in6(&(*at.cast::<bindings::sockaddr_in6>()).sin6_addr),
            )
        };
        let peer = match (u32::from(family), inet6) {
            (bindings::AF_INET, false) => IpAddr::V4(Ipv4Addr::from(u32::from_be(v4))),
            (bindings::AF_INET6, true) => match v6.to_ipv4_mapped() {
                Some(v4) => v4.into(),
                None => v6.into(),
            },
            _ => return Err(EINVAL),
        };
        Ok(Request {
            peer,
            flags: raw.tcpm_flags,
            prefix: raw.tcpm_prefixlen,
            device: raw.tcpm_ifindex,
            key_len: raw.tcpm_keylen,
            key: raw.tcpm_key,
        })
    }
}

impl Net {
    /// Whether a device is a virtual router.
    pub fn is_router(&self, device: i32) -> bool {
        // SAFETY: The namespace is valid.
        unsafe { bindings::netif_index_is_l3_master(self.as_raw(), device) }
    }
}

/// Fails with `EOPNOTSUPP` where the host does without MD5 (`fips=1`).
pub fn may_be_used() -> Result {
    // SAFETY: FFI call with no additional requirements.
    if unsafe { bindings::fips_enabled() } {
        Err(EOPNOTSUPP)
    } else {
        Ok(())
    }
}

impl<P: Protocol> Sock<P> {
    /// Counts the memory of one more key as the socket's (`net.core.optmem_max`). Fails with `ENOMEM`
    /// where it has too much, as `sock_kmalloc`.
    pub fn charge_key(&self) -> Result {
        let sk = self.as_raw();
        // SAFETY: The socket is live; the counter is atomic.
        unsafe {
            let most = bindings::sk_optmem_max(sk);
            if KEY_MEMORY > most || bindings::sk_omem_alloc(sk) + KEY_MEMORY >= most {
                return Err(ENOMEM);
            }
            bindings::sk_omem_add(sk, KEY_MEMORY);
        }
        Ok(())
    }

    /// Takes back what [`Sock::charge_key`] counted.
    pub fn uncharge_key(&self) {
        // SAFETY: The socket is live; the counter is atomic.
        unsafe { bindings::sk_omem_add(self.as_raw(), -KEY_MEMORY) };
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Lets each packet be one segment from now on.
    pub fn disable_gso(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::sk_gso_disable(self.raw()) };
    }
}
