//! Room `control`: see ARCHITECTURE.md.
#![forbid(unsafe_code)]
