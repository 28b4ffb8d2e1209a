// SPDX-License-Identifier: GPL-2.0

//! TCP itself: what to send, when, and what received segments mean.
//!
//! The engine imports only `core`. It holds no bytes, no addresses, no clock and no lock, and
//! allocates nothing: the owner passes the time and header values in, and gets header values,
//! ranges of its buffers and deadlines out.
//!
//! Rules held everywhere: a place in a stream is a `u64` offset, and a sequence number exists only
//! at the edge; arithmetic on what a peer may choose wraps or saturates; no packet can make the
//! engine panic; SND.UNA ≤ SND.NXT; the right edge of the offered window never moves left.
//!
//! The standards, and where each of their requirements is obeyed, are in Documentation/index.rst;
//! Linux's behaviour decides wherever they leave freedom.

#![forbid(unsafe_code)]

mod acceptable;
mod cc;
mod chrono;
mod closed;
mod config;
mod connection;
mod cookie;
mod delack;
mod ecn;
mod event;
mod fast_open;
mod filter;
mod half_open;
mod info;
mod metrics;
mod mtu;
mod options;
mod prepared;
mod ranges;
mod rate;
mod recovery;
mod rtt;
mod rx;
mod scoreboard;
mod segment;
mod seq;
mod signature;
mod state;
mod store;
mod syn_sent;
mod synchronized;
mod tally;
mod time;
mod time_wait;
mod timers;
mod tx;
mod urgent;
mod window;

pub use self::acceptable::ChallengeBudget;
pub use self::cc::pacing::Pacer;
pub use self::closed::on_closed;
pub use self::closed::on_listen;
pub use self::closed::ListenVerdict;
pub use self::config::Algorithm;
pub use self::config::Config;
pub use self::config::KeepAlive;
pub use self::config::MtuProbing;
pub use self::connection::report::BufferNeed;
pub use self::connection::report::Queued;
pub use self::connection::Connection;
pub use self::cookie::cookie_check;
pub use self::cookie::cookie_syn_ack;
pub use self::cookie::CookieHash;
pub use self::cookie::CookieVerdict;
pub use self::cookie::MssTable;
pub use self::cookie::COOKIE_LIFE;
pub use self::cookie::COOKIE_MSS_IPV4;
pub use self::cookie::COOKIE_MSS_IPV6;
pub use self::ecn::Codepoint;
pub use self::ecn::Received;
pub use self::event::Blackhole;
pub use self::event::Doubt;
pub use self::event::Event;
pub use self::event::Reason;
pub use self::fast_open::FastOpenCookie;
pub use self::fast_open::FastOpenFail;
pub use self::fast_open::FastOpenOutcome;
pub use self::fast_open::FastOpenSyn;
pub use self::half_open::HalfOpen;
pub use self::half_open::HalfOpenDeadline;
pub use self::half_open::HalfOpenVerdict;
pub use self::half_open::Patience;
pub use self::info::BbrInfo;
pub use self::info::CaState;
pub use self::info::CongestionInfo;
pub use self::info::Counters;
pub use self::info::DctcpInfo;
pub use self::info::Info;
pub use self::info::Outline;
pub use self::metrics::Known;
pub use self::metrics::Learned;
pub use self::metrics::Metric;
pub use self::metrics::Metrics;
pub use self::options::Options;
pub use self::options::SackBlock;
pub use self::options::SackBlocks;
pub use self::options::Timestamps;
pub use self::ranges::RunBits;
pub use self::rx::Payload;
pub use self::rx::Place;
pub use self::rx::ReceiveMemory;
pub use self::segment::DataRange;
pub use self::segment::Flags;
pub use self::segment::Malformed;
pub use self::segment::SegmentIn;
pub use self::segment::SegmentOut;
pub use self::segment::FIXED_HEADER;
pub use self::seq::Isn;
pub use self::seq::SeqNum;
pub use self::signature::Authentication;
pub use self::signature::Signature;
pub use self::signature::SIGNATURE_LEN;
pub use self::state::State;
pub use self::store::Memory;
pub use self::store::Record;
pub use self::store::Store;
pub use self::synchronized::orphan::Resources;
pub use self::synchronized::output::Limits;
pub use self::tally::Mib;
pub use self::time::Duration;
pub use self::time::Instant;
pub use self::time_wait::Successor;
pub use self::time_wait::TimeWait;
pub use self::time_wait::TimeWaitVerdict;
pub use self::time_wait::TIME_WAIT;
pub use self::urgent::UrgentOctet;
pub use self::window::WindowScale;
pub use self::window::DEFAULT_MSS;
pub use self::window::MAX_FIELD;
pub use self::window::MIN_MSS;
