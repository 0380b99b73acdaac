//! Exact money: prices per meter, and what a usage costs.

use std::{fmt, iter::Sum, ops::Add, str::FromStr};

use bytes::BytesMut;

use crate::dialect::{Usage, json};

/// An amount of money: whole picodollars, 10⁻¹² USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Picodollars(pub u128);

/// Picodollars in a nanodollar, and in a dollar.
const NANO: u128 = 1_000;
const USD: u128 = 1_000_000_000_000;

impl Picodollars {
    /// The amount in nanodollars, rounded half up.
    pub fn nanos(self) -> u64 {
        match u64::try_from(self.0) {
            // Division of 128 bits is slow.
            Ok(amount) => amount / NANO as u64 + u64::from(amount % NANO as u64 >= NANO as u64 / 2),
            Err(_) => u64::try_from(self.0.saturating_add(NANO / 2) / NANO).unwrap_or(u64::MAX),
        }
    }
}

impl Add for Picodollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Picodollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl Picodollars {
    /// Appends US dollars as a plain decimal, exact: `0.00234`.
    pub fn write(self, out: &mut BytesMut) {
        let (whole, part) = match u64::try_from(self.0) {
            // Division of 128 bits is slow, and nobody owes 18 million dollars for a call.
            Ok(amount) => (u128::from(amount / USD as u64), amount % USD as u64),
            Err(_) => (self.0 / USD, (self.0 % USD) as u64),
        };
        match whole {
            0 => out.extend_from_slice(b"0"),
            _ => out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes()),
        }
        if part > 0 {
            let (mut part, mut unit) = (part, USD as u64);
            while part % 1000 == 0 {
                (part, unit) = (part / 1000, unit / 1000);
            }
            // The dollar in front, which is not written, keeps the zeros behind the point.
            let mut buffer = itoa::Buffer::new();
            let mut digits = &buffer.format(part + unit).as_bytes()[1..];
            while let [significant @ .., b'0'] = digits {
                digits = significant;
            }
            out.extend_from_slice(b".");
            out.extend_from_slice(digits);
        }
    }
}

/// US dollars as a plain decimal, exact: `0.00234`.
impl fmt::Display for Picodollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = BytesMut::new();
        self.write(&mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// What is counted and priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Meter {
    /// Fresh input tokens.
    Input,
    /// Input tokens read from a cache.
    CacheRead,
    /// Input tokens written to a cache for five minutes.
    CacheWrite5m,
    /// Input tokens written to a cache for an hour.
    CacheWrite1h,
    /// Output tokens, reasoning included.
    Output,
    /// Audio input tokens.
    InputAudio,
    /// Audio output tokens.
    OutputAudio,
    /// Images made.
    Images,
    /// Seconds of audio or video.
    Seconds,
    /// Requests.
    Requests,
}

impl Meter {
    /// All meters, in the order of a bill's lines.
    pub const ALL: [Self; 10] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::Output,
        Self::InputAudio,
        Self::OutputAudio,
        Self::Images,
        Self::Seconds,
        Self::Requests,
    ];

    /// Its name in configuration and on bills.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
            Self::InputAudio => "input_audio",
            Self::OutputAudio => "output_audio",
            Self::Images => "images",
            Self::Seconds => "seconds",
            Self::Requests => "requests",
        }
    }

    /// Whether its price is told per million (tokens) or per one.
    pub const fn per_million(self) -> bool {
        !matches!(self, Self::Images | Self::Seconds | Self::Requests)
    }

    /// How much of it `usage` holds.
    pub const fn of(self, usage: &Usage) -> u64 {
        match self {
            Self::Input => usage.input,
            Self::CacheRead => usage.cache_read,
            Self::CacheWrite5m => usage.cache_write_5m,
            Self::CacheWrite1h => usage.cache_write_1h,
            Self::Output => usage.output,
            Self::InputAudio => usage.input_audio,
            Self::OutputAudio => usage.output_audio,
            Self::Images => usage.images,
            Self::Seconds => usage.seconds,
            Self::Requests => usage.requests,
        }
    }
}

/// A unit price in picodollars: per token, image, second or request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

