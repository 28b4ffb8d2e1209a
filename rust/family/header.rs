// SPDX-License-Identifier: GPL-2.0

//! Headers of segments that leave.

use crate::{
    engine::SegmentOut,
    net::{
        ip::{
            Endpoints,
            Payload, //
        },
        md5::{
            self,
            Key, //
        }, //
    }, //
};
use core::ops::Deref;

/// Longest TCP header in bytes.
const MAX: usize = 60;

/// The TCP header of one segment.
pub(super) struct Header {
    bytes: [u8; MAX],
    len: usize,
}

impl Header {
    /// The header of `segment` on its way between `ends`.
    pub(super) fn new(segment: &SegmentOut, ends: &Endpoints) -> Self {
        let mut bytes = [0; MAX];
        let len = segment.write_header(ends.source.port(), ends.destination.port(), &mut bytes);
        Self { bytes, len }
    }

    /// The same with its signature, for which `segment` has room.
    #[cold]
    pub(super) fn signed(
        segment: &SegmentOut,
        ends: &Endpoints,
        payload: Option<&Payload<'_>>,
        key: &Key,
    ) -> Self {
        let mut header = Self::new(segment, ends);
        let signature = key.sign(ends, &header, payload);
        let place = segment.signature_at().and_then(|at| {
            let end = at.checked_add(md5::LEN)?;
            header.bytes.get_mut(at..end)
        });
        if let Some(place) = place {
            place.copy_from_slice(&signature);
        }
        header
    }
}

impl Deref for Header {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
