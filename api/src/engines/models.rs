//! Models that an engine offers.
