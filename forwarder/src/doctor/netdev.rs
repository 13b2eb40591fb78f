//! What a driver can do for XDP, by the kernel's netlink family `netdev` (Documentation/netlink/specs/netdev.yaml,
//! Linux 6.3).

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// `NETDEV_XDP_ACT_BASIC`: XDP in the driver.
pub const BASIC: u64 = 1;
/// `NETDEV_XDP_ACT_XSK_ZEROCOPY`: AF_XDP without a copy.
pub const ZERO_COPY: u64 = 1 << 3;
/// `NETDEV_XDP_ACT_RX_SG`: frames in several buffers.
pub const MULTI_BUFFER: u64 = 1 << 5;

/// `NETDEV_A_DEV_XDP_FEATURES` of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpFeatures(pub u64);

// include/uapi/linux/netlink.h, genetlink.h and netdev.h.
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
/// Bytes of the headers of netlink and of generic netlink.
const HEADERS: usize = 16 + 4;

/// Asks the kernel what the driver of the device can do.
///
/// # Errors
///
/// A text that says why the kernel does not tell.
pub fn xdp_features(ifindex: u32) -> Result<XdpFeatures, String> {
    let family = ask(
        GENL_ID_CTRL,
        CTRL_CMD_GETFAMILY,
        CTRL_ATTR_FAMILY_NAME,
        b"netdev\0",
    )?;
    let family = attribute(&family, CTRL_ATTR_FAMILY_ID)
        .and_then(|id| Some(u16::from_ne_bytes(id.get(..2)?.try_into().ok()?)))
        .ok_or("the kernel answers in another form")?;
    let device = ask(
        family,
        NETDEV_CMD_DEV_GET,
        NETDEV_A_DEV_IFINDEX,
        &ifindex.to_ne_bytes(),
    )?;
    let features = attribute(&device, NETDEV_A_DEV_XDP_FEATURES)
        .and_then(|bits| Some(u64::from_ne_bytes(bits.get(..8)?.try_into().ok()?)));
    features
        .map(XdpFeatures)
        .ok_or_else(|| "the kernel does not say what the driver can do".into())
}

/// One request with one attribute; the attributes of the answer.
fn ask(family: u16, command: u8, attribute: u16, value: &[u8]) -> Result<Vec<u8>, String> {
    let cannot = |e: rustix::io::Errno| format!("the kernel does not tell: {e}");
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        flags,
        Some(netlink::GENERIC),
    );
    let socket = socket.map_err(cannot)?;
    send(
        &socket,
        &request(family, command, attribute, value),
        SendFlags::empty(),
    )
    .map_err(cannot)?;
    let mut buffer = vec![0; 16 << 10];
    // The kernel has answered before `send` returned.
    let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::DONTWAIT).map_err(cannot)?;
    answer(&buffer[..length])
}

fn request(family: u16, command: u8, attribute: u16, value: &[u8]) -> Vec<u8> {
    let attribute_length = 4 + value.len();
    let length = HEADERS + attribute_length.next_multiple_of(4);
    let mut request = Vec::with_capacity(length);
    request.extend((length as u32).to_ne_bytes());
    request.extend(family.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and port are of no use here.
    request.extend([0; 8]);
    request.extend([command, 1, 0, 0]);
    request.extend((attribute_length as u16).to_ne_bytes());
    request.extend(attribute.to_ne_bytes());
    request.extend(value);
    request.resize(length, 0);
    request
}

fn answer(message: &[u8]) -> Result<Vec<u8>, String> {
    let number = |at: usize| {
        message
            .get(at..at + 2)
            .map(|b| u16::from_ne_bytes([b[0], b[1]]))
    };
    match (number(4), message.get(HEADERS..)) {
        (Some(NLMSG_ERROR), Some(error)) => {
            let code = message.get(16..20).and_then(|code| code.try_into().ok());
            let errno = code.map_or(0, i32::from_ne_bytes);
            let _ = error;
            Err(match -errno {
                libc::ENOENT => {
                    "this kernel does not tell what drivers can do (it does since 6.3)".into()
                }
                errno => format!(
                    "the kernel does not tell: {}",
                    std::io::Error::from_raw_os_error(errno)
                ),
            })
        }
        (Some(_), Some(attributes)) => Ok(attributes.to_vec()),
        _ => Err("the kernel answers in another form".into()),
    }
}

/// The value of the first attribute of this kind.
fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let [a, b, c, d, ..] = *attributes else {
            return None;
        };
        let length = usize::from(u16::from_ne_bytes([a, b]));
        if u16::from_ne_bytes([c, d]) == kind {
            return attributes.get(4..length);
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_and_cut_ones_are_none() {
        let text = request(0x1b, 1, NETDEV_A_DEV_IFINDEX, &7_u32.to_ne_bytes());
        assert_eq!(text.len(), 28);
        let attributes = [&text[HEADERS..], &[12, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(
            attribute(&attributes, 3),
            Some(&[1, 0, 0, 0, 0, 0, 0, 0][..])
        );
        assert_eq!(attribute(&attributes, 4), None);
        for length in 0..attributes.len() {
            assert_eq!(attribute(&attributes[..length], 3), None, "{length}");
        }
        assert_eq!(attribute(&[0; 64], 3), None, "and it ends");
    }

    #[test]
    fn errors_are_told() {
        let mut message = [0; 36];
        message[4] = NLMSG_ERROR as u8;
        message[16..20].copy_from_slice(&(-libc::ENOENT).to_ne_bytes());
        assert!(answer(&message).unwrap_err().contains("since 6.3"));
        assert!(answer(&message[..10]).is_err());
    }
}
