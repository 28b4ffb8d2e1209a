// SPDX-License-Identifier: GPL-2.0

//! Whatever a peer sends and a user does: no panic, offsets in order, and polling ends.

mod common;

use common::script::*;
use oxtcp_engine::engine::*;
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
    Deadline,
    Pass(u64),
    Poll(u32, u32),
    Shutdown,
    Close,
    Abort,
    Nodelay(bool),
    Cork(bool),
    Mss(u16),
    KeepAlive(bool),
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
        6 => Just(Step::Deadline),
        4 => (0u64..5_000).prop_map(Step::Pass),
        8 => (0u32..100_000, prop_oneof![Just(0u32), 1u32..70_000]).prop_map(|(room, len)| Step::Poll(room, len)),
        1 => Just(Step::Shutdown),
        1 => prop_oneof![9 => Just(Step::Pass(1)), 1 => Just(Step::Close), 1 => Just(Step::Abort)],
        1 => any::<bool>().prop_map(Step::Nodelay),
        1 => any::<bool>().prop_map(Step::Cork),
        1 => any::<u16>().prop_map(Step::Mss),
        1 => any::<bool>().prop_map(Step::KeepAlive),
    ]
}

/// The peer's idea of both streams, to aim segments near the truth.
struct Aim {
    rcv_nxt: SeqNum,
    snd_nxt: SeqNum,
}

fn play(config: Config, steps: Vec<Step>) {
    let mut now = 1_000_000u64;
    let at = |us: u64| Instant::from_nanos(us * 1_000);
    let mut connection = Connection::connect(at(now), &config, isn());
    let mut aim = Aim {
        rcv_nxt: SeqNum(ISS + 1),
        snd_nxt: SeqNum(IRS),
    };
    let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
    syn_ack.options.window_scale = Some(WindowScale::new(9));
    syn_ack.options.sack_permitted = true;
    syn_ack.options.timestamps = Some(Timestamps { value: 1, echo: 0 });
    let _ = connection.on_segment(at(now), &syn_ack);
    for step in steps {
        now += 10;
        let (acked, sent) = (connection.acked(), connection.sent());
        let (readable, read) = (connection.readable(), connection.read());
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
                    urgent: 0,
                    len,
                    wire_len: len,
                    options: Options::parse(&options),
                };
                let _ = connection.on_segment(at(now), &segment);
            }
            Step::Near {
                flags,
                seq,
                ack,
                len,
                window,
                sack,
            } => {
                let mut segment = SegmentIn {
                    seq: aim.snd_nxt.add(seq as u32),
                    ack: if ack == i32::MAX {
                        aim.rcv_nxt
                    } else {
                        SeqNum(ISS + 1)
                            .add(connection.acked() as u32)
                            .add(ack as u32)
                    },
                    flags: Flags(flags),
                    window,
                    urgent: 0,
                    len,
                    wire_len: len.min(1_000),
                    options: Options::default(),
                };
                let base = SeqNum(ISS + 1).add(connection.acked() as u32);
                for (left, right) in sack {
                    segment.options.sack.push(SackBlock {
                        left: base.add(left as u32),
                        right: base.add(right as u32),
                    });
                }
                match connection.on_segment(at(now), &segment) {
                    Payload::Discard => {}
                    Payload::Append { skip, len: took }
                    | Payload::Hold {
                        skip, len: took, ..
                    } => {
                        assert!(took > 0 && skip + took <= len);
                    }
                }
                aim.snd_nxt = SeqNum(IRS + 1).add(connection.readable() as u32);
            }
            Step::Write(len, more) => connection.on_write(at(now), len, more),
            Step::Read(len) => connection.on_read(at(now), len),
            Step::Deadline => {
                if let Some(deadline) = connection.next_deadline() {
                    now = now.max(deadline.as_nanos().div_ceil(1_000));
                    connection.on_deadline(at(now));
                    assert!(
                        connection.next_deadline() != Some(deadline),
                        "a deadline must move"
                    );
                }
            }
            Step::Pass(millis) => now += millis * 1_000,
            Step::Poll(room, max_len) => {
                let limits = Limits {
                    receive_room: room,
                    max_len,
                };
                let mut segments = 0;
                while let Some(segment) = connection.poll_transmit(at(now), &limits, |_, len| len) {
                    let mut header = [0; 60];
                    let len = segment.write_header(1, 2, &mut header);
                    let _ = SegmentIn::parse(&header[..len], 0).unwrap();
                    if let Some(data) = segment.data {
                        assert!(data.len > 0 && data.offset >= connection.acked());
                        assert!(data.offset + u64::from(data.len) <= connection.sent());
                        assert!(segment.mss > 0);
                    }
                    let end = segment.seq.add(segment.data_len());
                    if end.after(aim.rcv_nxt) {
                        aim.rcv_nxt = end;
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
            Step::Shutdown => connection.shutdown_write(at(now)),
            Step::Close => connection.close(at(now)),
            Step::Abort => connection.abort(at(now)),
            Step::Nodelay(on) => connection.set_nodelay(at(now), on),
            Step::Cork(on) => connection.set_cork(at(now), on),
            Step::Mss(mss) => connection.set_mss(mss),
            Step::KeepAlive(on) => {
                connection.set_keepalive(at(now), on.then(KeepAlive::default));
            }
        }
        assert!(acked <= connection.acked() && sent <= connection.sent());
        assert!(readable <= connection.readable() && read <= connection.read());
        assert!(
            connection.acked() <= connection.sent() && connection.sent() <= connection.written()
        );
        assert!(connection.read() <= connection.readable());
        let info = connection.info(at(now));
        assert_eq!(info.state, connection.state());
    }
}

fn config() -> impl Strategy<Value = Config> {
    (
        prop_oneof![Just(0u16), Just(u16::MAX), Just(1460), any::<u16>()],
        any::<(bool, bool, bool, bool)>(),
        prop_oneof![Just(0u32), Just(u32::MAX), 0u32..200_000],
        prop_oneof![Just(0u32), Just(u32::MAX), 0u32..10_000_000],
    )
        .prop_map(
            |(
                mss,
                (window_scaling, timestamps, sack, nodelay),
                receive_window,
                max_receive_window,
            )| Config {
                mss,
                window_scaling,
                timestamps,
                sack,
                nodelay,
                receive_window,
                max_receive_window,
                ..Config::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_peer_and_user(config in config(), steps in prop::collection::vec(step(), 1..150)) {
        play(config, steps);
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
            let _ = half_open.on_segment(ms(1), &segment);
            let _ = half_open.on_deadline(half_open.next_deadline());
        }
    }
}

#[test]
fn sizes() {
    // A connection lives in the kernel's socket object, and is made on its stack.
    assert!(
        size_of::<Connection>() <= 2_688,
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
