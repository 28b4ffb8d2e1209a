// SPDX-License-Identifier: GPL-2.0

//! The socket of a connection that a listener's peer has completed.

use super::{
    accept_queue::Place,
    config::{
        config,
        congestion_along,
        congestion_of, //
    },
    counters::Counter,
    entry::{
        retire,
        Entry,
        HalfOpen,
        Key,
        Record, //
    },
    input::{
        self,
        parse, //
    },
    listen::{
        count_drop,
        forget, //
    },
    md5,
    minisock::send_for,
    namespace::Namespace,
    options::Options,
    ports::PortUse,
    socket::{
        new_connection,
        Role,
        Shared,
        State,
        Tcp,
        TcpSock, //
    },
    syn::{
        Arrival,
        Early, //
    }, //
};
use crate::{
    engine,
    net::{
        ip::{
            Endpoints,
            Manner,
            Path,
            Segment, //
        },
        label::Admission,
        rhashtable::NodeRef,
        sock::{
            Locked,
            SockState, //
        }, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The third ACK: makes the socket, puts it in the record's place, gives it the segment, and queues
/// it for `accept`.
#[inline(never)]
pub(super) fn establish(
    node: &NodeRef<Entry>,
    listener: &TcpSock,
    segment: Segment,
    ends: &Endpoints,
) {
    if !listener.is_listening() {
        return;
    }
    let ns = &node.value().namespace;
    let Some(place) = place(ns, listener) else {
        // Linux drops the ACK and lets the SYN-ACK's timer bring another, or resets.
        if listener.net().aborts_on_overflow() {
            let reset = parse(&segment).and_then(|parsed| engine::on_closed(&parsed));
            if matches!(retire(node), Record::HalfOpen(_)) {
                ns.counters.count(Counter::EmbryonicRsts);
            }
            if let Some(reset) = reset {
                let manner = segment.manner_of_reset(listener.net(), &listener.manner());
                let options = segment.answering(listener.net());
                send_for(ns, listener, ends, &manner, &options, &reset);
            }
        } else if let Record::HalfOpen(half) = &mut *node.value().record.lock() {
            half.half.put_off();
        }
        return;
    };
    // From here on the record is ours: another segment finds none.
    let mut slot = node.value().record.lock();
    let Record::HalfOpen(half) = core::mem::replace(&mut *slot, Record::None) else {
        return;
    };
    drop(slot);
    match make(
        ns,
        listener,
        &Begin::Record(&half, node),
        segment,
        ends,
        &half.manner,
        place,
    ) {
        Ok(()) => {
            node.retire();
            listener.data_ready();
        }
        // The connection stays half-open, for the next try.
        Err(_) => {
            count_drop(ns, listener);
            let deadline = half.half.next_deadline();
            *node.value().record.lock() = Record::HalfOpen(half);
            // The timer may have fired meanwhile, and found nothing to do.
            node.arm(deadline.since(super::now()).as_nanos());
        }
    }
}

/// The third ACK with a right cookie: makes the socket out of nothing else.
#[inline(never)]
pub(super) fn of_cookie(arrival: &Arrival<'_>, half: &engine::HalfOpen, segment: Segment) {
    let Arrival {
        ns,
        listener,
        ref ends,
        ref manner,
        ..
    } = *arrival;
    let Some(place) = place(ns, listener) else {
        return;
    };
    // As cookie_v4_check(): what is refused here counts nowhere.
    let Ok(admission) = segment.ask_admission(listener, ends) else {
        return;
    };
    let begin = Begin::Cookie(half, &admission);
    match make(ns, listener, &begin, segment, ends, manner, place) {
        Ok(()) => listener.data_ready(),
        Err(_) => count_drop(ns, listener),
    }
}

/// A SYN with a right cookie: makes the socket at once, and gives it the SYN with its data.
#[inline(never)]
pub(super) fn early(arrival: &Arrival<'_>, early: &Early, segment: Segment) {
    let Arrival {
        ns,
        listener,
        ref ends,
        ref manner,
        ..
    } = *arrival;
    let Some(place) = place(ns, listener) else {
        return;
    };
    let begin = Begin::Early(early);
    match make(ns, listener, &begin, segment, ends, manner, place) {
        Ok(()) => {
            ns.counters.count(Counter::FastOpenPassive);
            listener.data_ready();
        }
        Err(_) => {
            ns.counters.count(Counter::FastOpenPassiveFail);
            count_drop(ns, listener);
        }
    }
}

/// What a socket is made of.
enum Begin<'a> {
    /// A half-open record.
    Record(&'a HalfOpen, &'a NodeRef<Entry>),
    /// A cookie that came back.
    Cookie(&'a engine::HalfOpen, &'a Admission),
    /// A SYN.
    Early(&'a Early),
}

impl Begin<'_> {
    /// The headers of the SYN, once, where they were kept.
    fn take_syn(&self) -> Option<KVec<u8>> {
        match self {
            Begin::Record(half, _) => half.syn.take(),
            Begin::Cookie(..) => None,
            Begin::Early(early) => early.syn.take(),
        }
    }

    fn admission(&self) -> &Admission {
        match self {
            Begin::Record(half, _) => &half.admission,
            Begin::Cookie(_, admission) => admission,
            Begin::Early(early) => &early.admission,
        }
    }
}

/// A place for one more connection.
fn place<'a>(ns: &Namespace, listener: &'a TcpSock) -> Option<Place<'a>> {
    let place = listener.shared().queue.reserve(listener.max_ack_backlog());
    if place.is_none() {
        ns.counters.count(Counter::ListenOverflows);
        count_drop(ns, listener);
    }
    place
}

