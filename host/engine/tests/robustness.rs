// SPDX-License-Identifier: GPL-2.0

//! Whatever a peer sends and a user does: no panic, offsets in order, and polling ends.

use crate::common::script::*;
use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Segment {
        flags: u8,
        seq: u32,
        ack: u32,
        len: u32,
        window: u16,
        options: Vec<u8>,
    },
    Near {
        flags: u8,
        seq: i32,
        ack: i32,
        len: u32,
        window: u16,
        sack: Vec<(i32, i32)>,
    },
    Write(u32, bool),
    Read(u32),
    Deadline(u32, u32, u32),
    Pass(u64),
    Poll(u32, u32, u32),
    Shutdown,
    Close,
    Abort,
    Nodelay(bool),
    Cork(bool),
    Mss(u16),
    KeepAlive(Option<KeepAlive>),
}

/// The owner's room for received data, its limit for one segment, and for one buffer.
fn polls() -> impl Strategy<Value = (u32, u32, u32)> {
    (
        prop_oneof![Just(0u32), 1u32..2_000, 0u32..100_000, any::<u32>()],
        prop_oneof![Just(0u32), 1u32..70_000],
        prop_oneof![3 => Just(u32::MAX), 1 => 1u32..3_000],
    )
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop_oneof![
        8 => Just(Flags::ACK.0),
        2 => Just(Flags::ACK.0 | Flags::FIN.0),
        1 => any::<u8>(),
    ];
    let near = (
        flags,
        -5_000i32..70_000,
        -5_000i32..70_000,
        prop_oneof![Just(0u32), 0u32..3_000],
        prop_oneof![Just(0u16), any::<u16>()],
        prop::collection::vec((-2_000i32..70_000, -2_000i32..70_000), 0..4),
    )
        .prop_map(|(flags, seq, ack, len, window, sack)| Step::Near {
            flags,
            seq: if seq % 3 == 0 { seq } else { 0 },
            ack: if ack % 3 == 0 { ack } else { i32::MAX },
            len,
            window,
            sack,
        });
    let wild = (
        any::<u8>(),
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        any::<u16>(),
        prop::collection::vec(any::<u8>(), 0..40),
    )
        .prop_map(|(flags, seq, ack, len, window, options)| Step::Segment {
            flags,
            seq,
            ack,
            len,
            window,
            options,
        });
    prop_oneof![
        20 => near,
        3 => wild,
        6 => (0u32..20_000, any::<bool>()).prop_map(|(len, more)| Step::Write(len, more)),
        3 => (0u32..20_000).prop_map(Step::Read),
        6 => polls().prop_map(|(room, len, fit)| Step::Deadline(room, len, fit)),
        4 => (0u64..5_000).prop_map(Step::Pass),
        8 => polls().prop_map(|(room, len, fit)| Step::Poll(room, len, fit)),
        1 => Just(Step::Shutdown),
        1 => prop_oneof![9 => Just(Step::Pass(1)), 1 => Just(Step::Close), 1 => Just(Step::Abort)],
        1 => any::<bool>().prop_map(Step::Nodelay),
        1 => any::<bool>().prop_map(Step::Cork),
        1 => any::<u16>().prop_map(Step::Mss),
        1 => proptest::option::of(keepalive()).prop_map(Step::KeepAlive),
    ]
}

/// An established connection with a peer that aims its segments near the truth.
struct Play {
    connection: Connection,
    config: Config,
    /// Microseconds.
    now: u64,
    /// The peer's idea of both streams.
    rcv_nxt: SeqNum,
    snd_nxt: SeqNum,
    /// What our window fields are shifted by, and the right edge offered last.
    scale: WindowScale,
    edge: Option<SeqNum>,
    /// When deadlines came.
    fired: Vec<u64>,
}

fn at(us: u64) -> Instant {
    Instant::from_nanos(us * 1_000)
}

/// How far the handshake has come when the steps begin.
#[derive(Clone, Copy, Debug)]
enum Begin {
    SynSent,
    SynReceived,
    Established,
}

impl Play {
    fn new(config: &Config, begin: Begin) -> Play {
        let now = 1_000_000u64;
        let mut play = Play {
            connection: Connection::connect(at(now), config, isn()),
            config: *config,
            now,
            rcv_nxt: SeqNum(ISS + 1),
            snd_nxt: SeqNum(IRS),
            scale: WindowScale::default(),
            edge: None,
            fired: Vec::new(),
        };
        let flags = match begin {
            Begin::SynReceived => SYN,
            Begin::SynSent | Begin::Established => SYN_ACK,
        };
        let mut syn = segment(flags, 0, 1, 0);
        syn.options.window_scale = Some(WindowScale::new(9));
        syn.options.sack_permitted = true;
        syn.options.timestamps = Some(Timestamps { value: 1, echo: 0 });
        if !matches!(begin, Begin::SynSent) {
            let _ = play.give(&syn);
        }
        play
    }
    fn give(&mut self, segment: &SegmentIn) -> Payload {
        let before = self.connection.state();
        let payload = self.connection.on_segment(at(self.now), segment);
        let opened = matches!(before, State::SynSent) && before != self.connection.state();
        if opened && segment.flags.syn() {
            let theirs = segment.options.window_scale;
            let offered = theirs.filter(|_| self.config.window_scaling);
            let ours = WindowScale::for_window(self.config.max_receive_window);
            self.scale = offered.map(|_| ours).unwrap_or_default();
        }
        payload
    }

