//! The choice of where to compile, and what comes of it.

use super::{
    child::ChildCompiler,
    error::{Bound, CompileError},
};
use crate::deadline::Deadline;
use std::{io::Write, sync::Arc, time::Duration};
use wasmtime::Engine;

/// Bytes of compiled code that are taken: code is some three to four times its component, which has 32 MiB at most by default.
pub(super) const MOST_CODE: u64 = 512 << 20;

/// Where a component is compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In this process: nothing bounds the time and memory that it takes, and no deadline ends it. For components of one's own.
    Here,
    /// In a child process with limits.
    Child(ChildCompiler),
}

/// Code that was compiled for this process, and has been nowhere else.
pub(crate) struct Fresh(Vec<u8>);

impl Fresh {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Compiler {
    /// How long it may take, and so how long it is worth to wait for someone else who does the same.
    pub(crate) fn time(&self) -> Duration {
        match self {
            // There is no limit: about what the slowest known component takes on a slow machine.
            Self::Here => super::child::TIME,
            Self::Child(child) => child.time,
        }
    }

    /// Whether it may go beyond the bound that a compilation ran out of.
    pub(crate) fn exceeds(&self, bound: &Bound) -> bool {
        match (self, bound) {
            (Self::Here, Bound::Time(_) | Bound::Memory(_)) => true,
            (Self::Child(child), Bound::Time(milliseconds)) => child.time.as_millis() > u128::from(*milliseconds),
            (Self::Child(child), Bound::Memory(bytes)) => child.memory() > *bytes,
            (_, Bound::None) => false,
        }
    }

    /// Compiles for this engine, into memory.
    pub(crate) fn compile(
        &self,
        engine: &Engine,
        component: &Arc<Vec<u8>>,
        deadline: &Deadline,
    ) -> Result<Fresh, CompileError> {
        let mut code = Vec::new();
        self.compile_to(engine, component, &mut code, deadline)?;
        Ok(Fresh(code))
    }

    /// Compiles for this engine and writes the code to `output`, so that it need not fit into this process's memory.
    pub(crate) fn compile_to(
        &self,
        engine: &Engine,
        component: &Arc<Vec<u8>>,
        output: &mut dyn Write,
        deadline: &Deadline,
    ) -> Result<(), CompileError> {
        if deadline.is_over() {
            return Err(CompileError::Unfinished);
        }
        match self {
            Self::Here => {
                let code = engine
                    .precompile_component(component)
                    .map_err(|error| CompileError::Refused(format!("{error:#}")))?;
                if code.len() as u64 > MOST_CODE {
                    return Err(CompileError::TooLarge { limit: MOST_CODE });
                }
                output.write_all(&code).map_err(CompileError::Output)
            }
            Self::Child(child) => child.compile_to(Arc::clone(component), output, deadline),
        }
    }
}
