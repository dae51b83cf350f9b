//! The bare init (`skill-init -- CMD`, and the tini, docker-init and dumb-init personalities).
#![forbid(unsafe_code)]