/// Gives a new connection its IP options, its port, and the place of `begin` in the table.
// Not to burden the stack of who makes it.
#[inline(never)]
fn enter(
    namespace: &Arc<Namespace>,
    listener: &TcpSock,
    child: &mut Locked<'_, Tcp>,
    begin: &Begin<'_>,
    segment: &Segment,
    (ends, manner): (&Endpoints, &Manner),
) -> Result<(NodeRef<Entry>, PortUse)> {
    let key = Key::connection(ends).bound_to(manner.device());
    let sock = child.sock().get();
    child.take_admission(begin.admission(), segment)?;
    md5::inherit(listener, child, ends, manner.device())?;
    child.path()?;
    let port = namespace.ports.inherit(&sock)?;
    let new = Entry::socket(namespace, key, sock, GFP_ATOMIC | __GFP_NOWARN)?;
    match begin {
        Begin::Record(_, old) => namespace.table.replace(old, new.clone())?,
        Begin::Cookie(..) | Begin::Early(_) => namespace.table.insert(new.clone())?,
    }
    Ok((new, port))
}

/// The connection in the engine. `max_segment` is the user's bound as it was when the peer asked: the
/// listener's may be another by now, which the child's options have.
// Not to burden the stack of who makes the child.
#[inline(never)]
fn role(
    namespace: &Namespace,
    listener: &TcpSock,
    begin: &Begin<'_>,
    ends: &Endpoints,
    path: &Path,
    options: &Options,
    max_segment: u16,
) -> Result<Role> {
    let mut config = config(
        listener,
        &Options {
            max_segment,
            ..*options
        },
        path,
    );
    let cache = &namespace.path_metrics;
    config.known = cache.known(listener.net(), ends, &path.hints, super::now());
    let mut conn = new_connection(GFP_ATOMIC | __GFP_NOWARN)?;
    match begin {
        Begin::Record(half, _) => conn.complete(&config, &half.half),
        Begin::Cookie(half, _) => conn.complete(&config, half),
        Begin::Early(early) => {
            // One more than without Fast Open, as Linux.
            let retries = options
                .syn_retries
                .unwrap_or_else(|| listener.net().synack_retries().saturating_add(1));
            conn.complete_early(&config, &early.half, retries, early.cookie);
        }
    }
    Ok(Role::Connection(conn))
}

#[inline(never)]
fn make(
    namespace: &Arc<Namespace>,
    listener: &TcpSock,
    begin: &Begin<'_>,
    segment: Segment,
    ends: &Endpoints,
    manner: &Manner,
    place: Place<'_>,
) -> Result {
    let path = listener.path_for(ends, manner, begin.admission().options())?;
    let mut options = listener.shared().options();
    if !options.congestion_chosen {
        // As Linux: what is nobody's choice is the namespace's, as it is now.
        options.congestion = congestion_of(listener.net());
    }
    let along = congestion_along(&path.hints);
    options.congestion = along.unwrap_or(options.congestion);
    let max_segment = match begin {
        Begin::Record(half, _) => half.max_segment,
        Begin::Cookie(..) | Begin::Early(_) => options.max_segment,
    };
    let mut state = State::new(namespace.clone());
    state.max_segment = max_segment;
    state.congestion_locked = along.is_some() && path.hints.congestion_locked;
    state.interactive = options.interactive;
    state.role = role(
        namespace,
        listener,
        begin,
        ends,
        &path,
        &options,
        max_segment,
    )?;
    if let Begin::Early(_) = begin {
        state.ticket = Some(listener.shared().queue.fast_open_new(listener));
    }

    let mut entered = false;
    let child = listener.clone_child(Shared::child(options), state, ends, |child| {
        child.set_manner(manner);
        if matches!(begin, Begin::Early(_)) {
            child.sock().shared().set_early();
        }
        let way = (ends, manner);
        let made = enter(namespace, listener, child, begin, &segment, way);
        match made {
            Ok((new, port)) => {
                entered = true;
                child.state().node = Some(new);
                child.state().port = Some(port);
                child.remember(&segment);
                child.state().saved_syn = begin.take_syn();
                child.sock().note_origin(&segment);
                input::receive(child, segment.into_skb());
            }
            Err(_) => {
                // The peer is to hear nothing of it: it is still half-open.
                child.state().role = Role::Idle;
                child.set_kernel_state(SockState::Close);
                child.orphan();
                super::close::abort(child);
            }
        }
    })?;
    if !entered {
        return Err(ENOMEM);
    }
    namespace.counters.count(Counter::PassiveOpens);
    match place.fill(child) {
        Ok(waiting) => listener.set_ack_backlog(waiting),
        // The listener was closed meanwhile.
        Err(child) => forget(&child),
    }
    Ok(())
}
