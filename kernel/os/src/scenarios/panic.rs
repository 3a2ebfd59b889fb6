//! `panic`: the kernel gives up.

use super::{no_tick, nothing, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "panic",
    prepare: || panic!("as the scenario wants"),
    on_tick: no_tick,
    finish: nothing,
};
