// SPDX-License-Identifier: GPL-2.0

//! SYN cookies: what a SYN negotiates comes back with the third segment, or not at all.

use crate::common::script::*;
use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;
use proptest::prelude::*;

/// Hashes of one connection under one pair of keys.
struct Keyed(u32);

impl CookieHash for Keyed {
    fn whole(&self) -> u32 {
        mix(self.0)
    }
    fn counted(&self, count: u32) -> u32 {
        mix(mix(self.0 ^ 0x55aa_55aa).wrapping_add(count))
    }
}

/// A mixing function in which each bit of the argument moves about half of the result's.
fn mix(value: u32) -> u32 {
    let value = (value ^ (value >> 16)).wrapping_mul(0x7feb_352d);
    let value = (value ^ (value >> 15)).wrapping_mul(0x846c_a68b);
    value ^ (value >> 16)
}

const TS_OFFSET: u32 = 0xffff_fff0;

fn answer(config: &Config, now: u64, syn: &SegmentIn, key: u32) -> SegmentOut {
    let hash = Keyed(key);
    cookie_syn_ack(ms(now), config, syn, TS_OFFSET, &COOKIE_MSS_IPV4, &hash)
}

fn check(config: &Config, now: u64, third: &SegmentIn, key: u32) -> CookieVerdict {
    let hash = Keyed(key);
    cookie_check(ms(now), config, third, TS_OFFSET, &COOKIE_MSS_IPV4, &hash)
}

fn third(answer: &SegmentOut) -> SegmentIn {
    let mut third = SegmentIn {
        seq: answer.ack,
        ack: answer.seq.add(1),
        flags: ACK,
        window: 60_000,
        ..SegmentIn::default()
    };
    third.options.timestamps = answer.options.timestamps.map(|timestamps| Timestamps {
        value: timestamps.echo + 10,
        echo: timestamps.value,
    });
    third
}

/// The connection that a right cookie makes.
fn connection(config: &Config, now: u64, third: &SegmentIn, key: u32) -> Connection {
    let CookieVerdict::Valid(record) = check(config, now, third, key) else {
        panic!("refused");
    };
    let mut connection = Connection::accept(ms(now), config, &record);
    let _ = connection.on_segment(ms(now), third);
    assert_eq!(connection.state(), State::Established);
    connection
}

fn syn(mss: Option<u16>, scale: Option<u8>, sack: bool, timestamps: bool) -> SegmentIn {
    let mut syn = segment(SYN, 0, 0, 0);
    syn.options.mss = mss;
    syn.options.window_scale = scale.map(WindowScale::new);
    syn.options.sack_permitted = sack;
    syn.options.timestamps = timestamps.then_some(Timestamps {
        value: 4_000,
        echo: 0,
    });
    syn
}

#[test]
fn without_timestamps_only_the_mss_survives() {
    let config = Config::default();
    let answer = answer(&config, 9_000, &syn(Some(1450), Some(9), true, false), 7);
    assert_eq!(answer.flags, SYN_ACK);
    assert_eq!(answer.options.mss, Some(config.mss));
    assert_eq!(answer.options.window_scale, None);
    assert_eq!(answer.options.timestamps, None);
    assert!(!answer.options.sack_permitted);
    let info = connection(&config, 9_100, &third(&answer), 7).info(ms(9_100));
    assert_eq!((info.snd_mss, info.snd_wnd), (1440, 60_000));
    assert!(!info.sack && !info.timestamps && info.window_scales.is_none());
    assert_eq!(info.srtt, None, "nobody noted when the SYN-ACK left");
}

#[test]
fn what_was_forbidden_meanwhile_is_not_used() {
    let config = Config::default();
    let answer = answer(&config, 9_000, &syn(Some(1450), Some(9), true, true), 7);
    for forbidding in [
        Config {
            sack: false,
            ..config
        },
        Config {
            window_scaling: false,
            ..config
        },
    ] {
        assert_eq!(
            check(&forbidding, 9_100, &third(&answer), 7),
            CookieVerdict::Disabled
        );
    }
}

proptest! {
    #[test]
    fn what_the_syn_offered_comes_back(
        now in 0u64..1 << 40,
        later in 0u64..60_000,
        key: u32,
        mss in proptest::option::of(1u16..),
        scale in proptest::option::of(0u8..=14),
        sack: bool,
        ecn: bool,
    ) {
        let config = Config { mss: 9_000, ..Config::default() };
        let mut syn = syn(mss, scale, sack, true);
        if ecn {
            syn.flags = SYN.with(Flags::ECE).with(Flags::CWR);
        }
        let answer = answer(&config, now, &syn, key);
        prop_assert_eq!(answer.flags.contains(Flags::ECE), ecn);
        // The peer must not see our clock go back later.
        let stamp = answer.options.timestamps.unwrap().value.wrapping_sub(TS_OFFSET);
        prop_assert!((now as u32).wrapping_sub(stamp) < 128);
        prop_assert_eq!(answer.options.sack_permitted, sack);
        prop_assert_eq!(answer.options.window_scale.is_some(), scale.is_some());

        let third = third(&answer);
        let made = connection(&config, now + later, &third, key).info(ms(now + later));
        prop_assert_eq!(made.sack, sack);
        prop_assert_eq!(made.ecn, ecn);
        prop_assert!(made.timestamps);
        prop_assert_eq!(made.window_scales.map(|(theirs, _)| theirs), scale.map(WindowScale::new));
        let asked = mss.unwrap_or(536);
        let granted = COOKIE_MSS_IPV4.into_iter().rev().find(|&mss| mss <= asked).unwrap_or(536);
        prop_assert_eq!(made.snd_mss, u32::from(granted) - 12);
        prop_assert_eq!(made.snd_wnd, 60_000 << scale.unwrap_or(0));
    }

    #[test]
    fn guesses_fail(now in 0u64..1 << 40, key: u32, ack: u32) {
        // One in 2^29 guesses is right: 2 counts of 256, 4 values of 2^24.
        let config = Config::default();
        let mut third = segment(ACK, 1, 0, 0);
        third.ack = SeqNum(ack);
        prop_assert_eq!(check(&config, now, &third, key), CookieVerdict::Forged);
    }

    #[test]
    fn cookies_of_others_and_old_ones_fail(
        now in 0u64..1 << 40,
        key: u32,
        other in 1u32..,
        age in 120_000u64..14_000_000,
    ) {
        let config = Config::default();
        let answer = answer(&config, now, &syn(Some(1460), None, false, false), key);
        let third = third(&answer);
        let elsewhere = key.wrapping_add(other);
        prop_assert_eq!(check(&config, now, &third, elsewhere), CookieVerdict::Forged);
        prop_assert_eq!(check(&config, now + age, &third, key), CookieVerdict::Forged);
        let mut another = third;
        // Nearer numbers only change the MSS that it means.
        another.seq = another.seq.add(4);
        prop_assert_eq!(check(&config, now, &another, key), CookieVerdict::Forged);
    }
}
