//! What can be wrong with the form of a YAML text; `explain` says it to people.

use super::cursor::Mark;

/// An offence against YAML's form, where it was noticed, and where the thing that was being read began.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// What is wrong.
    pub what: What,
    /// Where it was noticed.
    pub at: Mark,
    /// Where the key, quote, bracket or block began.
    pub since: Option<Mark>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// A character that no token starts with.
    CannotStart(char),
    /// A line in a mapping that never came to its colon.
    KeyWithoutColon,
    /// `- ` where no item may start.
    ItemNotAllowed,
    /// `? ` where no key may start.
    KeyNotAllowed,
    /// `: ` where no value may start.
    ValueNotAllowed,
    /// A line that starts with `%` and is no directive.
    Directive(&'static str),
    /// `*` that no name follows.
    AliasName,
    /// `&` that no name follows.
    AnchorName,
    /// A character that a tag cannot hold, or a tag without an end.
    Tag,
    /// A handle such as `!x!` that no `%TAG` line introduces.
    TagHandle(String),
    /// What follows `|` or `>` on their line.
    BlockHeader,
    /// `\q` in double quotes.
    Escape,
    /// `\ud800`: half a character, which Python can hold and nothing else can.
    HalfCharacter,
    /// The text ends inside quotes.
    UnclosedQuote,
    /// `---` or `...` at the start of a line inside quotes.
    SeparatorInQuote,
    /// Something after the end of the document.
    ExpectedDocument,
    /// A token where a value should stand.
    ExpectedContent(&'static str),
    /// A token where the next item or key of a block, or its end, should stand.
    ExpectedBlockEnd(&'static str),
    /// A token where `,` or the closing bracket should stand.
    ExpectedClosing {
        /// The bracket that closes.
        close: char,
        /// What stands there.
        found: &'static str,
    },
}

impl Fault {
    /// A fault noticed at a place.
    pub fn new(what: What, at: Mark) -> Self {
        Fault { what, at, since: None }
    }

    /// The same, in something that began at `since`.
    pub fn since(mut self, since: Mark) -> Self {
        self.since = Some(since);
        self
    }
}