impl Rate {
    /// Reads a price as a decimal number of USD, per million for token meters, per one for the others.
    ///
    /// # Errors
    /// Not a plain non-negative decimal, more exact than a picodollar, or above a million dollars.
    pub fn parse(text: &str, meter: Meter) -> Result<Self, ParsePriceError> {
        let places: usize = if meter.per_million() { 6 } else { 12 };
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let part = part.trim_end_matches('0');
        if whole.is_empty() || !digits(whole) || !digits(part) || whole.len() > 7 || text.ends_with('.') {
            return Err(ParsePriceError::NotDecimal);
        }
        let scale = u32::try_from(places - part.len().min(places)).unwrap_or(0);
        if part.len() > places {
            return Err(ParsePriceError::TooExact);
        }
        format!("{whole}{part}")
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(10u64.pow(scale)))
            .map(Self)
            .ok_or(ParsePriceError::NotDecimal)
    }
}

/// A price that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParsePriceError {
    /// It is not a plain decimal number such as `0.05`.
    NotDecimal,
    /// It has more decimal places than a picodollar shows.
    TooExact,
}

impl fmt::Display for ParsePriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDecimal => "a price is a plain decimal number of US dollars, such as \"0.05\"",
            Self::TooExact => "a price has at most 6 decimal places per million, 12 per piece",
        })
    }
}

impl std::error::Error for ParsePriceError {}

/// What a target costs, per meter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Tiers by prompt size, ascending; the last takes everything. A tier's rates hold for the whole quantity.
    pub tiers: Vec<Tier>,
}

/// The rates up to a prompt size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tier {
    /// The most prompt tokens (fresh and cached) it holds for; `None` for any.
    pub up_to: Option<u64>,
    rates: [Option<Rate>; Meter::ALL.len()],
}

impl Tier {
    /// Sets a meter's rate.
    #[must_use]
    pub fn rate(mut self, meter: Meter, rate: Rate) -> Self {
        self.rates[meter as usize] = Some(rate);
        self
    }

    /// A meter's rate, if it has one.
    pub fn rate_of(&self, meter: Meter) -> Option<Rate> {
        self.rates[meter as usize]
    }
}

impl Price {
    /// One tier for everything.
    pub fn flat(tier: Tier) -> Self {
        Self { tiers: vec![Tier { up_to: None, ..tier }] }
    }

    /// The tier for a prompt of `tokens`.
    pub fn tier(&self, tokens: u64) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.up_to.is_none_or(|limit| tokens <= limit)).or(self.tiers.last())
    }
}

/// What a usage costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// A line per meter that was used.
    pub lines: Vec<CostLine>,
}

/// One line of a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostLine {
    /// What was counted.
    pub meter: Meter,
    /// How much.
    pub quantity: u64,
    /// The unit price; `None` if the price list has none for this meter: the line is zero and flagged.
    pub rate: Option<Rate>,
    /// Quantity times unit price, exact.
    pub amount: Picodollars,
}

impl Cost {
    /// What `usage` costs at `price`.
    pub fn of(usage: &Usage, price: Option<&Price>) -> Self {
        Self { lines: Self::lines_of(usage, price).collect() }
    }

    /// The lines of [`of`](Self::of), one by one.
    pub fn lines_of(usage: &Usage, price: Option<&Price>) -> impl Iterator<Item = CostLine> + Clone {
        let tier = price.and_then(|price| price.tier(usage.prompt().saturating_add(usage.input_audio)));
        let used = Meter::ALL.into_iter().map(|meter| (meter, meter.of(usage))).filter(|(_, quantity)| *quantity > 0);
        used.map(move |(meter, quantity)| {
            let rate = tier.and_then(|tier| tier.rate_of(meter));
            let amount = Picodollars(rate.map_or(0, |rate| u128::from(rate.0) * u128::from(quantity)));
            CostLine { meter, quantity, rate, amount }
        })
    }

    /// The exact sum of what [`of`](Self::of) lists.
    pub fn total_of(usage: &Usage, price: Option<&Price>) -> Picodollars {
        Self::lines_of(usage, price).map(|line| line.amount).sum()
    }

