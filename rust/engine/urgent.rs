// SPDX-License-Identifier: GPL-2.0

//! Urgent data (RFC 9293, 3.8.5; RFC 6093), as Linux has it: one octet, apart from the stream.

/// What became of the urgent octet that the peer announced last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UrgentOctet {
    /// It has not come.
    Awaited,
    /// The owner has it.
    Here(u8),
    /// The user has taken it apart from the stream.
    Taken,
}

/// The receiver's mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    /// The octet's place in the stream.
    pub(crate) at: u64,
    pub(crate) octet: UrgentOctet,
}

/// How far the receiver is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// What the reader has consumed.
    pub(crate) read: u64,
    /// RCV.NXT.
    pub(crate) nxt: u64,
    /// Where the segment begins, after RCV.NXT.
    pub(crate) start: i64,
}

/// Returns the place of the octet that an urgent pointer announces, if that is news (Linux's
/// `tcp_check_urg`).
///
/// RFC 6093, 3: as everybody else the engine takes the pointer to be that of the octet after the
/// urgent one; with `standard` (`tcp_stdurg`) that of the urgent one itself (RFC 9293, 3.8.5).
pub(crate) fn announced(
    place: &Place,
    pointer: u16,
    standard: bool,
    known: Option<Mark>,
) -> Option<u64> {
    let pointer = if standard {
        pointer
    } else {
        pointer.saturating_sub(1)
    };
    let ahead = place.start.saturating_add(i64::from(pointer));
    let at = place.nxt.checked_add(u64::try_from(ahead).ok()?)?;
    let news = known.is_none_or(|mark| at > mark.at);
    (news && at >= place.read).then_some(at)
}

/// Returns the urgent pointer of a segment that begins `ahead` octets before the end of urgent
/// data; 0 if it carries none. `reaches` tells that 65535 octets from it on go beyond what was sent.
///
/// As Linux: what lies too far ahead is announced as far as the field reaches, once nothing behind
/// that was sent yet.
pub(crate) fn pointer(ahead: u64, reaches: bool) -> u16 {
    match u16::try_from(ahead) {
        Ok(pointer) => pointer,
        Err(_) if reaches => u16::MAX,
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests;
