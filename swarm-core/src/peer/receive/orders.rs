//! The messages that the receiving half wants to send to neighbours, joined into as few as possible.

use std::time::Duration;

use crate::group::GroupRange;
use crate::id::LinkId;
use crate::limits::REQUEST_GROUPS_MAX;
use crate::peer_message::Class;

/// A message that follows from a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Request groups, which are due in this time if they are urgent.
    Request { link: LinkId, range: GroupRange, class: Class, remaining: Option<Duration> },
    /// Say that requested groups have become urgent.
    Hasten { link: LinkId, range: GroupRange, remaining: Duration },
    /// Cancel a request.
    Cancel { link: LinkId, range: GroupRange },
}

/// Joins orders that follow one another and concern consecutive groups.
pub(super) fn joined(orders: Vec<Order>) -> Vec<Order> {
    let mut joined: Vec<Order> = Vec::with_capacity(orders.len());
    for order in orders {
        if let Some(last) = joined.last_mut()
            && let Some(both) = both(*last, order)
        {
            *last = both;
        } else {
            joined.push(order);
        }
    }
    joined
}

/// Two orders as one message, if one message can say both. A message says when its first group is due, so no later group of
/// it may be due before that.
fn both(first: Order, second: Order) -> Option<Order> {
    let unite = |left: GroupRange, right: GroupRange| {
        let both = GroupRange::new(left.start, right.end);
        (left.end == right.start && both.len() <= REQUEST_GROUPS_MAX).then_some(both)
    };
    match (first, second) {
        (
            Order::Request { link, range, class, remaining },
            Order::Request { link: other, range: next, class: same, remaining: later },
        ) if link == other && class == same && later >= remaining => {
            Some(Order::Request { link, range: unite(range, next)?, class, remaining })
        }
        (
            Order::Hasten { link, range, remaining },
            Order::Hasten { link: other, range: next, remaining: later },
        ) if link == other && later >= remaining => {
            Some(Order::Hasten { link, range: unite(range, next)?, remaining })
        }
        (Order::Cancel { link, range }, Order::Cancel { link: other, range: next }) if link == other => {
            Some(Order::Cancel { link, range: unite(range, next)? })
        }
        _ => None,
    }
}
