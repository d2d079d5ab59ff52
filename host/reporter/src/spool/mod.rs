//! The durable spool: an accepted notification is on disk before the caller continues, and stays there until DX said `ok`.
//!
//! ```text
//! <spool>/                        0700, owned by the user that runs
//!   runs/<run>/<id>.json          one notification: the hook, the verdict, the destination, the policies
//!   runs/<run>/sent               the ids that DX's last `ok` covered, one a line
//!   runs/<run>/trouble.json       why the last attempt to deliver failed; advice only
//!   done/<run>/                   a run that is over and that DX has; removed after a day
//!   outlook/                      notes on deliveries, and the runs that they need not read; advice only
//!   rejected/<run>-<id>.json      what DX refused, beside <run>-<digest>.reason.json with its message
//!   aside/                        what was found here and is not ours, or is torn; never deleted
//!   drain.lock                    held by the process that delivers
//!   gocd/                         how far GoCD servers were read; not the spool's own
//!   full                          while it exists, no steps are accepted that did not fail
//!   full-for-all                  while it exists, nothing new is accepted
//! ```
//!
//! `<run>` is a [`RunKey`], `<id>` an [`EntryId`]. There is no other state and no index: a record waits if its id is not in `sent`, so a
//! crash leaves nothing half-done, and processes that record at the same time need no lock.
//!
//! A record is written aside, synced, renamed, and its directory synced; marks and advice are not synced. Nothing is opened through a
//! symbolic link, nothing outside the directory is touched, every read is bounded.

mod entry;
mod error;
mod files;
mod layout;
mod load;
mod open;
mod outlook;
mod prune;
mod record;
mod sent;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
mod transfer;

pub use entry::PolicyChain;
pub use entry::{Destination, Entry, Hook, Judgement};
pub use entry::{EntryId, ParseKeyError, RunKey, StateDigest};
pub use error::SpoolError;
pub use layout::SetAside;
pub use load::SpooledRun;
pub(crate) use open::wait_until;
pub use open::{DrainLock, LockState};
pub use open::{Limits, Spool};
pub use outlook::Trouble;
pub use outlook::{Outlook, Pause, ReadAgain, RunsRead};
pub use prune::{Pruned, Size};
pub use record::Recorded;
pub use sent::{AcceptedJob, AcceptedStates, InDx};
pub use transfer::{BadLine, Exported, Imported};
pub use transfer::{Rejected, Rejection};
