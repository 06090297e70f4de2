//! The `reconcile` program.

/// A pass makes and drops a million small values; this allocator does so in two thirds of the system's
/// time. Without huge pages: they would be half empty.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    std::process::exit(reconcile::cli::run());
}
