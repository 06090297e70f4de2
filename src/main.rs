//! The `reconcile` program.

fn main() {
    std::process::exit(reconcile::cli::run());
}
