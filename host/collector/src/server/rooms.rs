//! How many connections there are, and from where.

use crate::access::FailureKey;
use crate::request::{App, SPARE_CONNECTIONS};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for connections.
pub struct Rooms {
    whole: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    per_address: Option<usize>,
    addresses: Arc<Mutex<HashMap<FailureKey, usize>>>,
}

/// The place of one connection, for as long as this lives.
pub struct Room {
    /// Whether it is for requests of every kind.
    pub is_whole: bool,
    address: Option<Counted>,
    #[expect(dead_code, reason = "given back when dropped")]
    permit: OwnedSemaphorePermit,
}

/// One connection of an address.
struct Counted {
    addresses: Arc<Mutex<HashMap<FailureKey, usize>>>,
    key: FailureKey,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = addresses.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.key);
            }
        }
    }
}

impl Rooms {
    pub fn new(app: &App) -> Self {
        Self {
            whole: Arc::new(Semaphore::new(app.limits.connections)),
            spare: Arc::new(Semaphore::new(SPARE_CONNECTIONS)),
            // All connections are the proxy's.
            per_address: (!app.exposure.behind_proxy).then_some(app.limits.per_address),
            addresses: Arc::default(),
        }
    }

    /// Waits until there is a place.
    pub async fn next(&self, app: &App) -> std::io::Result<Room> {
        if let Ok(permit) = Arc::clone(&self.whole).try_acquire_owned() {
            return Ok(Room::of(permit, true));
        }
        app.complain(
            "connections",
            &format!(
                "all {} connections are taken; more are turned away",
                app.limits.connections
            ),
        );
        let (permit, is_whole) = tokio::select! {
            biased;
            permit = Arc::clone(&self.whole).acquire_owned() => (permit, true),
            permit = Arc::clone(&self.spare).acquire_owned() => (permit, false),
        };
        Ok(Room::of(permit.map_err(std::io::Error::other)?, is_whole))
    }

    /// The place for a connection from this address, which may be a lesser one; `None` if there is none for it.
    pub fn enter(&self, mut room: Room, from: IpAddr, app: &App) -> Option<Room> {
        if !room.is_whole
            && let Ok(permit) = Arc::clone(&self.whole).try_acquire_owned()
        {
            room = Room::of(permit, true);
        }
        let Some(most) = self.per_address.filter(|_| room.is_whole) else {
            return Some(room);
        };
        let key = FailureKey::from(from);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = addresses.entry(key).or_default();
        if *count >= most {
            app.complain(
                "connections of one address",
                &format!("{from} has {most} connections open; more of it are turned away"),
            );
            let permit = Arc::clone(&self.spare).try_acquire_owned().ok()?;
            return Some(Room::of(permit, false));
        }
        *count += 1;
        drop(addresses);
        room.address = Some(Counted {
            addresses: Arc::clone(&self.addresses),
            key,
        });
        Some(room)
    }
}

impl Room {
    fn of(permit: OwnedSemaphorePermit, is_whole: bool) -> Self {
        Self {
            is_whole,
            address: None,
            permit,
        }
    }
}
