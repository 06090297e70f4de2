//! Spans for the parts of a pass.

use tracing::Span;

use crate::model::plan::{Action, Change};

/// A part of the pass that is being made; none outside of one.
pub fn part(name: &'static str) -> Span {
    match Span::current().is_none() {
        true => Span::none(),
        false => tracing::info_span!(target: "otel", "part", otel.name = name),
    }
}

/// One change on its way.
pub(super) fn change(change: &Change) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    let action = match change.action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Adopt => "adopt",
        Action::Delete => "delete",
        Action::Release => "release",
    };
    let kind = change.key.kind;
    tracing::info_span!(
        target: "otel", "change",
        otel.name = format!("{action} {kind}"), otel.status_code = tracing::field::Empty,
        reconcile.action = action, reconcile.kind = %kind, reconcile.name = change.key.name,
    )
}
