//! Room `apply`: see ARCHITECTURE.md.
#![forbid(unsafe_code)]
