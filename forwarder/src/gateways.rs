//! Gateways: `--gateway-mac`, `--local-gateway` and `--site-routes`.

use std::{net::IpAddr, str::FromStr};

use serde::Deserialize;

use crate::{
    config::ConfigError,
    spec::StationName,
    stations::{Role, StationKey},
    vlans::Vlans,
};

/// Gateways of one end at most: each unicast frame of a moved machine is compared with them.
const MOST: usize = 64;

/// Networks that stay with the site's gateway at most.
const MOST_ROUTES: usize = 64;

/// A network: `ADDRESS/LENGTH`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: u128,
    mask: u128,
    is_v4: bool,
}

impl Network {
    /// Whether the address is in it.
    #[inline]
    pub fn contains(&self, ip: IpAddr) -> bool {
        bits(ip) & self.mask == self.address && ip.is_ipv4() == self.is_v4
    }
}

/// The address as a number of 128 bits, that of IPv4 in the upper 32.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => v6.into(),
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no network, such as 10.0.0.0/8 or fd00::/8");
        let (ip, length) = text.split_once('/').unwrap_or((text, ""));
        let ip: IpAddr = ip.parse().map_err(|_| wrong())?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length: u32 = match text.contains('/') {
            true => length.parse().map_err(|_| wrong())?,
            false => most,
        };
        if length > most {
            return Err(wrong());
        }
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        let address = bits(ip);
        if address & !mask != 0 {
            return Err(format!("'{text}' has bits behind its first {length}"));
        }
        let is_v4 = ip.is_ipv4();
        Ok(Self {
            address,
            mask,
            is_v4,
        })
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// The gateways of the segment.
#[derive(Clone, Debug, Default)]
pub struct Gateways {
    /// Default gateways at the site.
    pub site: Vec<StationKey>,
    /// Those of them whose traffic goes to a router here instead, and its MAC address.
    pub local: Vec<(StationKey, [u8; 6])>,
    /// What goes to the site's gateway all the same.
    pub site_routes: Vec<Network>,
}

impl Gateways {
    /// Whether the station is a default gateway at the site.
    pub fn is_one(&self, station: StationKey) -> bool {
        self.site.contains(&station)
    }
}

/// Checks what the options say.
///
/// # Errors
///
/// What to change.
pub(crate) fn check(
    role: Role,
    site: &[StationName],
    local: &[StationName],
    site_routes: Vec<Network>,
    vlans: &Vlans,
) -> Result<Gateways, ConfigError> {
    let wrong = |text: String| Err(ConfigError(text));
    let ours = |name: &StationName| StationKey::new(vlans.ours(name.0.vlan), name.0.mac);
    let site: Vec<_> = site.iter().map(ours).collect();
    if site.len() > MOST {
        return wrong(format!("--gateway-mac is given more than {MOST} times"));
    }
    if role == Role::Site && !local.is_empty() {
        return wrong(
            "--local-gateway belongs to the cloud end: it is where the moved machines' traffic leaves".into(),
        );
    }
    if local.is_empty() && !site_routes.is_empty() {
        return wrong(
            "--site-routes makes an exception of --local-gateway, which is not given".into(),
        );
    }
    if site_routes.len() > MOST_ROUTES {
        return wrong(format!(
            "--site-routes names more than {MOST_ROUTES} networks"
        ));
    }
    let mut pairs = Vec::new();
    for name in local {
        let router = ours(name);
        let of_vlan: Vec<_> = site.iter().filter(|g| g.vlan == router.vlan).collect();
        if of_vlan.is_empty() {
            return wrong(format!(
                "--local-gateway {name} has no gateway to stand in for: give the MAC address of the site's in that VLAN by --gateway-mac"
            ));
        }
        if site.contains(&router) {
            return wrong(format!(
                "{name} is --gateway-mac and --local-gateway: they are two machines"
            ));
        }
        if pairs
            .iter()
            .any(|(g, _): &(StationKey, _)| g.vlan == router.vlan)
        {
            return wrong(format!(
                "--local-gateway {name}: there is another one in that VLAN"
            ));
        }
        pairs.extend(of_vlan.into_iter().map(|g| (*g, router.mac)));
    }
    Ok(Gateways {
        site,
        local: pairs,
        site_routes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("0.0.0.0/0", "192.0.2.1", "::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("fd00::/8", "fd77::1", "fe80::1"),
            ("::/96", "::1", "10.0.0.0"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network}");
        }
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "fd00::/129",
            "10/8",
            "10.0.0.0/",
            "x/8",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let name = |text: &str| text.parse::<StationName>().unwrap();
        let (gateway, router) = (name("7/02:00:00:00:00:01"), name("7/02:00:00:00:00:02"));
        let vlans = Vlans::default();
        let ok = check(Role::Cloud, &[gateway], &[router], Vec::new(), &vlans).unwrap();
        assert_eq!(ok.local, [(gateway.0, router.0.mac)]);
        assert!(ok.is_one(gateway.0) && !ok.is_one(router.0));
        let everything = || vec!["::/0".parse().unwrap()];
        for (role, site, local, routes, words) in [
            (
                Role::Site,
                &[gateway][..],
                &[router][..],
                vec![],
                "belongs to the cloud",
            ),
            (Role::Cloud, &[], &[router], vec![], "--gateway-mac"),
            (
                Role::Cloud,
                &[gateway],
                &[name("8/02:00:00:00:00:02")],
                vec![],
                "in that VLAN",
            ),
            (Role::Cloud, &[gateway], &[gateway], vec![], "two machines"),
            (
                Role::Cloud,
                &[gateway],
                &[router, router],
                vec![],
                "another one",
            ),
            (Role::Cloud, &[gateway], &[], everything(), "--site-routes"),
        ] {
            let error = check(role, site, local, routes, &vlans).unwrap_err().0;
            assert!(error.contains(words), "{error}");
        }
    }
}
