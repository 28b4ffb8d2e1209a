// SPDX-License-Identifier: GPL-2.0

//! TCP Fast Open (RFC 7413): data in a SYN, for peers that show a cookie.
//!
//! Making, checking and keeping cookies is the owner's; here is what they look like, and what a
//! client and a server do with them.

/// A cookie as the option carries it (RFC 7413, 4.1.1). Without octets it asks for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FastOpenCookie {
    bytes: [u8; FastOpenCookie::MAX],
    len: u8,
    /// It comes in the option that was used before the assignment of a number (RFC 6994), which
    /// Linux still understands.
    pub experimental: bool,
}

impl FastOpenCookie {
    /// The fewest octets of a cookie.
    pub const MIN: usize = 4;
    /// The most.
    pub const MAX: usize = 16;

    /// The request for a cookie.
    pub const fn request(experimental: bool) -> FastOpenCookie {
        FastOpenCookie {
            bytes: [0; FastOpenCookie::MAX],
            len: 0,
            experimental,
        }
    }

    /// Reads the body of an option: `None` unless its length is that of a request or a cookie, and
    /// even (RFC 7413, 4.1.1).
    pub fn new(body: &[u8], experimental: bool) -> Option<FastOpenCookie> {
        let mut cookie = FastOpenCookie::request(experimental);
        let fits = (Self::MIN..=Self::MAX).contains(&body.len()) && body.len() % 2 == 0;
        if !fits && !body.is_empty() {
            return None;
        }
        for (to, from) in cookie.bytes.iter_mut().zip(body) {
            *to = *from;
        }
        cookie.len = body.len() as u8;
        Some(cookie)
    }

    /// Returns the octets.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Returns whether it only asks for a cookie.
    pub fn is_request(&self) -> bool {
        self.len == 0
    }
}

/// How an active open uses Fast Open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FastOpenSyn {
    /// The option of the SYN, if any: with a cookie or as a request for one.
    pub cookie: Option<FastOpenCookie>,
    /// How many octets of what was written may go with the SYN; 0 where there is no cookie.
    pub room: u32,
}

/// What came of an active open with Fast Open, for the owner's cache (RFC 7413, 4.1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FastOpenOutcome {
    /// The cookie that the SYN-ACK brought.
    pub cookie: Option<FastOpenCookie>,
    /// The peer's MSS option.
    pub mss: u16,
    /// The SYN carried data.
    pub had_data: bool,
    /// The data in the SYN was acknowledged.
    pub data_acked: bool,
    /// The SYN was sent more than once.
    pub retransmitted: bool,
    /// The SYN asked by the experimental option.
    pub experimental: bool,
}

/// Why Fast Open did not work, numbered as Linux's `tcpi_fastopen_client_fail`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FastOpenFail {
    /// It did, or was not tried.
    #[default]
    None = 0,
    /// There was no cookie.
    NoCookie = 1,
    /// The SYN-ACK did not acknowledge the data.
    DataNotAcked = 2,
    /// Only a repeated SYN, without data, was answered.
    SynRetransmitted = 3,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie__has_an_even_length_from_4_to_16() {
        for len in 0..20 {
            let made = FastOpenCookie::new(&[7; 20][..len], false);
            let right = len == 0 || (len % 2 == 0 && (4..=16).contains(&len));
            assert_eq!(made.is_some(), right, "{len}");
            if let Some(cookie) = made {
                assert_eq!(cookie.as_slice().len(), len);
                assert_eq!(cookie.is_request(), len == 0);
            }
        }
    }
}
