//! An element's start.

use quick_xml::events::BytesStart;

/// An element that was begun.
pub(super) struct Element<'b> {
    pub(super) start: BytesStart<'b>,
    /// `<like-this/>`: no end follows.
    pub(super) is_empty: bool,
}

impl Element<'_> {
    /// Its name without the prefix.
    pub(super) fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// Whether it is in GoCD's namespace, by the prefix that every server uses for it.
    pub(super) fn is_go(&self) -> bool {
        self.start
            .name()
            .prefix()
            .is_some_and(|prefix| prefix.into_inner() == "go")
    }
}
