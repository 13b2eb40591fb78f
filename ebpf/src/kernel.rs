//! What every XDP program here needs of the kernel: the frame between two pointers.
#![allow(unsafe_code, reason = "pointers from the kernel")]

use aya_ebpf::{helpers::bpf_xdp_get_buff_len, programs::XdpContext};
use causeway_ebpf::Packet;

/// A frame, of which the bytes between the pointers `data` and `data_end` can be loaded.
///
/// Of a frame in several buffers (a jumbo frame; the programs are `xdp.frags`) that is the first buffer.
/// Drivers put far more into it than the headers that the verdicts look at: a page, or what a
/// page leaves beside the kernel's own use of it.
pub(crate) struct Frame<'a> {
    ctx: &'a XdpContext,
    start: usize,
    end: usize,
}

impl<'a> Frame<'a> {
    #[inline(always)]
    pub(crate) fn of(ctx: &'a XdpContext) -> Self {
        Self {
            ctx,
            start: ctx.data(),
            end: ctx.data_end(),
        }
    }
}

impl Packet for Frame<'_> {
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
        // SAFETY: the context is the kernel's own, as the program was given it.
        let all_buffers = unsafe { bpf_xdp_get_buff_len(self.ctx.ctx) };
        all_buffers as usize
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
