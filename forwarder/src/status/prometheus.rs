//! The status as metrics: Prometheus's text exposition format, version 0.0.4.
//!
//! What grows without bound has no series of its own: stations are totals, and a lane is named by its place
//! among the peer's lanes and not by its SPI, which each rekey replaces.

mod appliance;
mod counters;
mod exposition;
mod peers;
#[cfg(test)]
mod tests;

use self::exposition::Exposition;
use super::Status;

impl Status {
    /// The metrics. Each has the label `control`, the name of the appliance's control socket: several appliances of
    /// a host would otherwise have the same series.
    pub fn to_prometheus(&self, control: &str) -> String {
        let mut out = Exposition::new(("control", control));
        appliance::write(&mut out, self);
        peers::write(&mut out, &self.peers);
        counters::write(&mut out, self);
        out.into_text()
    }
}

/// A family's help that explains the values of its label, from their own sentences.
fn explained(
    about: &str,
    values: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> String {
    values
        .into_iter()
        .fold(about.to_owned(), |help, (value, sentence)| {
            help + " " + value + ": " + sentence
        })
}
