// SPDX-License-Identifier: GPL-2.0

//! Half-open and TIME-WAIT records, given whatever some octets say.

use arbitrary::Result;
use arbitrary::Unstructured;
use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;

const ISS: SeqNum = SeqNum(77_000);
const IRS: SeqNum = SeqNum(u32::MAX - 10);

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn options(u: &mut Unstructured<'_>) -> Result<Options> {
    let len = u.int_in_range(0..=40)?;
    let mut options = Options::parse(u.bytes(len)?);
    if u.arbitrary()? {
        options.timestamps = Some(Timestamps {
            value: u.arbitrary()?,
            echo: u.arbitrary()?,
        });
    }
    Ok(options)
}

fn segment(u: &mut Unstructured<'_>, seq: SeqNum, ack: SeqNum) -> Result<SegmentIn> {
    let near = |u: &mut Unstructured<'_>| -> Result<u32> {
        Ok(match u.int_in_range(0..=3)? {
            0 | 1 => 0,
            2 => u.arbitrary::<i8>()? as u32,
            _ => u.arbitrary()?,
        })
    };
    let len = if u.arbitrary()? {
        0
    } else {
        u.int_in_range(0..=60_000)?
    };
    Ok(SegmentIn {
        seq: seq.add(near(u)?),
        ack: ack.add(near(u)?),
        flags: if u.arbitrary()? {
            Flags::ACK
        } else {
            Flags(u.arbitrary()?)
        },
        window: u.arbitrary()?,
        urgent: u.arbitrary()?,
        len,
        wire_len: len,
        options: options(u)?,
        ..SegmentIn::default()
    })
}

fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    Ok(Config {
        window_scaling: u.arbitrary()?,
        timestamps: u.arbitrary()?,
        sack: u.arbitrary()?,
        receive_window: u.arbitrary()?,
        rfc1337: u.arbitrary()?,
        ..Config::default()
    })
}

/// Plays what `data` says.
pub fn play(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let _ = half_open(&mut u);
    let _ = time_wait(&mut u);
}

fn half_open(u: &mut Unstructured<'_>) -> Result<()> {
    let config = config(u)?;
    let mut syn = segment(u, IRS, ISS)?;
    syn.flags = Flags::SYN;
    syn.seq = IRS;
    let isn = Isn {
        seq: ISS,
        ts_offset: u.arbitrary()?,
    };
    let mut now = 1_000;
    let patience = Patience {
        retries: u.int_in_range(0..=20)?,
        defer: u.int_in_range(0..=10)?,
    };
    let mut record = HalfOpen::new(at(now), &config, &syn, isn);
    let first = record.syn_ack(at(now));
    assert_eq!((first.seq, first.ack), (ISS, IRS.add(1)));
    let mut again = 0;
    for _ in 0..100 {
        if u.is_empty() {
            break;
        }
        if u.ratio(1, 4)? {
            now = now.max(record.next_deadline().as_nanos().div_ceil(1_000_000));
            match record.on_deadline(at(now), &patience) {
                HalfOpenDeadline::Wait => assert!(patience.defer > 0, "it waits for nothing"),
                HalfOpenDeadline::Early => panic!("not due at its own deadline"),
                HalfOpenDeadline::Expired => return Ok(()),
                HalfOpenDeadline::Retransmit(segment) => {
                    assert_eq!((segment.seq, segment.ack), (ISS, IRS.add(1)));
                    again += 1;
                    assert!(
                        again <= patience.retries.max(patience.defer),
                        "too many SYN-ACKs"
                    );
                }
            }
            assert!(
                record.next_deadline() > at(now),
                "a deadline that does not move"
            );
            continue;
        }
        now += u.int_in_range(0..=2_000)?;
        if at(now) >= record.next_deadline() {
            continue;
        }
        let segment = segment(u, IRS.add(1), ISS.add(1))?;
        match record.on_segment(at(now), &segment, &patience, |_| {}) {
            HalfOpenVerdict::Established => {
                let mut connection = Connection::accept(at(now), &config, &record);
                assert!(segment.flags.ack() && segment.ack == ISS.add(1));
                let _ = connection.on_segment(at(now), &segment);
                assert_ne!(connection.state(), State::SynReceived, "it was complete");
                return Ok(());
            }
            HalfOpenVerdict::Remove(reply) => {
                let rst = segment.flags.rst() && segment.seq == IRS.add(1);
                let known = rst || segment.flags.syn();
                assert!(known, "forgotten because of {segment:?}");
                assert!(!rst || reply.is_none(), "a RST for a RST");
                return Ok(());
            }
            HalfOpenVerdict::Reset(reply) => {
                assert!(reply.flags.rst() && !segment.flags.rst(), "a RST for a RST");
            }
            HalfOpenVerdict::Reply(reply) => {
                // RFC 5961, 3.2: a RST may be challenged too.
                assert!(!reply.flags.rst());
                assert_eq!(reply.ack, IRS.add(1));
            }
            HalfOpenVerdict::Deferred => {
                assert!(
                    patience.defer > 0 && segment.len == 0,
                    "put off without a wish to"
                );
            }
            HalfOpenVerdict::Ignore => {}
        }
    }
    Ok(())
}

