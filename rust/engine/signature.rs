// SPDX-License-Identifier: GPL-2.0

//! Options that tell who sent a segment (RFC 2385, RFC 5925): found, and given their place. What
//! stands in them is the owner's to compute and to compare.

use crate::engine::options::END;
use crate::engine::options::NOP;
use crate::engine::options::TIMESTAMPS;
use crate::engine::options::TIMESTAMPS_SPACE;
use crate::engine::segment::FIXED_HEADER;

/// Octets of an MD5 signature.
pub const SIGNATURE_LEN: usize = 16;

/// Octets of its option with the padding before.
pub(crate) const SIGNATURE_SPACE: u16 = 20;
/// Octets of that padding, of kind and length.
const HEAD: usize = 4;

const MD5: u8 = 19;
const MD5_LEN: u8 = 18;
const AO: u8 = 29;
/// Octets of an authentication option without its code: kind, length and two numbers of keys.
const AO_HEAD: usize = 4;

/// What the options of a header prove of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authentication {
    /// Nothing.
    None,
    /// The MD5 signature (RFC 2385).
    Md5([u8; SIGNATURE_LEN]),
    /// An authentication option (RFC 5925).
    Ao,
    /// An option has a length that cannot be, or there are two of these: the segment is to be
    /// dropped.
    Malformed,
}

impl Authentication {
    /// Looks for the options in a whole header.
    ///
    /// As Linux (`tcp_do_parse_auth_options`), which is stricter with lengths here than where it
    /// reads the other options, but does not look at the last octets, where none of these can be.
    pub fn of(header: &[u8]) -> Authentication {
        let options = header.get(FIXED_HEADER..).unwrap_or_default();
        match options {
            // What nearly all segments have.
            [] | [NOP, NOP, TIMESTAMPS, 10, _, _, _, _, _, _, _, _] => Authentication::None,
            _ => look(options),
        }
    }
}

fn look(options: &[u8]) -> Authentication {
    let mut found = Authentication::None;
    let mut rest = options;
    while let (&[kind, length, ..], true) = (rest, rest.len() > AO_HEAD) {
        if kind == END {
            break;
        }
        if kind == NOP {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let Some(body) = rest.get(2..usize::from(length)) else {
            return Authentication::Malformed;
        };
        let new = match (kind, <[u8; SIGNATURE_LEN]>::try_from(body)) {
            (MD5, Ok(signature)) => Some(Authentication::Md5(signature)),
            (AO, _) if usize::from(length) > AO_HEAD => Some(Authentication::Ao),
            (MD5 | AO, _) => return Authentication::Malformed,
            _ => None,
        };
        if let Some(new) = new {
            if found != Authentication::None {
                return Authentication::Malformed;
            }
            found = new;
        }
        rest = rest.get(usize::from(length)..).unwrap_or_default();
    }
    found
}

/// Where a segment that leaves has room for an MD5 signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Signature {
    /// Nowhere.
    #[default]
    None,
    /// Before all other options.
    First,
    /// After the timestamps, where Linux has it in acknowledgments that no socket sends.
    AfterTimestamps,
}

impl Signature {
    /// The option without its value.
    pub(crate) const OPTION: [u8; SIGNATURE_SPACE as usize] = {
        let mut option = [0; SIGNATURE_SPACE as usize];
        option[0] = NOP;
        option[1] = NOP;
        option[2] = MD5;
        option[3] = MD5_LEN;
        option
    };

    /// Returns how many octets of the options stand before the signature itself.
    pub(crate) fn offset(self, timestamps: bool) -> Option<usize> {
        let before = match self {
            Signature::None => return None,
            Signature::AfterTimestamps if timestamps => usize::from(TIMESTAMPS_SPACE),
            Signature::First | Signature::AfterTimestamps => 0,
        };
        Some(before.saturating_add(HEAD))
    }
}

#[cfg(test)]
mod tests;
