//! A half-open range of addresses or page numbers.

use core::fmt;

/// `start..end`, in a layout of our own: a core range is neither `Copy` nor of a stable layout.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Range<T> {
    /// The first one.
    pub start: T,
    /// The one after the last.
    pub end: T,
}

impl<T> From<core::ops::Range<usize>> for Range<T>
where
    T: From<usize>,
{
    fn from(range: core::ops::Range<usize>) -> Self {
        Self {
            start: range.start.into(),
            end: range.end.into(),
        }
    }
}

impl<T: Copy + Into<usize> + From<usize>> Range<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.end.into() - self.start.into()
    }

    /// Each of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        (self.start.into()..self.end.into()).map(T::from)
    }

    /// Whether the two have something in common.
    pub fn overlap_with(&self, other: &Range<T>) -> bool {
        self.start.into() < other.end.into() && other.start.into() < self.end.into()
    }

    /// Whether `item` is one of them.
    pub fn contains(&self, item: T) -> bool {
        self.start.into() <= item.into() && item.into() < self.end.into()
    }
}

impl<T: Into<usize> + Copy> fmt::Debug for Range<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{:#x}-{:#x}", self.start.into(), self.end.into())
    }
}
