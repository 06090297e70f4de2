//! The only integration binary: everything that needs disk, processes or a real Prefect server.

mod local_server;
mod support;
