//! Why a choice ended, in this API's four words.

use super::losses;
use crate::dialect::{Losses, conversation::FinishReason};

/// The nearest word. `called` says whether the choice has calls to show: the reason never stands without them.
pub(super) fn reason(reason: &FinishReason<'_>, called: bool, losses: &mut Losses) -> &'static str {
    let (word, exact) = match reason {
        FinishReason::Stop => ("stop", true),
        FinishReason::ToolCalls if called => ("tool_calls", true),
        // The tools were the provider's own.
        FinishReason::ToolCalls => ("stop", true),
        FinishReason::Length => ("length", true),
        FinishReason::ContextWindow => ("length", false),
        FinishReason::ContentFilter => ("content_filter", true),
        FinishReason::Refusal => ("content_filter", false),
        FinishReason::Pause | FinishReason::Other(_) => ("stop", false),
    };
    if !exact {
        // As Messages calls it, the only other dialect.
        losses.report_at(&losses::ANSWER_FINISH_REASON, "/stop_reason".to_owned());
    }
    word
}
