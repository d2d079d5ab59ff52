//! What is sent of a run.

use crate::request::App;
use crate::rules::Admitted;
use crate::store::{FoldError, Received};
use pipefold_sandbox::{Notification, Run, Status};
use std::sync::Arc;

/// Data to be sent.
pub enum Parcel {
    /// The run, and those of its steps that DX does not have.
    Run(Arc<Run>, Vec<Notification>),
    /// A policy keeps it here.
    Kept(String),
    /// The rules do not take it any more; it is no use to DX.
    Unfit(String),
    /// It was removed.
    Gone,
}

/// The form in which a run is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentAs {
    /// As its notifications report it.
    Reported,
    /// It had no activity for long, and its end will not be reported.
    Cancelled,
}

impl Parcel {
    /// Makes the parcel of notifications, of which DX has the first `known`. In a thread that may wait: ten thousand notifications take a
    /// while.
    pub async fn of(app: &Arc<App>, received: Vec<Received>, known: u32, sent_as: SentAs) -> Result<Self, String> {
        if received.is_empty() {
            return Ok(Self::Gone);
        }
        let app = Arc::clone(app);
        let judge = move || {
            let (history, untold) = match judged(&app, received, known)? {
                Ok(judged) => judged,
                Err(why) => return Ok(Self::Kept(why)),
            };
            let mut run = app.rules.run(&history)?;
            let untold = history.into_iter().skip(untold);
            let steps = untold.filter(|notification| notification.step.is_some()).collect();
            if sent_as == SentAs::Cancelled {
                run.status = Status::Cancelled;
                // It is not known, and DX would not take back one that is too late.
                run.finished_at = None;
            }
            Ok(Self::Run(Arc::new(run), steps))
        };
        let judged = tokio::task::spawn_blocking(judge).await;
        match judged.map_err(|_| "judging it panicked".to_owned())? {
            Ok(parcel) => Ok(parcel),
            Err(error @ FoldError::Refused(_)) => Ok(Self::Unfit(error.to_string())),
            Err(FoldError::Failed(why)) => Err(why),
        }
    }
}

/// The notifications after the policies. Those that were kept when there were none pass today's before they leave the machine. Or why
/// nothing of them may be sent. And how many of them were among the first `known`.
fn judged(
    app: &App,
    received: Vec<Received>,
    known: u32,
) -> Result<Result<(Vec<Notification>, usize), String>, FoldError> {
    let has_policies = app.rules.has_policies();
    let (mut history, mut is_news, mut why) = (Vec::with_capacity(received.len()), false, None);
    let mut before = 0;
    for (number, one) in (0_u32..).zip(received) {
        let is_known = number < known;
        if one.by_policies || !has_policies {
            is_news |= !one.held;
            history.push(one.notification);
            before += usize::from(is_known);
            continue;
        }
        let left = match app.rules.admit(&one.notification)? {
            Admitted::Kept(left) => {
                is_news = true;
                left
            }
            Admitted::Held(left) => left,
            Admitted::Dropped { why: reason, whole } => {
                if whole {
                    return Ok(Err(reason));
                }
                why = Some(reason);
                continue;
            }
        };
        before += if is_known { left.len() } else { 0 };
        history.extend(left);
    }
    if is_news {
        return Ok(Ok((history, before)));
    }
    Ok(Err(why.unwrap_or_else(|| "it is held".to_owned())))
}
