// SPDX-License-Identifier: GPL-2.0

//! The snapshot of a synchronized connection.

use crate::engine::cc::NO_SSTHRESH;
use crate::engine::config::Config;
use crate::engine::delack::longest_delay;
use crate::engine::info::CaState;
use crate::engine::info::Counters;
use crate::engine::info::Info;
use crate::engine::info::Outline;
use crate::engine::rx::advmss_beside;
use crate::engine::store::Store;
use crate::engine::synchronized::timing::EXCLUSIVE;
use crate::engine::synchronized::Synchronized;
use crate::engine::time::Instant;
use crate::engine::timers::Timer;

impl<S: Store> Synchronized<S> {
    /// Returns the values behind `TCP_INFO`.
    pub(crate) fn info(&self, now: Instant, config: &Config, counters: Counters) -> Info {
        let mss = self.mss(config).max(1);
        let board = &self.recovery.board;
        // As Linux without the back-off of window probes.
        let rto = if self.probing_since.is_some() {
            self.rtt.rto(config)
        } else {
            self.rto(config)
        };
        let whole = |octets: u32| octets.checked_div(mss).unwrap_or(0).max(1);
        let ssthresh = self.cc.ssthresh();
        let told = self.cc.rate.told();
        let (delivered, delivered_ce) = self.cc.rate.segments();
        let (busy_time, rwnd_limited, sndbuf_limited) = self.chrono.read(now);
        Info {
            ca_state: self.recovery.state(),
            retransmits: self.retransmits,
            probes: self.probes_out,
            backoff: self.backoff,
            timestamps: self.agreed.timestamps,
            sack: self.agreed.sack,
            ecn: self.ecn.is_on(),
            ecn_seen: self.ecn.was_seen(),
            received_ecn: self.ecn.received(),
            window_scales: self.agreed.scales.map(|(ours, theirs)| (theirs, ours)),
            rto,
            ato: self.delack.ato().min(longest_delay(config)),
            snd_mss: mss,
            rcv_mss: self.rx.mss,
            advmss: advmss_beside(config.announced().into(), self.agreed.timestamps),
            unacked: board.out.segments,
            sacked: self.recovery.sacked_segments(),
            lost: board.lost.segments,
            retrans: board.retrans.segments,
            reordering: self.recovery.reordering(),
            reordering_seen: self.recovery.reordering_seen(),
            srtt: self.rtt.srtt(),
            // As Linux the deviation itself, not the bound that the RTO is made of.
            rttvar: self.rtt.mean_deviation(),
            min_rtt: self.rtt.min_rtt(),
            cwnd: whole(self.cc.cwnd()),
            ssthresh: (ssthresh != NO_SSTHRESH).then(|| whole(ssthresh)),
            pacing_rate: self.cc.pacing.rate(),
            max_pacing_rate: config.max_pacing_rate,
            delivery_rate: told.map_or(0, |(rate, _)| rate),
            delivery_rate_app_limited: told.is_none_or(|(_, limited)| limited),
            delivered,
            delivered_ce,
            busy_time,
            rwnd_limited,
            sndbuf_limited,
            snd_wnd: self.tx.wnd,
            rcv_wnd: u32::try_from(self.rx.offered()).unwrap_or(u32::MAX),
            rcv_ssthresh: self.rx.tuning.ssthresh(),
            rcv_space: self.rx.tuning.copied(),
            rcv_rtt: self.rx.tuning.rtt(),
            notsent_bytes: self.tx.unsent(),
            // As Linux with what SYN and FIN take of the sequence numbers.
            bytes_acked: self.tx.una.saturating_add(self.began.into()),
            bytes_received: self.rx.end(),
            last_data_sent: now.since(self.last_data_sent),
            last_data_received: now.since(self.delack.last_data()),
            last_ack_received: now.since(self.last_heard),
            deadline: self.next_deadline(),
            ..Info::idle(self.state, counters)
        }
    }

    /// Returns the values behind `/proc/net/tcp`.
    pub(crate) fn outline(&self, config: &Config) -> Outline {
        let fin = u64::from(self.state.sends_fin());
        let end = self.tx.written.saturating_add(fin);
        let ssthresh = self.cc.ssthresh();
        let in_flight = self.tx.in_flight() > 0;
        let retransmit = EXCLUSIVE.iter().find_map(|&timer| self.timers.get(timer));
        let silence = self.timers.get(Timer::KeepAlive);
        Outline {
            unacked: end.saturating_sub(self.tx.una),
            retransmit: retransmit.filter(|_| in_flight),
            persist: self.timers.get(Timer::Persist),
            keepalive: self.timers.get(Timer::FinWait2).or(silence),
            delayed_ack: self.timers.get(Timer::DelayedAck),
            retransmits: self.retransmits,
            probes: self.probes_out,
            quick_acks: self.delack.quick(),
            interactive: self.delack.is_interactive(config),
            rto: self.rto(config),
            ato: self.delack.ato(),
            mss: self.mss(config),
            cwnd: self.cc.cwnd(),
            ssthresh: (ssthresh != NO_SSTHRESH).then_some(ssthresh),
            fast_recovery: self.recovery.state() == CaState::Recovery,
        }
    }
}
