//! Command numbers (RFC 7143, 4.2.2.1): which commands are taken, and which come next.

/// What to do with a command by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the next.
    Next,
    /// Outside of the window: as if it had never come.
    Outside,
    /// One before it is missing, which one connection cannot lose.
    Gap,
}

/// The window of a session: from ExpCmdSN on, as many as there is room for.
#[derive(Debug)]
pub(super) struct Window {
    expected: u32,
    depth: u32,
    /// Numbered commands that are not answered yet.
    busy: u32,
}

impl Window {
    pub(super) const fn new(first: u32, depth: u32) -> Self {
        Self { expected: first, depth, busy: 0 }
    }

    pub(super) const fn expected(&self) -> u32 {
        self.expected
    }

    /// MaxCmdSN; one less than ExpCmdSN when there is no room. It never goes back: a command
    /// that comes moves ExpCmdSN as far as it makes the room smaller.
    pub(super) const fn highest(&self) -> u32 {
        self.expected.wrapping_add(self.depth.saturating_sub(self.busy)).wrapping_sub(1)
    }

    pub(super) fn place(&self, number: u32) -> Place {
        match number.wrapping_sub(self.expected) {
            distance if distance >= self.depth.saturating_sub(self.busy) => Place::Outside,
            0 => Place::Next,
            _ => Place::Gap,
        }
    }

    /// The next has come.
    pub(super) const fn take(&mut self) {
        self.expected = self.expected.wrapping_add(1);
    }

    /// The one that has come stays for a while.
    pub(super) const fn hold(&mut self) {
        self.busy += 1;
    }

    /// One that stayed is answered.
    pub(super) const fn release(&mut self) {
        self.busy = self.busy.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_across_the_end_of_the_numbers_and_never_back() {
        let mut window = Window::new(u32::MAX - 2, 4);
        let mut highest = window.highest();
        for _ in 0..4 {
            assert_eq!(window.place(window.expected().wrapping_sub(1)), Place::Outside);
            assert_eq!(window.place(window.highest().wrapping_add(1)), Place::Outside);
            assert_eq!(window.place(window.expected()), Place::Next);
            window.take();
            window.hold();
            assert_eq!(window.highest(), highest);
        }
        assert_eq!(window.highest(), window.expected().wrapping_sub(1), "closed, not negative");
        assert_eq!(window.place(window.expected()), Place::Outside);
        for _ in 0..4 {
            window.release();
            assert_eq!(window.highest(), highest.wrapping_add(1));
            highest = window.highest();
        }
        assert_eq!(window.place(window.expected().wrapping_add(1)), Place::Gap);
    }
}
