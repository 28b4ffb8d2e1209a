// SPDX-License-Identifier: GPL-2.0

//! Runs many seeds on all CPUs, and shows the ones that fail.

use crate::scenario::Report;
use crate::scenario::Scenario;
use crate::simpler;
use crate::trace::Trace;
use std::cell::RefCell;
use std::ops::Range;
use std::panic;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::Mutex;

thread_local! {
    static WHAT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics quiet and remembers what they say: a failing world is reported as one.
pub fn catch_panics() {
    panic::set_hook(Box::new(|info| {
        WHAT.with(|what| {
            let message = info.payload();
            let text = message
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| message.downcast_ref::<&str>().copied())
                .unwrap_or("?");
            let place = info.location().map_or(String::new(), |at| {
                format!(" ({}:{})", at.file(), at.line())
            });
            *what.borrow_mut() = format!("{text}{place}");
        });
    }));
}

/// Runs a scenario, and returns what was wrong with it, if anything was.
pub fn attempt(scenario: &Scenario, trace: &Rc<RefCell<Trace>>) -> Result<Report, String> {
    let trace = Rc::clone(trace);
    panic::catch_unwind(panic::AssertUnwindSafe(|| scenario.run(trace)))
        .map_err(|_| WHAT.with(|what| what.borrow().clone()))
}

fn quietly(scenario: &Scenario) -> Result<Report, String> {
    attempt(scenario, &Rc::new(RefCell::new(Trace::new(false))))
}

/// Returns the report on a failing seed: what is wrong, how to see it again, and a diagram.
pub fn explain(seed: u64, message: &str) -> String {
    let scenario = Scenario::new(seed);
    // The same kind of failure, not just any.
    let kind =
        |message: &str| -> String { message.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let wanted = kind(message);
    let edits = simpler::shrink(&scenario, 150, |candidate| {
        quietly(candidate).is_err_and(|message| kind(&message) == wanted)
    });
    let mut smallest = scenario;
    let names = edits.join(",");
    let _ = simpler::apply(&mut smallest, &names);
    let trace = Rc::new(RefCell::new(Trace::new(true)));
    let last = attempt(&smallest, &trace);
    let lines = &trace.borrow().lines;
    let shown = lines.len().saturating_sub(60);
    let option = if names.is_empty() {
        String::new()
    } else {
        format!(" --simpler {names}")
    };
    format!(
        "seed {seed} fails ({:?}): {message}\n\
         replay: cargo run --profile simulation -p oxtcp-simulation -- replay {seed}{option}\n\
         {}{}\n{}\n",
        smallest.pairing,
        if shown > 0 {
            format!("  … {shown} lines before\n")
        } else {
            String::new()
        },
        lines[shown..].join("\n"),
        last.err().unwrap_or_default(),
    )
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Summary {
    pub passed: u64,
    pub failed: Vec<(u64, String)>,
    /// Worlds that ended because smoltcp gave up on an arithmetic of its own.
    pub peer_broke: u64,
    pub packets: u64,
    pub octets: u64,
    pub again: u64,
    pub steps: u64,
    pub lasted: u64,
    pub finished: u64,
}

/// Runs seeds on all CPUs.
pub fn run(seeds: Range<u64>, threads: usize) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    break;
                }
                let result = quietly(&Scenario::new(seed));
                let mut summary = summary.lock().unwrap();
                match result {
                    Ok(report) => {
                        summary.passed += 1;
                        summary.packets += report.packets;
                        summary.octets += report.octets;
                        summary.again += report.again[0] + report.again[1];
                        summary.steps += report.steps;
                        summary.lasted += report.lasted / 1_000_000_000;
                        let finished = Some(crate::end::Outcome::Finished);
                        summary.finished += u64::from(report.outcomes == [finished; 2]);
                    }
                    Err(message) if message.contains("/smoltcp-") => summary.peer_broke += 1,
                    Err(message) => summary.failed.push((seed, message)),
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap();
    summary.failed.sort();
    summary
}
