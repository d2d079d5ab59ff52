//! A disk in memory that loses the same data in a crash as a real one, and can crash before any of its operations.
//!
//! The model is as weak as POSIX allows and journaling file systems keep to:
//! - The bytes of a file that was not synced may be gone, in part or in whole.
//! - The names in a directory that was not synced are those after some prefix of the changes made to it.
//! - A rename within a directory happens or does not; between two, the new name may be there before the old one is gone, never after.

use super::files::{Content, FileKind, Files, Metadata, NewFile};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The data without a sync that a crash leaves.
#[derive(Debug, Clone, Copy)]
pub enum Crash {
    /// Nothing: the power failed.
    DropAll,
    /// Everything: only the process was killed.
    KeepAll,
    /// Anything between, by this seed.
    Some(u64),
}

/// The disk. A clone is the same disk.
#[derive(Clone)]
pub struct Simulated(Arc<Mutex<State>>);

struct State {
    nodes: Vec<Node>,
    /// One line an operation that changes or syncs something.
    log: Vec<String>,
    operations: u64,
    crash_at: Option<u64>,
    crashed: bool,
    /// Bytes that still fit.
    room: u64,
    now: SystemTime,
    locked: BTreeSet<PathBuf>,
}

enum Node {
    File {
        bytes: Vec<u8>,
        synced: bool,
        modified: SystemTime,
    },
    Dir {
        names: Names,
        durable: Names,
        pending: Vec<Change>,
        settled: usize,
        modified: SystemTime,
    },
}

type Names = BTreeMap<OsString, usize>;

/// A change to a directory. `after`: a change to another directory, by its number there, that is durable whenever this one is.
#[derive(Clone)]
struct Change {
    edits: Vec<(OsString, Option<usize>)>,
    after: Option<(usize, usize)>,
}

const ROOT: usize = 0;

impl Node {
    fn dir(modified: SystemTime) -> Self {
        Self::Dir {
            names: Names::new(),
            durable: Names::new(),
            pending: Vec::new(),
            settled: 0,
            modified,
        }
    }
}

