//! Text of the repository's files → what they declare. Pure: files arrive as text.

pub mod node;
