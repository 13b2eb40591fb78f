//! The values that rounds gave.

use std::collections::BTreeMap;

use super::Figure;
use crate::{output::Spread, sizes::FrameSizes};

/// What one round gave.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A number.
    Number(f64),
    /// None, and why.
    Nothing(String),
}

/// Of one peer: values by figure and frame size, one for each round.
#[derive(Default)]
pub(crate) struct Samples(
    pub(in crate::compare) BTreeMap<(Figure, Option<FrameSizes>), Vec<Value>>,
);

impl Samples {
    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rounds have a value of it, or a reason for none.
    pub(crate) fn tries(&self, figure: Figure, sizes: Option<FrameSizes>) -> usize {
        self.0.get(&(figure, sizes)).map_or(0, Vec::len)
    }

    /// One more value.
    pub(crate) fn add(&mut self, figure: Figure, sizes: Option<FrameSizes>, value: f64) {
        let values = self.0.entry((figure, sizes)).or_default();
        values.push(Value::Number(value));
    }

    /// No value, and why.
    pub(crate) fn add_nothing(
        &mut self,
        figure: Figure,
        sizes: Option<FrameSizes>,
        why: impl Into<String>,
    ) {
        let values = self.0.entry((figure, sizes)).or_default();
        values.push(Value::Nothing(why.into()));
    }

    /// The numbers of a figure, if there are any.
    pub(crate) fn spread(&self, figure: Figure, sizes: Option<FrameSizes>) -> Option<Spread> {
        let values = self.0.get(&(figure, sizes))?;
        Summary::of(values).spread
    }

    /// All figures with the numbers that their rounds gave.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (Figure, Vec<f64>)> {
        let all = self.0.iter();
        all.map(|((figure, _), values)| (*figure, numbers(values)))
    }

    /// The numbers of one figure.
    pub(crate) fn of(&self, figure: Figure, sizes: Option<FrameSizes>) -> Vec<f64> {
        self.0
            .get(&(figure, sizes))
            .map_or_else(Vec::new, |values| numbers(values))
    }

    /// Why a figure has no numbers, where it was tried.
    pub(crate) fn reason(&self, figure: Figure, sizes: Option<FrameSizes>) -> Option<&str> {
        let values = self.0.get(&(figure, sizes))?;
        values.iter().find_map(|value| match value {
            Value::Nothing(why) => Some(why.as_str()),
            Value::Number(_) => None,
        })
    }
}

fn numbers(values: &[Value]) -> Vec<f64> {
    let numbers = values.iter().filter_map(|value| match value {
        Value::Number(number) => Some(*number),
        Value::Nothing(_) => None,
    });
    numbers.collect()
}

/// The rounds of one figure.
pub(in crate::compare) struct Summary {
    pub(in crate::compare) spread: Option<Spread>,
}

impl Summary {
    /// Of the rounds with a number. Where most have none, the figure has none.
    pub(in crate::compare) fn of(values: &[Value]) -> Self {
        let numbers = numbers(values);
        let enough = !numbers.is_empty() && numbers.len() * 2 > values.len();
        Self {
            spread: enough.then(|| Spread::of(numbers)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_without_a_number() {
        let mut samples = Samples::default();
        samples.add(Figure::Recovery, None, 1.0);
        samples.add_nothing(Figure::Recovery, None, "never");
        assert_eq!(samples.spread(Figure::Recovery, None), None);
        samples.add(Figure::Recovery, None, 2.0);
        assert!(samples.spread(Figure::Recovery, None).is_some());
    }
}
