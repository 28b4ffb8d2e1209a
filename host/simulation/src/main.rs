// SPDX-License-Identifier: GPL-2.0

//! `seeds 10000`, `seeds 500..600`, `replay 4711 [--simpler a,b] [--arrivals]`, `goodput [--write]`.

use oxtcp_simulation::goodput;
use oxtcp_simulation::runner;
use oxtcp_simulation::scenario::Scenario;
use oxtcp_simulation::simpler;
use oxtcp_simulation::trace::Trace;
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

/// Failing seeds that are shown in full.
const SHOWN: usize = 3;

const USAGE: &str = "usage: seeds N | seeds FROM..TO | replay SEED [--simpler EDITS] [--arrivals] | goodput [--write]";

fn main() -> ExitCode {
    runner::catch_panics();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["seeds", range] => seeds(range),
        ["replay", seed, options @ ..] => replay(seed, options),
        ["goodput", options @ ..] => goodput(options),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn seeds(range: &str) -> Result<bool, String> {
    let seeds = match range.split_once("..") {
        Some((from, to)) => number(from)?..number(to)?,
        None => 0..number(range)?,
    };
    let began = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let summary = runner::run(seeds, threads);
    for (seed, message) in summary.failed.iter().take(SHOWN) {
        println!("{}", runner::explain(*seed, message));
    }
    for (seed, message) in summary.failed.iter().skip(SHOWN) {
        println!("seed {seed} fails: {message}");
    }
    println!(
        "# {} worlds, in {} smoltcp broke, {} finished in order; {} packets, {} octets delivered, {} sent again, {} s of virtual time \
         in {} s",
        summary.passed + summary.failed.len() as u64,
        summary.peer_broke,
        summary.finished,
        summary.packets,
        summary.octets,
        summary.again,
        summary.lasted,
        began.elapsed().as_secs(),
    );
    println!("{} passed, {} failed", summary.passed, summary.failed.len());
    Ok(summary.failed.is_empty() && summary.passed > 0)
}

/// Compares the tables with those in the repository, or writes them.
fn goodput(options: &[&str]) -> Result<bool, String> {
    let tables = goodput::tables();
    if options == ["--write"] {
        std::fs::write(goodput::FILE, &tables).map_err(|error| error.to_string())?;
        return Ok(true);
    }
    let known = std::fs::read_to_string(goodput::FILE).unwrap_or_default();
    let mut equal = known.lines().count() == tables.lines().count();
    for (old, new) in known.lines().zip(tables.lines()) {
        if old != new {
            equal = false;
            println!("- {old}\n+ {new}");
        }
    }
    if !equal {
        println!("the tables have changed: if that is right, write them anew (goodput --write)");
    }
    Ok(equal)
}

fn replay(seed: &str, options: &[&str]) -> Result<bool, String> {
    let mut scenario = Scenario::new(number(seed)?);
    let mut trace = Trace::new(true);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "--simpler" => {
                let names = options.next().ok_or(USAGE)?;
                simpler::apply(&mut scenario, names)?;
            }
            "--arrivals" => trace.arrivals = true,
            _ => return Err(USAGE.into()),
        }
    }
    println!("{scenario:#?}");
    let trace = Rc::new(RefCell::new(trace));
    let result = runner::attempt(&scenario, &trace);
    for line in &trace.borrow().lines {
        println!("{line}");
    }
    println!("{result:?}");
    Ok(result.is_ok())
}
