//! How large a YAML file may be and become; beyond, it is refused with a diagnosis.

/// Bytes of a file.
pub(super) const BYTES: usize = 16 * 1024 * 1024;

/// Lists and mappings nested in one another, through aliases too.
pub(super) const DEPTH: usize = 100;

/// Values in the document, each alias counted as all that it stands for.
pub(super) const NODES: usize = 1_000_000;

/// Bytes of text in the document, each alias counted likewise.
pub(super) const TEXT: usize = 64 * 1024 * 1024;
