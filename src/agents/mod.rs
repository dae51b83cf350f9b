//! Room `agents`: see ARCHITECTURE.md.
#![forbid(unsafe_code)]
