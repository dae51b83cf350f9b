//! Upgrades of the CLIs, through init.
