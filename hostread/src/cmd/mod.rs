//! One file per command.

pub(crate) mod engines;
pub(crate) mod gateway;
pub(crate) mod pipeline;
mod tree;
pub(crate) mod up;
