// SPDX-License-Identifier: GPL-2.0

//! Values that the wire limits: the window scale and the segment size.

/// The exponent of the window scale option; never above 14 (RFC 7323, 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WindowScale(u8);

impl WindowScale {
    /// The largest exponent.
    pub const MAX: WindowScale = WindowScale(14);

    /// Makes a scale from an option's byte; a larger one counts as 14, as RFC 7323, 2.3 tells.
    pub const fn new(shift: u8) -> WindowScale {
        if shift > Self::MAX.0 {
            Self::MAX
        } else {
            WindowScale(shift)
        }
    }

    /// Returns the smallest scale with which the 16-bit field can express `window` octets.
    pub fn for_window(window: u32) -> WindowScale {
        let mut shift = 0u8;
        while shift < Self::MAX.0 && (window >> shift) > MAX_FIELD {
            shift = shift.saturating_add(1);
        }
        WindowScale(shift)
    }

    /// Returns the exponent.
    pub const fn shift(self) -> u8 {
        self.0
    }

    /// Returns the octets that a header's window field means.
    pub const fn scale_up(self, field: u16) -> u32 {
        (field as u32) << self.0
    }

    /// Returns the granularity of the window, in octets.
    pub const fn unit(self) -> u32 {
        1 << self.0
    }

    /// Returns the largest window that can be expressed, in octets.
    pub const fn max_window(self) -> u32 {
        MAX_FIELD << self.0
    }

    /// Returns the field for `window`, rounded down.
    pub fn field_below(self, window: u32) -> u16 {
        u16::try_from(window >> self.0).unwrap_or(u16::MAX)
    }

    /// Returns the field for `window`, rounded up.
    pub fn field_above(self, window: u32) -> u16 {
        self.field_below(window.saturating_add(self.unit().saturating_sub(1)))
    }
}

/// The largest value of a header's window field.
pub const MAX_FIELD: u32 = 65_535;

/// The MSS over IPv4 of a peer whose SYN carries no MSS option (RFC 9293, 3.7.1). Linux's first
/// guesses of segment sizes use it over IPv6 as well.
pub const DEFAULT_MSS: u16 = 536;

/// The smallest MSS that is usually believed, see [`Config::min_mss`].
///
/// [`Config::min_mss`]: crate::engine::config::Config::min_mss
pub const MIN_MSS: u16 = 48;