fn apply(names: &mut Names, change: &Change) {
    for (name, node) in &change.edits {
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}

/// xorshift64*: a test's randomness must be the same each time.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

impl Simulated {
    pub fn new() -> Self {
        let now = SystemTime::now();
        let state = State {
            nodes: vec![Node::dir(now)],
            log: Vec::new(),
            operations: 0,
            crash_at: None,
            crashed: false,
            room: u64::MAX,
            now,
            locked: BTreeSet::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here, the `n`th operation and all after it fail: the machine is down.
    pub fn crash_at(&self, n: u64) {
        let mut state = self.state();
        (state.operations, state.crash_at) = (0, Some(n));
    }

    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Loses the data that a crash loses, and starts again.
    pub fn crash(&self, how: Crash) {
        self.state().crash(how);
    }

    pub fn set_room(&self, bytes: u64) {
        self.state().room = bytes;
    }

    pub fn set_now(&self, now: SystemTime) {
        self.state().now = now;
    }

    /// The operations since the last call.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }

    fn operation(&self, log: Option<String>) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operations += 1;
        state.crashed |= state.crash_at == Some(state.operations);
        if state.crashed {
            return Err(io::Error::other("the machine is down"));
        }
        state.log.extend(log);
        Ok(state)
    }
}

impl State {
    fn crash(&mut self, how: Crash) {
        let mut seed = match how {
            Crash::Some(seed) => seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            _ => 1,
        };
        let mut choose = |all: usize| match how {
            Crash::DropAll => 0,
            Crash::KeepAll => all,
            Crash::Some(_) => usize::try_from(next(&mut seed) % (all as u64 + 1)).unwrap_or(0),
        };
        // Of each directory some prefix; then no removal without the addition that it needs.
        let mut reach: Vec<usize> = Vec::new();
        for node in &mut self.nodes {
            match node {
                Node::Dir { pending, settled, .. } => reach.push(*settled + choose(pending.len() - *settled)),
                Node::File { bytes, synced, .. } => {
                    if !*synced {
                        let keep = choose(bytes.len());
                        bytes.truncate(keep);
                    }
                    reach.push(0);
                }
            }
        }
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for (number, node) in self.nodes.iter().enumerate() {
                let Node::Dir { pending, .. } = node else { continue };
                let unmet = pending[..reach[number]]
                    .iter()
                    .position(|c| c.after.is_some_and(|(dir, at)| reach[dir] <= at));
                if let Some(unmet) = unmet {
                    reach[number] = unmet;
                    changed = true;
                }
            }
        }
        for (number, node) in self.nodes.iter_mut().enumerate() {
            match node {
                Node::Dir {
                    names,
                    durable,
                    pending,
                    settled,
                    ..
                } => {
                    pending[*settled..reach[number]]
                        .iter()
                        .for_each(|change| apply(durable, change));
                    names.clone_from(durable);
                    pending.clear();
                    *settled = 0;
                }
                Node::File { synced, .. } => *synced = true,
            }
        }
        (self.crashed, self.crash_at) = (false, None);
        self.locked.clear();
    }

    /// Makes the first `count` changes of `dir` durable, and what they need.
    fn settle(&mut self, dir: usize, count: usize) {
        let Some(Node::Dir {
            durable,
            pending,
            settled,
            ..
        }) = self.nodes.get_mut(dir)
        else {
            return;
        };
        let mut needed = Vec::new();
        while *settled < count {
            apply(durable, &pending[*settled]);
            needed.extend(pending[*settled].after);
            *settled += 1;
        }
        for (dir, at) in needed {
            self.settle(dir, at + 1);
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut at = ROOT;
        for name in path {
            let Some(Node::Dir { names, .. }) = self.nodes.get(at) else {
                return Err(ErrorKind::NotADirectory.into());
            };
            at = *names.get(name).ok_or(ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    fn names(&self, dir: usize) -> io::Result<&Names> {
        match &self.nodes[dir] {
            Node::Dir { names, .. } => Ok(names),
            Node::File { .. } => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn parent(&self, path: &Path) -> io::Result<(usize, OsString)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let parent = self.find(parent)?;
        self.names(parent)?;
        Ok((parent, name.to_owned()))
    }

    /// Changes `dir`, and returns the number of the change.
    fn change(&mut self, dir: usize, edits: Vec<(OsString, Option<usize>)>, after: Option<(usize, usize)>) -> usize {
        let now = self.now;
        let Node::Dir {
            names,
            pending,
            modified,
            ..
        } = &mut self.nodes[dir]
        else {
            return 0;
        };
        let change = Change { edits, after };
        apply(names, &change);
        pending.push(change);
        *modified = now;
        pending.len() - 1
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        let (dir, name) = self.parent(path)?;
        if self.names(dir)?.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.nodes.push(node);
        let number = self.nodes.len() - 1;
        self.change(dir, vec![(name, Some(number))], None);
        Ok(number)
    }

    fn describe(&self, node: usize) -> Metadata {
        let (kind, len, modified) = match &self.nodes[node] {
            Node::File { bytes, modified, .. } => (FileKind::File, bytes.len() as u64, *modified),
            Node::Dir { modified, .. } => (FileKind::Directory, 4096, *modified),
        };
        Metadata {
            kind,
            len,
            modified,
            owner: 0,
        }
    }
}

struct Written {
    disk: Simulated,
    node: usize,
    path: PathBuf,
}

impl NewFile for Written {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.operation(Some(format!("sync {}", self.path.display())))?;
        if let Node::File { synced, .. } = &mut state.nodes[self.node] {
            *synced = true;
        }
        Ok(())
    }
}

struct Locked(Simulated, PathBuf);

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.state().locked.remove(&self.1);
    }
}

impl Files for Simulated {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.operation(Some(format!("create_dir {}", dir.display())))?;
        let node = Node::dir(state.now);
        state.add(dir, node).map(drop)
    }

    fn list(&self, dir: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        let state = self.operation(None)?;
        state.names(state.find(dir)?)?.keys().for_each(|name| each(name));
        Ok(())
    }

    fn list_with_metadata(&self, dir: &Path) -> io::Result<Vec<(OsString, Metadata)>> {
        let state = self.operation(None)?;
        Ok(state
            .names(state.find(dir)?)?
            .iter()
            .map(|(name, node)| (name.clone(), state.describe(*node)))
            .collect())
    }

    fn changes_of(&self, dir: &Path, names: &[String]) -> io::Result<Vec<Option<SystemTime>>> {
        let state = self.operation(None)?;
        let known = state.names(state.find(dir)?)?;
        let change = |name: &String| known.get(OsStr::new(name)).map(|node| state.describe(*node).modified);
        Ok(names.iter().map(change).collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let state = self.operation(None)?;
        Ok(state.describe(state.find(path)?))
    }

    fn read(&self, path: &Path, max: u64) -> io::Result<Content> {
        let state = self.operation(None)?;
        Ok(match &state.nodes[state.find(path)?] {
            Node::File { bytes, .. } if bytes.len() as u64 <= max => Content::Whole(bytes.clone()),
            Node::File { .. } => Content::Unusable("is too large".into()),
            Node::Dir { .. } => Content::Unusable("is a directory".into()),
        })
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn NewFile>> {
        let mut state = self.operation(Some(format!("write {}", path.display())))?;
        let fits = state.room.min(bytes.len() as u64);
        let written = &bytes[..usize::try_from(fits).unwrap_or(bytes.len())];
        let file = Node::File {
            bytes: written.to_vec(),
            synced: false,
            modified: state.now,
        };
        let node = state.add(path, file)?;
        state.room -= fits;
        if written.len() < bytes.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(Box::new(Written {
            disk: self.clone(),
            node,
            path: path.to_owned(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operation(Some(format!("rename {} {}", from.display(), to.display())))?;
        let node = state.find(from)?;
        let ((from_dir, from), (to_dir, to)) = (state.parent(from)?, state.parent(to)?);
        if from_dir == to_dir {
            state.change(to_dir, vec![(to, Some(node)), (from, None)], None);
        } else {
            let added = state.change(to_dir, vec![(to, Some(node))], None);
            state.change(from_dir, vec![(from, None)], Some((to_dir, added)));
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.operation(Some(format!("sync_dir {}", dir.display())))?;
        let dir = state.find(dir)?;
        state.names(dir)?;
        if let Node::Dir { pending, .. } = &state.nodes[dir] {
            let all = pending.len();
            state.settle(dir, all);
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operation(Some(format!("remove {}", path.display())))?;
        let node = state.find(path)?;
        if matches!(state.nodes[node], Node::Dir { .. }) {
            return Err(ErrorKind::IsADirectory.into());
        }
        let (dir, name) = state.parent(path)?;
        state.change(dir, vec![(name, None)], None);
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.operation(Some(format!("remove_dir {}", dir.display())))?;
        let node = state.find(dir)?;
        if !state.names(node)?.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        let (parent, name) = state.parent(dir)?;
        state.change(parent, vec![(name, None)], None);
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let mut state = self.operation(None)?;
        let fresh = state.locked.insert(path.to_owned());
        Ok(fresh.then(|| Box::new(Locked(self.clone(), path.to_owned())) as Box<dyn Any + Send + Sync>))
    }

    fn try_lock_dir(&self, dir: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.state().find(dir)?;
        self.try_lock(dir)
    }
}
