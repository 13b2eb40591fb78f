//! What every XDP program here needs of the kernel: the frame between two pointers.
#![allow(unsafe_code, reason = "pointers from the kernel")]

use aya_ebpf::programs::XdpContext;
use causeway_ebpf::Packet;

/// A frame between the pointers `data` and `data_end`.
pub(crate) struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    #[inline(always)]
    pub(crate) fn of(ctx: &XdpContext) -> Self {
        Self {
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }
}

impl Packet for Frame {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let at = self.start + offset;
        if at + N > self.end {
            return None;
        }
        // SAFETY: the N bytes lie inside the frame, as just checked (and as the verifier checks
        // again); an array of bytes has no alignment.
        Some(unsafe { *(at as *const [u8; N]) })
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.end - self.start
    }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Never reached: the verifier would refuse a program that could get here.
    loop {}
}
