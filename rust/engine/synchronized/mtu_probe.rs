// SPDX-License-Identifier: GPL-2.0

//! Probes of the path's MTU (RFC 4821): when one leaves, and what its fate changes.

use crate::engine::info::CaState;
use crate::engine::mtu;
use crate::engine::mtu::Step;
use crate::engine::ranges::Run;
use crate::engine::recovery::Ack;
use crate::engine::segment::SegmentOut;
use crate::engine::store::Store;
use crate::engine::synchronized::output::Fit;
use crate::engine::synchronized::output::Limits;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Synchronized;
use crate::engine::tally::Mib;
use crate::engine::tx::Chunk;

/// The least cwnd, in segments, at which probes leave (Linux's): losing one must not cost much.
const LEAST_CWND: u32 = 11;

/// What comes of the wish to probe.
pub(super) enum MtuProbe {
    /// None leaves, and other data may.
    No,
    /// One will leave once there is room, and until then nothing.
    Wait,
    /// This is one.
    Sent(SegmentOut),
}

impl<S: Store> Synchronized<S> {
    /// Sends a segment larger than the others if the time is right (Linux's `tcp_mtu_probe`).
    pub(super) fn probe_mtu(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
        fit: Fit<'_>,
    ) -> MtuProbe {
        if !self.mtu.may_probe() {
            return MtuProbe::No;
        }
        let mss = self.mss(cx.config);
        let cwnd = self.cc.cwnd();
        let calm = self.recovery.state() == CaState::Open;
        let most = self.most_sack_blocks(cx.config);
        let blocks = self.rx.sack_count(most, cx.config.dsack);
        // SACK blocks take a changing part of the segment's room.
        if !calm || cwnd < mss.saturating_mul(LEAST_CWND) || blocks > 0 || limits.max_len == 0 {
            return MtuProbe::No;
        }
        let Step::Try(size) = self.mtu.step(cx.now, mss, cx.config, &self.agreed) else {
            return MtuProbe::No;
        };
        // RFC 4821, 7.4: as much must follow as lets duplicates tell of its loss.
        let after = self.recovery.reordering().saturating_add(1);
        let needed = u64::from(after)
            .saturating_mul(mss.into())
            .saturating_add(size.into());
        if self.tx.unsent() < needed || u64::from(self.tx.wnd) < needed || self.tx.is_urgent() {
            return MtuProbe::No;
        }
        if self.tx.nxt.saturating_add(needed) > self.tx.window_end() {
            return MtuProbe::Wait;
        }
        let pipe = self.recovery.pipe(mss);
        if pipe.saturating_add(u64::from(mss).saturating_mul(2)) > cwnd.into() {
            return if pipe == 0 {
                MtuProbe::No
            } else {
                MtuProbe::Wait
            };
        }
        let start = self.tx.nxt;
        if fit(start, size) < size {
            return MtuProbe::No;
        }
        let chunk = Chunk {
            offset: start,
            len: size,
            fin: false,
        };
        let Some(segment) = self.send_new(cx, chunk, size, fit) else {
            return MtuProbe::No;
        };
        self.cc.begin_mtu_probe();
        self.mtu.on_probe(Run {
            start,
            end: self.tx.nxt,
        });
        MtuProbe::Sent(segment)
    }

    /// Lets segments become as large as a probe that `ack` says has arrived.
    pub(super) fn take_mtu_probe(&mut self, cx: &Context<'_>, ack: &mut Ack<'_>) {
        if !self.mtu.on_acked(self.tx.una, &self.agreed) {
            return;
        }
        cx.tally.count(Mib::MtupSuccess);
        let headers = mtu::HEADERS.saturating_add(mtu::space(&self.agreed));
        let mss = self.mss(cx.config).max(1);
        let packet = |mss: u32| mss.saturating_add(headers);
        self.cc.on_wider_path(cx.now, packet(mss), packet(ack.mss));
        self.cc.on_mss(mss);
        ack.mss = mss;
    }

    /// Nothing has been acknowledged for so long that the segments may be too large for the path.
    pub(super) fn on_black_hole(&mut self, cx: &Context<'_>) {
        self.mtu.on_black_hole(cx.now, cx.config, &self.agreed);
        let mss = self.mss(cx.config);
        self.cc.on_mss(mss);
    }
}
