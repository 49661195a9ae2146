//! confparse