    fn step(&mut self, step: Step) {
        let now = at(self.now);
        match step {
            Step::Segment {
                flags,
                seq,
                ack,
                len,
                window,
                options,
            } => {
                let segment = SegmentIn {
                    seq: SeqNum(seq),
                    ack: SeqNum(ack),
                    flags: Flags(flags),
                    window,
                    len,
                    wire_len: len,
                    codepoint: Codepoint::from_tos(len as u8),
                    options: Options::parse(&options),
                    ..SegmentIn::default()
                };
                let _ = self.give(&segment);
            }
            Step::Near { .. } => self.near(step),
            Step::Write(len, more) => self.connection.on_write(now, len, more),
            Step::Read(len) => self.connection.on_read(now, len),
            Step::Deadline(room, max_len, fit) => self.deadline(room, max_len, fit),
            Step::Pass(millis) => self.now += millis * 1_000,
            Step::Poll(room, max_len, fit) => self.poll(room, max_len, fit),
            Step::Shutdown => self.connection.shutdown_write(now),
            Step::Close => self.connection.close(now),
            Step::Abort => self.connection.abort(now),
            Step::Nodelay(on) => self.connection.set_nodelay(now, on),
            Step::Cork(on) => self.connection.set_cork(now, on),
            Step::Mss(mss) => self.connection.set_mss(mss),
            Step::KeepAlive(keepalive) => self.connection.set_keepalive(now, keepalive),
        }
    }

    fn near(&mut self, step: Step) {
        let Step::Near {
            flags,
            seq,
            ack,
            len,
            window,
            sack,
        } = step
        else {
            return;
        };
        let base = SeqNum(ISS + 1).add(self.connection.acked() as u32);
        let mut segment = SegmentIn {
            seq: self.snd_nxt.add(seq as u32),
            ack: if ack == i32::MAX {
                self.rcv_nxt
            } else {
                base.add(ack as u32)
            },
            flags: Flags(flags),
            window,
            len,
            wire_len: len.min(1_000),
            codepoint: Codepoint::from_tos(len as u8),
            ..SegmentIn::default()
        };
        for (left, right) in sack {
            segment.options.sack.push(SackBlock {
                left: base.add(left as u32),
                right: base.add(right as u32),
            });
        }
        match self.give(&segment) {
            Payload::Discard => {}
            Payload::Append { skip, len: took }
            | Payload::Hold {
                skip, len: took, ..
            } => {
                assert!(took > 0 && skip + took <= len);
            }
        }
        self.snd_nxt = SeqNum(IRS + 1).add(self.connection.readable() as u32);
    }

    /// Fires the timer: afterwards it is quiet for a while, or the owner would spin.
    fn deadline(&mut self, room: u32, max_len: u32, fit: u32) {
        let Some(deadline) = self.connection.next_deadline() else {
            return;
        };
        self.now = self.now.max(deadline.as_nanos().div_ceil(1_000));
        self.connection.on_deadline(at(self.now));
        self.poll(room, max_len, fit);
        let next = self.connection.next_deadline();
        assert!(next.is_none_or(|next| next > at(self.now)), "still due");
        self.fired.push(self.now);
        let recent = self.fired.iter().rev().take(7);
        if recent.len() == 7 {
            // There are six timers, and none is set for less than a millisecond.
            let span = self.now - recent.min().unwrap();
            assert!(span >= 1_000, "seven deadlines in {span} us");
        }
    }

    fn poll(&mut self, room: u32, max_len: u32, fit: u32) {
        let limits = Limits { max_len };
        let connection = &mut self.connection;
        let unread = connection.readable() - connection.read();
        let memory = ReceiveMemory::of_payload(room, unread as u32);
        connection.set_receive_memory(&memory);
        let mut segments = 0;
        let fits = |_, len: u32| len.min(fit);
        while let Some(segment) = connection.poll_transmit(at(self.now), &limits, fits) {
            let mut header = [0; 60];
            let len = segment.write_header(1, 2, &mut header);
            let _ = SegmentIn::parse(&header[..len], 0).unwrap();
            if let Some(data) = segment.data {
                assert!(data.len > 0 && data.offset >= connection.acked());
                assert!(data.offset + u64::from(data.len) <= connection.sent());
                assert!(segment.mss > 0);
            }
            if segment.flags.ack() && !segment.flags.syn() {
                let edge = segment
                    .ack
                    .add(u32::from(segment.window) << self.scale.shift());
                let old = *self.edge.get_or_insert(edge);
                // An ACK number that only answers a foreign segment says nothing of the window.
                let bare_reset = segment.flags.rst() && segment.window == 0;
                assert!(
                    bare_reset || !edge.before(old),
                    "the right edge moved left by {}",
                    old.distance_from(edge)
                );
                self.edge = self.edge.filter(|_| bare_reset).or(Some(edge));
            }
            let end = segment.seq.add(segment.data_len());
            if end.after(self.rcv_nxt) {
                self.rcv_nxt = end;
            }
            segments += 1;
            assert!(segments < 20_000, "poll_transmit does not end");
        }
        let mut events = 0;
        while connection.poll_event().is_some() {
            events += 1;
            assert!(events < 10);
        }
    }
}

