//! `reconcile worker start`: real flows on a real server.

mod compare;
mod ends;
mod lives;
mod setups;
mod site;
