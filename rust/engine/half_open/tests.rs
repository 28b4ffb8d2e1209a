// SPDX-License-Identifier: GPL-2.0

use super::*;

const IRS: SeqNum = SeqNum(50_000);
const ISS: SeqNum = SeqNum(1_000);

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn syn() -> SegmentIn {
    SegmentIn {
        seq: IRS,
        flags: Flags::SYN,
        window: 8_000,
        ..SegmentIn::default()
    }
}

fn record(config: &Config, syn: &SegmentIn) -> HalfOpen {
    let isn = Isn {
        seq: ISS,
        ts_offset: 77,
    };
    let mut half_open = HalfOpen::new(at(1_000), config, syn, isn);
    let _ = half_open.syn_ack(at(1_000));
    half_open
}

fn third(len: u32) -> SegmentIn {
    SegmentIn {
        seq: IRS.add(1),
        ack: ISS.add(1),
        flags: Flags::ACK,
        window: 8_000,
        len,
        wire_len: len,
        ..SegmentIn::default()
    }
}

/// Lets deadlines pass until the record expires; returns the seconds of each and what was done.
fn run(half_open: &mut HalfOpen, patience: &Patience) -> std::vec::Vec<(u64, &'static str)> {
    let mut done = std::vec::Vec::new();
    loop {
        let deadline = half_open.next_deadline();
        let what = match half_open.on_deadline(deadline, patience) {
            HalfOpenDeadline::Early => panic!("its own deadline is early"),
            HalfOpenDeadline::Retransmit(_) => "again",
            HalfOpenDeadline::Wait => "wait",
            HalfOpenDeadline::Expired => "expired",
        };
        done.push((deadline.as_nanos() / 1_000_000_000 - 1, what));
        if what == "expired" {
            return done;
        }
    }
}

#[test]
fn defer__bare_ack_is_dropped_until_the_time_is_up() {
    let patience = Patience {
        retries: 5,
        defer: 2,
    };
    let mut half_open = record(&Config::LINUX, &syn());
    let verdict = half_open.on_segment(at(1_100), &third(0), &patience, |_| {});
    assert_eq!(verdict, HalfOpenVerdict::Deferred);
    // The first time-out only waits, the second asks once more, and then an ACK is enough.
    let first = half_open.next_deadline();
    assert_eq!(
        half_open.on_deadline(first, &patience),
        HalfOpenDeadline::Wait
    );
    let second = half_open.next_deadline();
    assert!(matches!(
        half_open.on_deadline(second, &patience),
        HalfOpenDeadline::Retransmit(_)
    ));
    let verdict = half_open.on_segment(at(4_100), &third(0), &patience, |_| {});
    assert_eq!(verdict, HalfOpenVerdict::Established);
}

#[test]
fn defer__data_or_fin_establishes_at_once() {
    let patience = Patience {
        retries: 5,
        defer: 9,
    };
    let mut half_open = record(&Config::LINUX, &syn());
    let verdict = half_open.on_segment(at(1_100), &third(1), &patience, |_| {});
    assert_eq!(verdict, HalfOpenVerdict::Established);
    let mut fin = third(0);
    fin.flags = Flags::FIN.with(Flags::ACK);
    let verdict = half_open.on_segment(at(1_100), &fin, &patience, |_| {});
    assert_eq!(verdict, HalfOpenVerdict::Established);
}

#[test]
fn defer__silent_peer_is_asked_as_often_as_without() {
    let patience = Patience {
        retries: 2,
        defer: 9,
    };
    let mut half_open = record(&Config::LINUX, &syn());
    assert_eq!(
        run(&mut half_open, &patience),
        [(1, "again"), (3, "again"), (7, "expired")]
    );
}

#[test]
fn defer__one_that_acknowledged_may_take_the_whole_time() {
    let patience = Patience {
        retries: 1,
        defer: 4,
    };
    let mut half_open = record(&Config::LINUX, &syn());
    let _ = half_open.on_segment(at(1_100), &third(0), &patience, |_| {});
    assert_eq!(
        run(&mut half_open, &patience),
        [
            (1, "wait"),
            (3, "wait"),
            (7, "wait"),
            (15, "again"),
            (31, "expired")
        ]
    );
}

#[test]
fn syn_again_restarts_the_time() {
    let patience = Patience {
        retries: 5,
        defer: 0,
    };
    let mut half_open = record(&Config::LINUX, &syn());
    assert_eq!(half_open.next_deadline(), at(2_000));
    let verdict = half_open.on_segment(at(1_900), &syn(), &patience, |_| {});
    assert!(matches!(verdict, HalfOpenVerdict::Reply(_)));
    assert_eq!(half_open.next_deadline(), at(2_900));
    assert_eq!((half_open.retransmits(), half_open.timeouts()), (1, 0));
}

#[test]
fn echo__only_of_what_was_sent() {
    let patience = Patience {
        retries: 5,
        defer: 0,
    };
    let mut offer = syn();
    offer.options.timestamps = Some(Timestamps { value: 5, echo: 0 });
    let mut ack = third(0);
    for (echo, right) in [
        (1_000 + 77, true),
        (999 + 77, false),
        (1_001 + 77, false),
        (0, true),
    ] {
        let mut half_open = record(&Config::LINUX, &offer);
        ack.options.timestamps = Some(Timestamps { value: 6, echo });
        let verdict = half_open.on_segment(at(1_100), &ack, &patience, |_| {});
        assert_eq!(verdict == HalfOpenVerdict::Established, right, "{echo}");
    }
    // Any of several.
    let mut half_open = record(&Config::LINUX, &offer);
    let _ = half_open.on_deadline(at(2_000), &patience);
    ack.options.timestamps = Some(Timestamps {
        value: 6,
        echo: 1_000 + 77,
    });
    let verdict = half_open.on_segment(at(2_100), &ack, &patience, |_| {});
    assert_eq!(verdict, HalfOpenVerdict::Established);
}

#[test]
fn under_pressure__keeps_half_of_the_queue_for_the_young() {
    let patience = Patience {
        retries: 5,
        defer: 0,
    };
    let retries = |len, young, backlog| patience.under_pressure(len, young, backlog).retries;
    assert_eq!(retries(4, 0, 8), 5, "not more than half full");
    assert_eq!(retries(5, 5, 8), 5, "all are young");
    assert_eq!(retries(8, 3, 8), 4);
    assert_eq!(retries(8, 1, 8), 2);
    assert_eq!(retries(8, 0, 8), 2, "two are always granted");
    assert_eq!(retries(4, 0, 0), 5, "small queues count as 8");
}

#[test]
fn tries_of__rounds_up_and_reads_back() {
    // What Linux's getsockopt(TCP_DEFER_ACCEPT) tells after setsockopt.
    let told = |seconds| Patience::seconds_of(Patience::tries_of(seconds));
    assert_eq!([0, 1, 2, 3, 4, 8, 60].map(told), [0, 1, 3, 3, 7, 15, 63]);
    assert_eq!(told(128), 247);
    assert_eq!(Patience::tries_of(u32::MAX), 255);
}
