//! A whole answer: the fold of its events.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::{BlockId, Delta, Event, FinishReason, Opening, Reasoning};
use crate::dialect::Usage;

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer<'a> {
    /// The provider's id of it.
    pub id: Option<Cow<'a, str>>,
    /// The model version that answered.
    pub model: Option<Cow<'a, str>>,
    /// When it was made, in Unix seconds.
    pub created: Option<u64>,
    /// The choices, by number.
    pub choices: Vec<Choice<'a>>,
    /// What was used, where the provider said.
    pub usage: Option<Usage>,
    /// The tier that served the call.
    pub service_tier: Option<Cow<'a, str>>,
    /// The backend's fingerprint.
    pub fingerprint: Option<Cow<'a, str>>,
    /// What only the provider's dialect knows: name and JSON text.
    pub unknown: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// One choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice<'a> {
    /// Its number.
    pub index: u32,
    /// What it holds, in the order the blocks were opened.
    pub blocks: Vec<AnswerBlock<'a>>,
    /// Why it ended.
    pub finish_reason: Option<FinishReason<'a>>,
    /// The stop sequence met.
    pub stop_sequence: Option<Cow<'a, str>>,
    /// Log probabilities of the text: a JSON array's elements.
    pub logprobs: Option<Cow<'a, str>>,
    /// Log probabilities of the refusal: a JSON array's elements.
    pub refusal_logprobs: Option<Cow<'a, str>>,
}

/// One block of a whole answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnswerBlock<'a> {
    /// Text for the caller.
    Text {
        /// The text.
        text: Cow<'a, str>,
        /// Its citations: dialect and JSON object.
        citations: Vec<(&'static str, Cow<'a, str>)>,
    },
    /// The model's refusal.
    Refusal(Cow<'a, str>),
    /// Reasoning.
    Reasoning(Reasoning<'a>),
    /// A tool call.
    ToolCall {
        /// The provider's id of the call.
        id: Cow<'a, str>,
        /// The tool's name.
        name: Cow<'a, str>,
        /// The arguments as the model wrote them.
        arguments: Cow<'a, str>,
    },
    /// A block only the provider's dialect knows.
    Unknown {
        /// Its `type` there.
        kind: Cow<'a, str>,
        /// Its JSON text as it opened.
        raw: Cow<'a, str>,
        /// The input that followed.
        input: Cow<'a, str>,
    },
}

/// Folds events into an [`Answer`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Fold<'a> {
    answer: Answer<'a>,
    /// Block number to choice and position.
    open: SmallVec<[(BlockId, usize, usize); 2]>,
}

impl<'a> Answer<'a> {
    /// Folds `events`.
    pub fn fold(events: impl IntoIterator<Item = Event<'a>>) -> Self {
        let mut fold = Fold::default();
        events.into_iter().for_each(|event| fold.push(event));
        fold.finish()
    }
}

impl<'a> Fold<'a> {
    /// Takes the next event.
    pub(crate) fn push(&mut self, event: Event<'a>) {
        match event {
            Event::Start { id, model, created } => {
                let answer = &mut self.answer;
                answer.id = answer.id.take().or(id);
                answer.model = answer.model.take().or(model);
                answer.created = answer.created.or(created);
            }
            Event::Open { block, choice, opening } => {
                let choice = self.choice(choice);
                let blocks = &mut self.answer.choices[choice].blocks;
                blocks.push(AnswerBlock::from(opening));
                self.open.push((block, choice, blocks.len() - 1));
            }
            Event::Delta { block, delta } => {
                if let Some(block) = self.block(block) {
                    block.grow(delta);
                }
            }
            Event::Close { block } => {
                if let Some(at) = self.open.iter().rposition(|(open, ..)| *open == block) {
                    self.open.swap_remove(at);
                }
            }
            Event::Logprobs { choice, refusal, elements } => {
                let choice = self.choice(choice);
                let choice = &mut self.answer.choices[choice];
                let list = if refusal { &mut choice.refusal_logprobs } else { &mut choice.logprobs };
                match list {
                    Some(list) if !list.is_empty() && !elements.is_empty() => {
                        let list = list.to_mut();
                        list.push(',');
                        list.push_str(&elements);
                    }
                    Some(list) if !elements.is_empty() => *list = elements,
                    Some(_) => {}
                    None => *list = Some(elements),
                }
            }
            Event::Finish { choice, reason, stop_sequence } => {
                let choice = self.choice(choice);
                let choice = &mut self.answer.choices[choice];
                choice.finish_reason = Some(reason);
                choice.stop_sequence = stop_sequence;
            }
            Event::Usage(usage) => self.answer.usage = usage.believed(),
            Event::ServiceTier(tier) => self.answer.service_tier = Some(tier),
            Event::Fingerprint(fingerprint) => self.answer.fingerprint = Some(fingerprint),
            Event::Unknown { kind, raw } => self.answer.unknown.push((kind, raw)),
            Event::Alive | Event::Error(_) => {}
        }
    }

