//! The object with the harness's XDP programs.

use aya::{
    Ebpf, include_bytes_aligned,
    maps::{Map, MapError},
    programs::Xdp,
};
use causeway::xdp::{XdpError, load_error, load_program};

use crate::error::{Error, Result};

/// What `scripts/build-ebpf` built from `ebpf/`.
static OBJECT: &[u8] =
    include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/../ebpf/perf.bpf.o"));

/// The maps of the object, and its program `name`, loaded.
///
/// # Errors
///
/// [`Error::CannotRun`]: the kernel refuses; the text says what it needs.
pub(crate) fn load(name: &'static str) -> Result<Ebpf> {
    let refused = |error: XdpError| Error::CannotRun(error.to_string());
    let mut ebpf = Ebpf::load(OBJECT).map_err(|error| refused(load_error(error)))?;
    load_program(program(&mut ebpf, name)).map_err(refused)?;
    Ok(ebpf)
}

/// The program `name`.
pub(crate) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> &'a mut Xdp {
    let program = ebpf.program_mut(name).expect("the object has it");
    program.try_into().expect("it is an XDP program")
}

/// Takes the map `name`.
pub(crate) fn take_map<M: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &str) -> M {
    let map = ebpf.take_map(name).expect("the object has it");
    M::try_from(map).expect("it is of that type")
}
