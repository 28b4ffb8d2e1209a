// SPDX-License-Identifier: GPL-2.0

//! The eleven states of RFC 9293, 3.3.2, and the closing half of their diagram.

/// The state of a connection (RFC 9293, 3.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// There is no connection.
    Closed,
    /// Waiting for any SYN.
    Listen,
    /// A SYN was sent and none received.
    SynSent,
    /// A SYN was sent and one received, ours not acknowledged.
    SynReceived,
    /// Data flows.
    Established,
    /// We closed; the peer acknowledged neither FIN nor sent its own.
    FinWait1,
    /// We closed and the peer knows; it may still send.
    FinWait2,
    /// The peer closed; we may still send.
    CloseWait,
    /// Both closed at the same time; our FIN is not acknowledged.
    Closing,
    /// The peer closed, then we; our FIN is not acknowledged.
    LastAck,
    /// Both closed; old segments die out.
    TimeWait,
}

/// What moves a synchronized connection to another state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    /// The user closes the sending half. The state changes now; the FIN leaves after the data that
    /// is queued.
    Close,
    /// The peer's FIN is next in order.
    FinReceived,
    /// The peer acknowledged our FIN.
    FinAcked,
}

impl State {
    /// Returns the state after `input`: the lower half of RFC 9293, figure 5. An input without an
    /// arrow changes nothing.
    #[must_use]
    pub(crate) fn after(self, input: Input) -> State {
        match (self, input) {
            (State::SynReceived | State::Established, Input::Close) => State::FinWait1,
            (State::CloseWait, Input::Close) => State::LastAck,
            (State::SynReceived | State::Established, Input::FinReceived) => State::CloseWait,
            (State::FinWait1, Input::FinReceived) => State::Closing,
            (State::FinWait2, Input::FinReceived) => State::TimeWait,
            (State::FinWait1, Input::FinAcked) => State::FinWait2,
            (State::Closing, Input::FinAcked) => State::TimeWait,
            (State::LastAck, Input::FinAcked) => State::Closed,
            (state, _) => state,
        }
    }

    /// Returns whether the user has closed the sending half, so that a FIN follows the data.
    pub(crate) fn sends_fin(self) -> bool {
        matches!(
            self,
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck
        )
    }

    /// Returns whether the peer may still send data.
    pub(crate) fn may_receive(self) -> bool {
        matches!(self, State::Established | State::FinWait1 | State::FinWait2)
    }
}

#[cfg(test)]
mod tests;
