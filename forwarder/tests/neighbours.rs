//! The kernel makes sure of a neighbour that only AF_XDP sends to.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::net::IpAddr;

use causeway::routes;

#[path = "netns/mod.rs"]
#[allow(unused_imports, reason = "other tests need the rest")]
mod netns;

use netns::{Namespace, in_namespace};

const MAC: &str = "02:99:00:00:00:01";

/// What the kernel has of a neighbour: its state, and its MAC address.
fn neighbour(namespace: &Namespace, address: &str) -> (String, String) {
    let text = namespace.ip(&["-j", "neighbour", "show", "to", address, "dev", "up0"]);
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    let state = found[0]["state"][0].as_str().unwrap_or_default();
    let mac = found[0]["lladdr"].as_str().unwrap_or_default();
    (state.to_owned(), mac.to_owned())
}

#[test]
fn a_stale_one_is_asked_again() {
    in_namespace(|namespace| {
        namespace.veth("up0", "up1");
        namespace.ip(&["address", "add", "192.0.2.1/24", "dev", "up0"]);
        let known = [
            ("192.0.2.6", "stale"),
            ("192.0.2.7", "stale"),
            ("192.0.2.8", "permanent"),
        ];
        for (address, state) in known {
            let entry = [address, "lladdr", MAC, "dev", "up0", "nud", state];
            namespace.ip(&[&["neighbour", "replace"][..], &entry].concat());
        }
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection().unwrap();
            tokio::spawn(connection);
            let mut links = handle.link().get().match_name("up0").execute();
            let link = futures_util::TryStreamExt::try_next(&mut links).await;
            let index = link.unwrap().unwrap().header.index;
            let used = [7, 8, 9].map(|last| (index, IpAddr::from([192, 0, 2, last])));
            let used = used.into_iter().collect();
            routes::confirm_stale(&handle, &used).await.unwrap();
        });
        let (state, mac) = neighbour(namespace, "192.0.2.7");
        assert!(
            ["DELAY", "PROBE"].contains(&&*state) && mac == MAC,
            "{state}"
        );
        // One that an operator has set is left as it is, and so is one that is not used, or not known.
        for (address, state) in [("192.0.2.8", "PERMANENT"), ("192.0.2.6", "STALE")] {
            let found = neighbour(namespace, address);
            assert_eq!(found, (state.to_owned(), MAC.to_owned()), "{address}");
        }
        assert_eq!(neighbour(namespace, "192.0.2.9").0, "");
    });
}