    /// The answer, its choices in order.
    pub(crate) fn finish(mut self) -> Answer<'a> {
        self.answer.choices.sort_by_key(|choice| choice.index);
        self.answer
    }

    /// The position of choice `index`, made when it is first named.
    fn choice(&mut self, index: u32) -> usize {
        let choices = &mut self.answer.choices;
        choices.iter().rposition(|choice| choice.index == index).unwrap_or_else(|| {
            choices.push(Choice { index, ..Choice::default() });
            choices.len() - 1
        })
    }

    fn block(&mut self, block: BlockId) -> Option<&mut AnswerBlock<'a>> {
        let (_, choice, position) = *self.open.iter().rev().find(|(open, ..)| *open == block)?;
        self.answer.choices.get_mut(choice)?.blocks.get_mut(position)
    }
}

impl<'a> From<Opening<'a>> for AnswerBlock<'a> {
    fn from(opening: Opening<'a>) -> Self {
        match opening {
            Opening::Text => Self::Text { text: Cow::Borrowed(""), citations: Vec::new() },
            Opening::Refusal => Self::Refusal(Cow::Borrowed("")),
            Opening::Reasoning => Self::Reasoning(Reasoning::default()),
            Opening::Redacted { data, issuer } => {
                Self::Reasoning(Reasoning { redacted: Some(data), issuer: Some(issuer), ..Reasoning::default() })
            }
            Opening::ToolCall { id, name } => Self::ToolCall { id, name, arguments: Cow::Borrowed("") },
            Opening::Unknown { kind, raw } => Self::Unknown { kind, raw, input: Cow::Borrowed("") },
        }
    }
}

impl<'a> AnswerBlock<'a> {
    fn grow(&mut self, delta: Delta<'a>) {
        match (self, delta) {
            (Self::Text { text, .. } | Self::Refusal(text), Delta::Text(more)) => append(text, more),
            (Self::Text { citations, .. }, Delta::Citation { dialect, raw }) => citations.push((dialect, raw)),
            (Self::Reasoning(reasoning), Delta::Text(more)) => append(&mut reasoning.text, more),
            (Self::Reasoning(reasoning), Delta::Signature { signature, issuer }) => {
                append(reasoning.signature.get_or_insert_default(), signature);
                reasoning.issuer = Some(issuer);
            }
            (Self::ToolCall { arguments, .. }, Delta::Arguments(more)) => append(arguments, more),
            (Self::Unknown { input, .. }, Delta::Arguments(more)) => append(input, more),
            // A delta of another kind than its block: the decoder's grammar refuses it before it gets here.
            _ => {}
        }
    }
}

/// Appends, borrowing as long as there is one piece.
fn append<'a>(text: &mut Cow<'a, str>, more: Cow<'a, str>) {
    if text.is_empty() {
        *text = more;
    } else {
        text.to_mut().push_str(&more);
    }
}
