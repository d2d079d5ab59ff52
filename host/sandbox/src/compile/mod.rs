//! Compiling a component: here, or in a child process that can be stopped.
//!
//! What a component's author controls is the compiler's input, and no compiler promises how long it takes or how much memory. A
//! [`ChildCompiler`] puts bounds on both; the child calls [`compile_worker`], and ends when its parent does. [`Compiler::Here`] has no
//! bounds.

mod child;
mod compiler;
mod error;
mod wire;
mod worker;

pub use child::ChildCompiler;
pub use compiler::Compiler;
pub(crate) use compiler::Fresh;
pub(crate) use error::Bound;
pub use error::CompileError;
pub use worker::compile_worker;