/// Makes a TIME-WAIT record by way of a connection.
fn record(config: &Config, timestamps: Option<Timestamps>) -> Option<TimeWait> {
    let isn = Isn {
        seq: ISS,
        ts_offset: 5,
    };
    let now = at(1_000);
    let limits = Limits { max_len: 1_000 };
    let mut connection = Connection::connect(now, config, isn);
    let mut give = |flags, seq, ack| {
        let mut segment = SegmentIn {
            seq: IRS.add(seq),
            ack: ISS.add(ack),
            flags,
            window: 1_000,
            ..SegmentIn::default()
        };
        segment.options.timestamps = timestamps;
        while connection
            .poll_transmit(now, &limits, |_, len| len)
            .is_some()
        {}
        let _ = connection.on_segment(now, &segment);
        connection.shutdown_write(now);
        while connection
            .poll_transmit(now, &limits, |_, len| len)
            .is_some()
        {}
        std::iter::from_fn(|| connection.poll_event()).find_map(|event| match event {
            Event::TimeWait(record) => Some(record),
            _ => None,
        })
    };
    give(Flags::SYN.with(Flags::ACK), 0, 1);
    give(Flags::FIN.with(Flags::ACK), 1, 2)
}

fn time_wait(u: &mut Unstructured<'_>) -> Result<()> {
    let config = config(u)?;
    let timestamps: Option<u32> = u.arbitrary()?;
    let timestamps = timestamps.map(|value| Timestamps { value, echo: 0 });
    let mut record = record(&config, timestamps).expect("a closed connection");
    let mut now = 1_000;
    for _ in 0..100 {
        if u.is_empty() || at(now) >= record.deadline() {
            break;
        }
        let segment = segment(u, IRS.add(2), ISS.add(2))?;
        match record.on_segment(at(now), &segment, |_| {}) {
            TimeWaitVerdict::Ignore => {}
            TimeWaitVerdict::Reply(reply) => {
                assert!(!segment.flags.rst(), "an answer to a RST");
                assert_eq!((reply.seq, reply.ack), (ISS.add(2), IRS.add(2)));
            }
            TimeWaitVerdict::Remove => {
                assert!(
                    segment.flags.rst() && !config.rfc1337,
                    "forgotten because of {segment:?}"
                );
                return Ok(());
            }
            TimeWaitVerdict::Reopen { isn_after } => {
                assert!(segment.flags.syn() && !segment.flags.ack() && !segment.flags.rst());
                assert!(
                    isn_after.after(ISS.add(2)),
                    "numbers that may still be under way"
                );
                return Ok(());
            }
        }
        assert!(
            record.deadline() <= at(now).saturating_add(TIME_WAIT),
            "it lasts longer than it may"
        );
        now += u.int_in_range(0..=70_000)?;
    }
    Ok(())
}
