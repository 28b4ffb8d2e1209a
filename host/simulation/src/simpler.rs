// SPDX-License-Identifier: GPL-2.0

//! Ways to make a failing scenario smaller: whatever is left is what the failure needs.

use crate::engine_end::Owner;
use crate::link::LinkConfig;
use crate::program::Leave;
use crate::scenario::Scenario;
use oxtcp_engine::engine::Config;

/// A named change.
pub type Edit = (&'static str, fn(&mut Scenario));

fn links(scenario: &mut Scenario, edit: impl Fn(&mut LinkConfig)) {
    scenario.links.iter_mut().for_each(edit);
}

fn owners(scenario: &mut Scenario, edit: impl Fn(&mut Owner)) {
    scenario.owners.iter_mut().for_each(edit);
}

/// Returns the default, but for the segment size that the peer was made for.
fn plain(config: &Config) -> Config {
    Config {
        mss: config.mss,
        ..Config::default()
    }
}

/// The edits, the most telling first.
pub const EDITS: &[Edit] = &[
    ("no-changes", |s| s.changes.clear()),
    ("clean", |s| {
        links(s, |l| {
            *l = LinkConfig {
                delay: l.delay,
                ..LinkConfig::CLEAN
            }
        });
    }),
    ("no-loss", |s| links(s, |l| l.loss = 0)),
    ("no-bursts", |s| links(s, |l| l.burst_begin = 0)),
    ("no-copies", |s| links(s, |l| l.duplicate = 0)),
    ("no-damage", |s| links(s, |l| l.corrupt = 0)),
    ("no-marks", |s| links(s, |l| l.mark = 0)),
    ("no-reordering", |s| links(s, |l| l.reorder = 0)),
    ("no-jitter", |s| links(s, |l| l.jitter = 0)),
    ("no-rate", |s| links(s, |l| l.rate = 0)),
    ("plain-owners", |s| owners(s, |o| *o = Owner::PLAIN)),
    ("no-short", |s| owners(s, |o| o.short = 0)),
    ("no-blocked", |s| owners(s, |o| o.blocked = 0)),
    ("no-no-room", |s| owners(s, |o| o.no_room = 0)),
    ("no-slack", |s| owners(s, |o| o.timer_slack = 0)),
    ("no-backlog", |s| owners(s, |o| o.backlog = 0)),
    ("no-whole", |s| owners(s, |o| o.whole = false)),
    ("small-gso", |s| owners(s, |o| o.gso = 1500)),
    ("default-0", |s| s.configs[0] = plain(&s.configs[0])),
    ("default-1", |s| s.configs[1] = plain(&s.configs[1])),
    ("no-timestamps", |s| {
        s.configs.iter_mut().for_each(|c| c.timestamps = false);
        s.setup.timestamps = false;
    }),
    ("no-sack", |s| {
        s.configs.iter_mut().for_each(|c| c.sack = false)
    }),
    ("no-scaling", |s| {
        s.configs.iter_mut().for_each(|c| c.window_scaling = false)
    }),
    ("no-stalls", |s| {
        s.plans.iter_mut().for_each(|p| p.stall = None)
    }),
    ("no-more", |s| s.plans.iter_mut().for_each(|p| p.more = 0)),
    ("no-tuning", |s| s.plans.iter_mut().for_each(|p| p.tune = 0)),
    ("no-keepalive", |s| {
        s.plans.iter_mut().for_each(|p| p.keepalive = None)
    }),
    ("no-user-timeout", |s| {
        s.plans.iter_mut().for_each(|p| p.user_timeout = None)
    }),
    ("fast-reads", |s| {
        s.plans
            .iter_mut()
            .for_each(|p| (p.read_gap, p.read_max) = (0, 1 << 20));
    }),
    ("fast-writes", |s| {
        s.plans
            .iter_mut()
            .for_each(|p| (p.write_gap, p.write_max) = (0, 65_536));
    }),
    ("graceful-0", |s| s.plans[0].leave = Leave::ShutdownAndRead),
    ("graceful-1", |s| s.plans[1].leave = Leave::ShutdownAndRead),
    ("silent-0", |s| s.plans[0].to_write = 0),
    ("silent-1", |s| s.plans[1].to_write = 0),
    ("half-0", |s| s.plans[0].to_write /= 2),
    ("half-1", |s| s.plans[1].to_write /= 2),
    ("three-quarters-0", |s| {
        s.plans[0].to_write -= s.plans[0].to_write / 4
    }),
    ("three-quarters-1", |s| {
        s.plans[1].to_write -= s.plans[1].to_write / 4
    }),
];

/// Applies edits by name, separated by commas.
pub fn apply(scenario: &mut Scenario, names: &str) -> Result<(), String> {
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let Some((_, edit)) = EDITS.iter().find(|(known, _)| *known == name) else {
            return Err(format!("no edit is called {name}"));
        };
        edit(scenario);
    }
    Ok(())
}

/// Finds edits under which the scenario still fails, in at most `tries` runs.
pub fn shrink(
    scenario: &Scenario,
    mut tries: u32,
    fails: impl Fn(&Scenario) -> bool,
) -> Vec<&'static str> {
    let mut smallest = scenario.clone();
    let mut names = Vec::new();
    loop {
        let mut better = false;
        for (name, edit) in EDITS {
            let mut candidate = smallest.clone();
            edit(&mut candidate);
            if candidate == smallest {
                continue;
            }
            if tries == 0 {
                return names;
            }
            tries -= 1;
            if fails(&candidate) {
                smallest = candidate;
                names.push(*name);
                better = true;
            }
        }
        if !better {
            return names;
        }
    }
}
