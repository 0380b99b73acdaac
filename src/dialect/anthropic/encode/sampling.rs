//! Sampling settings.

use super::Writer;
use crate::dialect::{Loss, Place, Sampling, anthropic::losses, json::Object, wire::Number};

impl Writer<'_, '_, '_> {
    /// Writes `temperature`, `top_p` and `top_k` as far as the model takes them; a thinking model hardly does.
    pub(super) fn sampling(&mut self, thinks: bool, body: &mut Object<'_>) {
        let (temperature, top_p, top_k) = (self.request.temperature, self.request.top_p, self.request.top_k);
        let neutral = |number: &Number<'_>| number.value() == 1.0;
        match self.target.capabilities.sampling {
            Sampling::Fixed => {
                // 1 is what such a model does anyway.
                self.lose(temperature.filter(|it| !neutral(it)), &losses::SAMPLING_FIXED, "temperature");
                self.lose(top_p.filter(|it| !neutral(it)), &losses::SAMPLING_FIXED, "top_p");
                self.lose(top_k, &losses::SAMPLING_FIXED, "top_k");
            }
            _ if thinks => {
                self.lose(temperature.filter(|it| !neutral(it)), &losses::SAMPLING_THINKING, "temperature");
                self.lose(top_k, &losses::SAMPLING_THINKING, "top_k");
                match top_p {
                    Some(top_p) if (0.95..=1.0).contains(&top_p.value()) => _ = body.raw("top_p", top_p.text()),
                    low => self.lose(low, &losses::SAMPLING_THINKING, "top_p"),
                }
            }
            Sampling::OneOf if temperature.is_some() => {
                self.temperature(body);
                self.lose(top_p.filter(|it| !neutral(it)), &losses::SAMPLING_EXCLUSIVE, "top_p");
                write(top_k, "top_k", body);
            }
            Sampling::Free | Sampling::OneOf => {
                self.temperature(body);
                write(top_p, "top_p", body);
                write(top_k, "top_k", body);
            }
        }
    }

    fn temperature(&mut self, body: &mut Object<'_>) {
        let Some(temperature) = self.request.temperature else { return };
        if temperature.value() > 1.0 {
            self.losses.report(&losses::TEMPERATURE, Place::member("temperature"));
            body.number("temperature", 1);
        } else {
            body.raw("temperature", temperature.text());
        }
    }

    fn lose(&mut self, said: Option<Number<'_>>, loss: &'static Loss, member: &'static str) {
        if said.is_some() {
            self.losses.report(loss, Place::member(member));
        }
    }
}

fn write(number: Option<Number<'_>>, member: &str, body: &mut Object<'_>) {
    if let Some(number) = number {
        body.raw(member, number.text());
    }
}
