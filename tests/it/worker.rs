//! `reconcile worker start`: real flows on a real server.

mod chaos;
mod compare;
mod docker;
mod ends;
mod git;
mod limits;
mod lives;
mod outcomes;
mod setups;
mod site;
mod soak;
mod warm;
