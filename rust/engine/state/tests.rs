// SPDX-License-Identifier: GPL-2.0

use crate::engine::state::Input;
use crate::engine::state::State;

const ALL: [State; 11] = [
    State::Closed,
    State::Listen,
    State::SynSent,
    State::SynReceived,
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
    State::TimeWait,
];

#[test]
fn after__has_the_arrows_of_figure_5_and_no_others() {
    let arrows = [
        (State::SynReceived, Input::Close, State::FinWait1),
        // RFC 9293, 3.10.7.4, eighth check; the figure leaves it out.
        (State::SynReceived, Input::FinReceived, State::CloseWait),
        (State::Established, Input::Close, State::FinWait1),
        (State::Established, Input::FinReceived, State::CloseWait),
        (State::FinWait1, Input::FinAcked, State::FinWait2),
        (State::FinWait1, Input::FinReceived, State::Closing),
        (State::FinWait2, Input::FinReceived, State::TimeWait),
        (State::Closing, Input::FinAcked, State::TimeWait),
        (State::CloseWait, Input::Close, State::LastAck),
        (State::LastAck, Input::FinAcked, State::Closed),
    ];
    for state in ALL {
        for input in [Input::Close, Input::FinReceived, Input::FinAcked] {
            let arrow = arrows.iter().find(|a| (a.0, a.1) == (state, input));
            let wanted = arrow.map_or(state, |a| a.2);
            assert_eq!(state.after(input), wanted, "{state:?} {input:?}");
        }
    }
}
