//! Removing what is old.

use super::app::App;
use crate::store::Retention;
use chrono::{TimeDelta, Utc};
use std::time::Duration;
use tokio::time::sleep;

/// How often: what is to be kept for days is not missed within the hour.
const EVERY: Duration = Duration::from_secs(3600);

/// Removes runs whose latest notification is older than `age`, now and every hour, until the server ends. What DX is still to be told of
/// is kept.
pub async fn keep_for(age: Duration, app: &App) {
    loop {
        let before = TimeDelta::from_std(age)
            .ok()
            .and_then(|age| Utc::now().checked_sub_signed(age));
        if let Some(before) = before {
            let retention = Retention {
                before,
                keep_waiting: app.forwards,
            };
            match app.store.retain(retention).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!("removed {removed} runs older than {before}"),
                Err(error) => app.complain("retention", &format!("could not remove old runs: {error}")),
            }
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = app.stopped() => return,
        }
    }
}