fn play(config: Config, begin: Begin, steps: Vec<Step>) {
    let mut play = Play::new(&config, begin);
    for step in steps {
        play.now += 10;
        let before = &play.connection;
        let (acked, sent) = (before.acked(), before.sent());
        let (readable, read) = (before.readable(), before.read());
        play.step(step);
        let after = &play.connection;
        assert!(acked <= after.acked() && sent <= after.sent());
        assert!(readable <= after.readable() && read <= after.read());
        assert!(after.acked() <= after.sent() && after.sent() <= after.written());
        assert!(after.read() <= after.readable());
        assert_eq!(after.info(at(play.now)).state, after.state());
    }
}

fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::from_millis(200)),
        Just(Duration::from_secs(120)),
        (0u64..1 << 50).prop_map(Duration::from_nanos),
    ]
}

fn keepalive() -> impl Strategy<Value = KeepAlive> {
    (span(), span(), 0u8..10).prop_map(|(idle, interval, probes)| KeepAlive {
        idle,
        interval,
        probes,
    })
}

fn timing() -> impl Strategy<Value = Config> {
    (
        (span(), span(), span(), span(), span()),
        any::<[u8; 6]>(),
        proptest::option::of(span()),
        proptest::option::of(keepalive()),
    )
        .prop_map(|(spans, tries, user_timeout, keepalive)| {
            let (rto_min, rto_max, rto_initial, fin_timeout, invalid_ratelimit) = spans;
            Config {
                syn_retries: tries[0],
                syn_linear_timeouts: tries[1],
                retries1: tries[3],
                retries2: tries[4],
                orphan_retries: tries[5],
                rto_min,
                rto_max,
                rto_initial,
                fin_timeout,
                invalid_ratelimit,
                user_timeout,
                keepalive,
                ..Config::default()
            }
        })
}

fn config() -> impl Strategy<Value = Config> {
    (
        prop_oneof![Just(0u16), Just(u16::MAX), Just(1460), any::<u16>()],
        any::<(bool, bool, bool, bool, bool)>(),
        prop_oneof![Just(0u32), Just(u32::MAX), 0u32..200_000],
        prop_oneof![Just(0u32), Just(u32::MAX), 0u32..10_000_000],
        prop_oneof![Just(Config::default()), timing()],
    )
        .prop_map(
            |(
                mss,
                (window_scaling, timestamps, sack, nodelay, cubic),
                window,
                max_window,
                timing,
            )| {
                Config {
                    mss,
                    window_scaling,
                    timestamps,
                    sack,
                    nodelay,
                    congestion: if cubic {
                        Algorithm::Cubic
                    } else {
                        Algorithm::Reno
                    },
                    receive_window: window,
                    max_receive_window: max_window,
                    ..timing
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_peer_and_user(
        config in config(),
        begin in prop_oneof![
            1 => Just(Begin::SynSent),
            1 => Just(Begin::SynReceived),
            8 => Just(Begin::Established),
        ],
        steps in prop::collection::vec(step(), 1..150),
    ) {
        play(config, begin, steps);
    }

    #[test]
    fn any_segment_to_small_records(
        config in config(),
        segments in prop::collection::vec((any::<u8>(), any::<u32>(), -3i32..3, -3i32..3, any::<bool>()), 1..30),
    ) {
        let mut syn = segment(SYN, 0, 0, 0);
        syn.options.timestamps = config.timestamps.then_some(Timestamps { value: 9, echo: 0 });
        let mut half_open = HalfOpen::new(ms(0), &config, &syn, isn());
        for (flags, len, seq, ack, wild) in segments {
            let mut segment = segment(Flags(flags), seq as u32, ack as u32, len);
            if wild {
                segment.seq = segment.seq.add(len);
            }
            let _ = on_listen(&segment);
            let _ = on_closed(&segment);
            let _ = half_open.on_segment(ms(1), &segment, &Patience::LINUX, |_| {});
            let _ = half_open.on_deadline(half_open.next_deadline(), &Patience::LINUX);
        }
    }
}

#[test]
fn sizes() {
    // A connection lives on the heap; no part of it is moved by value.
    assert!(
        size_of::<Connection>() <= 3_584,
        "{}",
        size_of::<Connection>()
    );
    assert!(
        size_of::<SegmentOut>() <= 128,
        "{}",
        size_of::<SegmentOut>()
    );
    assert!(size_of::<HalfOpen>() <= 128);
    assert!(size_of::<TimeWait>() <= 128);
    fn is_send<T: Send>() {}
    is_send::<Connection>();
}
