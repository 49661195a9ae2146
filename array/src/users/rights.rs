//! What each order needs of its sender, through a command device with user authentication.

use protocol::orders::Order;

use super::UserRole;

/// What an order needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: what an instance asks to start, and the login itself.
    Nothing,
    /// A session.
    Session,
    /// A session of a user with this role.
    Role(UserRole),
}

/// The table of ADR 010.
#[must_use]
pub const fn need(order: &Order) -> Need {
    match order {
        Order::Identify
        | Order::Locate(_)
        | Order::Trace(_)
        | Order::Describe(_)
        | Order::Login { .. } => Need::Nothing,
        Order::Scan { .. } | Order::Status(_) | Order::Guards(_) | Order::Logout => Need::Session,
        Order::Change { .. } => Need::Role(UserRole::LocalCopy),
        Order::SetGuard { .. } => Need::Role(UserRole::Provisioning),
    }
}
