//! The tokens of YAML.

use super::cursor::Mark;

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its first character.
    pub start: Mark,
    /// One past its last character.
    pub end: Mark,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    StreamEnd,
    /// `%YAML 1.2`: its major version.
    VersionDirective(u64),
    /// `%TAG ! prefix`
    TagDirective(String, String),
    /// Any other line that starts with `%`.
    OtherDirective,
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowMappingStart,
    FlowSequenceEnd,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    /// Handle (none for `!<...>` and a lone `!`) and suffix.
    Tag(Option<String>, String),
    Scalar {
        text: String,
        plain: bool,
    },
}

impl Kind {
    /// Whether it is one of the lines that start with `%`.
    pub fn is_directive(&self) -> bool {
        matches!(self, Kind::VersionDirective(_) | Kind::TagDirective(..) | Kind::OtherDirective)
    }

    /// What messages call it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::StreamEnd => "the end of the file",
            Kind::VersionDirective(_) | Kind::TagDirective(..) | Kind::OtherDirective => "a `%` line",
            Kind::DocumentStart => "`---`",
            Kind::DocumentEnd => "`...`",
            Kind::BlockSequenceStart => "a list",
            Kind::BlockMappingStart => "a mapping",
            Kind::BlockEnd => "the end of the block",
            Kind::FlowSequenceStart => "`[`",
            Kind::FlowMappingStart => "`{`",
            Kind::FlowSequenceEnd => "`]`",
            Kind::FlowMappingEnd => "`}`",
            Kind::BlockEntry => "`-`",
            Kind::FlowEntry => "`,`",
            Kind::Key => "a key",
            Kind::Value => "`:`",
            Kind::Alias(_) => "an alias",
            Kind::Anchor(_) => "an anchor",
            Kind::Tag(..) => "a tag",
            Kind::Scalar { .. } => "text",
        }
    }
}
