//! What waits beside the command's own run, and is due.

use super::{
    courier::{Courier, Errand},
    delivery::Delivery,
    trip::Trip,
};
use crate::{
    kill_points,
    spool::{LockState, LookAgain, RunKey},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// What waits beside the errand's own run.
#[derive(Default)]
pub(super) struct Others {
    /// Those that are due.
    pub(super) due: Vec<RunKey>,
    /// Those that need no look.
    pub(super) skipped: Vec<RunKey>,
    /// When the directory of each last changed.
    pub(super) changed: BTreeMap<RunKey, u64>,
    _lock: Option<Arc<LockState>>,
}

impl Others {
    /// Lists them, if no other process delivers them.
    pub(super) fn of(courier: &Courier<'_>, errand: &Errand<'_>, trip: &mut Trip, delivery: &mut Delivery) -> Self {
        kill_points::pass("deliver.lock");
        let until = if errand.wait && courier.own.explicit {
            errand.budget.deadline()
        } else {
            Instant::now()
        };
        let Some(lock) = courier.store.lock(until) else {
            delivery.busy = true;
            return Self::default();
        };
        trip.look_around(courier.store);
        let (runs, left) = match courier.store.runs_by_change(&|| errand.budget.left().is_some()) {
            Ok(runs) => runs,
            Err(error) => {
                delivery.warn(error.to_string());
                return Self::default();
            }
        };
        delivery.not_looked_at += left;
        if left == 0 {
            trip.keep_only(&runs.iter().map(|(key, _)| *key).collect());
        }
        let mut others = Self {
            _lock: Some(lock),
            ..Self::default()
        };
        for (key, time) in runs.into_iter().filter(|(key, _)| Some(*key) != errand.first) {
            match trip.known(key, time) {
                Some(again) if !courier.own.explicit && !trip.is_due(again) => {
                    delivery.others_wait += usize::from(again != LookAgain::WhenChanged);
                    others.skipped.push(key);
                }
                _ => others.due.push(key),
            }
            others.changed.insert(key, time);
        }
        others
    }
}
