//! What waits beside the command's own run, and is due.

use super::{
    deliverer::{Deliverer, DeliveryOptions},
    delivery::Delivery,
    state::DeliveryState,
};
use crate::{
    kill_points,
    spool::{LockState, LookAgain, RunKey},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// What waits beside the delivery's own run.
#[derive(Default)]
pub(super) struct OtherRuns {
    /// Those that are due.
    pub(super) due: Vec<RunKey>,
    /// Those that need no look.
    pub(super) skipped: Vec<RunKey>,
    /// When the directory of each last changed.
    pub(super) changed: BTreeMap<RunKey, u64>,
    _lock: Option<Arc<LockState>>,
}

impl OtherRuns {
    /// Lists them, if no other process delivers them.
    pub(super) fn of(
        deliverer: &Deliverer<'_>,
        options: &DeliveryOptions<'_>,
        state: &mut DeliveryState,
        delivery: &mut Delivery,
    ) -> Self {
        kill_points::pass("deliver.lock");
        let until = if options.wait && deliverer.own.explicit {
            options.budget.deadline()
        } else {
            Instant::now()
        };
        let Some(lock) = deliverer.store.lock(until) else {
            delivery.busy = true;
            return Self::default();
        };
        state.look_around(deliverer.store);
        let (runs, left) = match deliverer.store.runs_by_change(&|| options.budget.left().is_some()) {
            Ok(runs) => runs,
            Err(error) => {
                delivery.warn(error.to_string());
                return Self::default();
            }
        };
        delivery.not_looked_at += left;
        if left == 0 {
            state.keep_only(&runs.iter().map(|(key, _)| *key).collect());
        }
        let mut others = Self {
            _lock: Some(lock),
            ..Self::default()
        };
        for (key, time) in runs.into_iter().filter(|(key, _)| Some(*key) != options.first) {
            match state.known(key, time) {
                Some(again) if !deliverer.own.explicit && !state.is_due(again) => {
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
