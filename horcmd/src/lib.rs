//! horcmd
