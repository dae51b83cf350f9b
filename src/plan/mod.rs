//! Room `plan`: see ARCHITECTURE.md.
#![forbid(unsafe_code)]
