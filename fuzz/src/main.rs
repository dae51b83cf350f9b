//! libFuzzer's program for every target: `FUZZ_TARGET` names the one that runs. One program, because linking one per target
//! takes longer than a short run.
#![no_main]

use std::sync::OnceLock;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    let run = TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        match fuzz_targets::TARGETS.iter().find(|target| target.name == name) {
            Some(target) => target.run,
            None => panic!("FUZZ_TARGET is one of {:?}", fuzz_targets::TARGETS.map(|target| target.name)),
        }
    });
    run(bytes);
});
