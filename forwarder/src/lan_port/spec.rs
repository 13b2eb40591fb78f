//! What `--lan` says.

use std::{fmt, str::FromStr};

use serde::Deserialize;

use crate::spec::SpecError;

/// Longest name of an interface (IFNAMSIZ less the zero behind it).
const LONGEST_NAME: usize = 15;

/// The LAN port as it is asked for: `IF`, `bridge:BRIDGE` or `tap:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LanSpec {
    /// An interface that is there.
    Interface(String),
    /// A port of our own in this Linux bridge.
    Bridge(String),
    /// A tap of this name, which a hypervisor opens.
    Tap(String),
}

impl LanSpec {
    /// The name that the interface has, or will have.
    pub fn interface(&self) -> String {
        match self {
            Self::Interface(name) | Self::Tap(name) => name.clone(),
            Self::Bridge(bridge) => pair_names(bridge).0,
        }
    }
}

/// Names of our end and of the bridge's end of a pair: `cw-br0` and `cwp-br0`. Of a long name the end tells more
/// than the beginning (`br-5f2c…`); two bridges that share it cannot both have a port at once, which is an error.
pub(super) fn pair_names(bridge: &str) -> (String, String) {
    let end = bridge.len().saturating_sub(LONGEST_NAME - "cwp-".len());
    let end = bridge.get(end..).unwrap_or(bridge);
    (format!("cw-{end}"), format!("cwp-{end}"))
}

impl FromStr for LanSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (make, name): (fn(String) -> Self, _) = match text.split_once(':') {
            Some(("bridge", name)) => (Self::Bridge, name),
            Some(("tap", name)) => (Self::Tap, name),
            // The kernel allows no colon in a name.
            Some(_) => return Err(malformed(text)),
            None => (Self::Interface, text),
        };
        let plain = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b'%';
        let sound = (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(plain)
            && !name.starts_with('.');
        // That of an interface is looked up, which names those that there are.
        match sound || !text.contains(':') {
            true => Ok(make(name.into())),
            false => Err(malformed(text)),
        }
    }
}

fn malformed(text: &str) -> SpecError {
    SpecError::new(format!(
        "LAN port '{text}' is not IF, bridge:BRIDGE or tap:NAME, with a name of 1 to {LONGEST_NAME} characters"
    ))
}

impl TryFrom<String> for LanSpec {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        text.parse()
    }
}

impl fmt::Display for LanSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name) => f.write_str(name),
            Self::Bridge(name) => write!(f, "bridge:{name}"),
            Self::Tap(name) => write!(f, "tap:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds() {
        for (text, interface) in [
            ("ens224", "ens224"),
            ("bridge:br0", "cw-br0"),
            ("bridge:br-5f2c0ab97d3e", "cw-f2c0ab97d3e"),
            ("tap:tap0", "tap0"),
        ] {
            let spec: LanSpec = text.parse().unwrap();
            assert_eq!(
                (spec.to_string().as_str(), spec.interface().as_str()),
                (text, interface)
            );
        }
    }

    #[test]
    fn names_of_a_pair_fit_and_differ() {
        for bridge in ["b", "br0", "br-0123456789ab"] {
            let (ours, far) = pair_names(bridge);
            assert!(ours.len() <= LONGEST_NAME && far.len() <= LONGEST_NAME && ours != far);
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "bridge:",
            "tap:",
            "macvtap:x",
            "tap:a b",
            "tap:..",
            "tap:a/b",
            "tap:tap%d",
            "bridge:0123456789abcdef",
            "a:b:c",
        ] {
            let error = bad.parse::<LanSpec>().unwrap_err().to_string();
            assert!(error.contains("bridge:BRIDGE or tap:NAME"), "{error}");
        }
    }
}
