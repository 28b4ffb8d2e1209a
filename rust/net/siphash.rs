// SPDX-License-Identifier: GPL-2.0

//! SipHash: short keyed hashes that tell nothing of their key.
//!
//! C header: [`include/linux/siphash.h`](srctree/include/linux/siphash.h)

use super::bindings;

/// A secret key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u64; 2]);

impl Key {
    /// Makes a key that nobody can guess.
    pub fn random() -> Self {
        // SAFETY: FFI calls with no additional requirements.
        Self(core::array::from_fn(|_| unsafe {
            bindings::get_random_u64()
        }))
    }

    /// Makes the key that 16 octets stand for, as `TCP_FASTOPEN_KEY` has it.
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let word = u128::from_le_bytes(*bytes);
        Self([word as u64, (word >> 64) as u64])
    }

    /// The octets of the key.
    pub fn to_bytes(self) -> [u8; 16] {
        let [low, high] = self.0;
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }

    /// Makes a key of the kernel's.
    pub(super) fn from_raw(key: &bindings::siphash_key_t) -> Self {
        Self(key.key)
    }

    /// Hashes `bytes`, as `siphash`.
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let key = bindings::siphash_key_t { key: self.0 };
        // SAFETY: Both are valid for reads during the call.
        unsafe { bindings::__siphash_unaligned(bytes.as_ptr().cast(), bytes.len(), &key) }
    }
}
