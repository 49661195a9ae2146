//! Unit attentions that wait for a nexus on a logical unit (SAM-5 5.14).

use std::collections::VecDeque;

use crate::sense::Sense;

/// More than there are kinds of them.
const MOST: usize = 32;

/// In the order in which they came, each kind once.
#[derive(Debug)]
pub(super) struct Attentions(VecDeque<Sense>);

impl Attentions {
    /// Of a nexus that is new to the logical unit.
    pub fn power_on() -> Self {
        Self(VecDeque::from([Sense::POWER_ON]))
    }

    /// Another one, unless the same waits already.
    pub fn push(&mut self, sense: Sense) {
        if self.0.len() < MOST && !self.0.contains(&sense) {
            self.0.push_back(sense);
        }
    }

    /// The next one, which the nexus now learns.
    pub fn take(&mut self) -> Option<Sense> {
        self.0.pop_front()
    }

    /// The nexus has learned the same otherwise.
    pub fn forget(&mut self, sense: Sense) {
        self.0.retain(|waiting| *waiting != sense);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_waits_once_and_comes_in_order() {
        let mut attentions = Attentions::power_on();
        for _ in 0..3 {
            attentions.push(Sense::LUNS_CHANGED);
            attentions.push(Sense::CAPACITY_CHANGED);
            attentions.push(Sense::MODE_CHANGED);
        }
        attentions.forget(Sense::CAPACITY_CHANGED);
        let all: Vec<_> = std::iter::from_fn(|| attentions.take()).collect();
        assert_eq!(all, [Sense::POWER_ON, Sense::LUNS_CHANGED, Sense::MODE_CHANGED]);
    }
}
