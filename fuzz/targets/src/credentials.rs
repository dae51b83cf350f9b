//! Credential files of the import folder and of the agent home, and what is remembered of the last import.

use crate::{halves, text};
use skill_init::agents::{
    catalogue::Catalogue,
    credentials::{Input, Side, State, Write, check, decide, entries},
};

/// A line with the shape's name and a digit for the circumstances, then source, zero byte, destination.
pub(crate) fn import(bytes: &[u8]) {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let head = text(&bytes[..at]);
    let Some((name, how)) = head.split_once(' ') else { return };
    let (Some(shape), Ok(how)) = (Catalogue::built_in().shapes.get(name).cloned(), how.parse::<u8>()) else { return };
    let shape = &*shape;
    let (source, destination) = halves(&bytes[at + 1..]);
    let force = how & 1 != 0;
    let leader = [None, Some(Side::Source), Some(Side::Destination), None][usize::from(how >> 1 & 3)];
    let destination = (!destination.is_empty()).then_some(destination);
    let input = Input { shape, source, destination, last: None, force, leader };
    let Ok(decision) = decide(&input) else { return };
    let object = check(shape, source).expect("only a good source is decided on");
    let _ = entries(shape, &object);
    let written = match &decision.write {
        Write::Nothing | Write::KeepSourceBeside => {
            destination.expect("nothing is written where nothing stands").to_vec()
        }
        Write::Fresh(bytes) | Write::Replace(bytes) | Write::ReplaceKeeping(bytes) | Write::ReplaceCorrupt(bytes) => {
            bytes.clone()
        }
    };
    check(shape, &written).expect("what is written is a credential");
    let again = Input { destination: Some(&written), last: Some(&decision.remember), force: false, ..input };
    let again = decide(&again).expect("the same source");
    assert!(matches!(again.write, Write::Nothing), "a second start writes: {:?} after {}", again.why, decision.why);
}

/// The state file.
pub(crate) fn import_state(bytes: &[u8]) {
    let state = State::parse(bytes);
    assert_eq!(State::parse(&state.to_bytes()), state);
}