    /// The exact sum.
    pub fn total(&self) -> Picodollars {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// Writes `{total_nanos, total_usd, currency, lines}` as JSON. `total_usd` is `total_nanos`, the lines are exact.
    pub fn write(&self, out: &mut BytesMut) {
        write(self.lines.iter().copied(), out);
    }

    /// [Writes](Self::write) what `usage` costs at `price`.
    pub(crate) fn write_of(usage: &Usage, price: Option<&Price>, out: &mut BytesMut) {
        write(Self::lines_of(usage, price), out);
    }

    /// Writes the lines as a JSON array of `{meter, quantity, unit_price_usd, cost_usd}`; a line without a price has
    /// `"unit_price_usd": null`.
    pub fn write_lines(&self, out: &mut BytesMut) {
        write_lines(self.lines.iter().copied(), out);
    }
}

fn write(lines: impl Iterator<Item = CostLine> + Clone, out: &mut BytesMut) {
    let nanos = lines.clone().map(|line| line.amount).sum::<Picodollars>().nanos();
    out.extend_from_slice(br#"{"total_nanos":"#);
    json::number(out, nanos);
    out.extend_from_slice(br#","total_usd":""#);
    Picodollars(u128::from(nanos) * NANO).write(out);
    out.extend_from_slice(br#"","currency":"USD","lines":"#);
    write_lines(lines, out);
    out.extend_from_slice(b"}");
}

fn write_lines(lines: impl Iterator<Item = CostLine>, out: &mut BytesMut) {
    out.extend_from_slice(b"[");
    for (at, line) in lines.enumerate() {
        out.extend_from_slice(if at > 0 { br#",{"meter":""# } else { br#"{"meter":""# });
        out.extend_from_slice(line.meter.name().as_bytes());
        out.extend_from_slice(br#"","quantity":"#);
        json::number(out, line.quantity);
        match line.rate {
            Some(rate) => {
                out.extend_from_slice(br#","unit_price_usd":""#);
                Picodollars(u128::from(rate.0)).write(out);
                out.extend_from_slice(br#"","cost_usd":""#);
            }
            None => out.extend_from_slice(br#","unit_price_usd":null,"cost_usd":""#),
        }
        line.amount.write(out);
        out.extend_from_slice(br#""}"#);
    }
    out.extend_from_slice(b"]");
}

impl FromStr for Meter {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|meter| meter.name() == name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(rates: &[(Meter, &str)], up_to: Option<u64>) -> Tier {
        rates.iter().fold(Tier { up_to, ..Tier::default() }, |tier, (meter, text)| tier.rate(*meter, Rate::parse(text, *meter).unwrap()))
    }

    #[test]
    fn cached_input_is_not_counted_twice() {
        let usage = Usage { input: 200, cache_read: 800, output: 100, ..Usage::default() };
        let price = Price::flat(price(&[(Meter::Input, "3.00"), (Meter::CacheRead, "0.30"), (Meter::Output, "15.00")], None));
        assert_eq!(Cost::of(&usage, Some(&price)).total().nanos(), 2_340_000);
    }

    #[test]
    fn a_tier_holds_for_the_whole_quantity() {
        let tiers = vec![price(&[(Meter::Input, "1.25")], Some(200_000)), price(&[(Meter::Input, "2.50")], None)];
        let price = Price { tiers };
        let cost = |input| Cost::of(&Usage { input, ..Usage::default() }, Some(&price)).total().nanos();
        assert_eq!(cost(200_000), 250_000_000);
        assert_eq!(cost(200_001), 500_002_500);
    }

    #[test]
    fn a_meter_without_a_price_is_a_line_at_zero() {
        let cost = Cost::of(&Usage { images: 2, ..Usage::default() }, None);
        assert_eq!(cost.lines, [CostLine { meter: Meter::Images, quantity: 2, rate: None, amount: Picodollars(0) }]);
    }

    #[test]
    fn amounts_print_exactly() {
        for (picos, text) in [(0, "0"), (1, "0.000000000001"), (2_340_000_000, "0.00234"), (USD * 12, "12"), (USD + USD / 2, "1.5")] {
            assert_eq!(Picodollars(picos).to_string(), text);
        }
    }

    #[test]
    fn prices_are_plain_decimals() {
        assert_eq!(Rate::parse("0.05", Meter::Input), Ok(Rate(50_000)));
        assert_eq!(Rate::parse("0.04", Meter::Images), Ok(Rate(40_000_000_000)));
        assert_eq!(Rate::parse("15", Meter::Output), Ok(Rate(15_000_000)));
        for bad in ["", ".5", "5.", "-1", "1e3", "0x1", "99999999"] {
            assert_eq!(Rate::parse(bad, Meter::Input), Err(ParsePriceError::NotDecimal), "{bad}");
        }
        assert_eq!(Rate::parse("0.0000001", Meter::Input), Err(ParsePriceError::TooExact));
    }
}
