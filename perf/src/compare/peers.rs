//! All peers.

pub(crate) mod causeway;
mod fastd;
mod kernel;
mod n2n;
mod openvpn;
mod softether;
mod testpmd;
mod tinc;
mod vpncloud;
mod wireguard;
mod xdp;

use super::peer::Peer;

/// All peers, in the order of the report: causeway, what does not encrypt, what does.
pub(crate) fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(causeway::AES256),
        Box::new(causeway::XDP),
        Box::new(causeway::AES128),
        Box::new(kernel::BRIDGE),
        Box::new(kernel::VXLAN),
        Box::new(xdp::Redirect::default()),
        Box::new(testpmd::AF_XDP),
        Box::new(testpmd::AF_PACKET),
        Box::new(fastd::NULL),
        Box::new(fastd::GCM),
        Box::new(fastd::UMAC),
        Box::new(vpncloud::AES256),
        Box::new(vpncloud::AES128),
        Box::new(tinc::Tinc),
        Box::new(openvpn::OpenVpn),
        Box::new(softether::SoftEther),
        Box::new(n2n::N2n),
        Box::new(wireguard::GO),
        Box::new(wireguard::BORINGTUN),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_easy_to_type() {
        let peers = all();
        let names: BTreeSet<_> = peers.iter().map(|peer| peer.name()).collect();
        assert_eq!(names.len(), peers.len());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(
            names.iter().all(|name| name.chars().all(plain)),
            "{names:?}"
        );
    }
}
