//! The JSON files of other tests as one HTML page with plots.
//!
//! [`input`] reads and checks the files, [`quantity`] says numbers with their units, [`plot`] draws. Each test has a
//! section that knows its records ([`compare`], [`pipeline`], [`rfc2544`], ...); what no section knows still
//! gets a table ([`table`]), so that nothing of a file is lost. [`page`] puts it together.
//!
//! The page needs nothing but itself: style and SVG are inside, and there is no script.

mod compare;
mod input;
mod page;
mod pipeline;
mod plot;
mod quantity;
mod rfc2544;
mod section;
mod table;

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;

use self::input::Run;
use crate::error::{Error, Result};

/// What to report.
#[derive(Args)]
pub(crate) struct Options {
    /// Files that --json wrote: of one test or of many, of one machine or of several
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The page; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
    /// Heading of the page
    #[arg(long, value_name = "TEXT", default_value = "causeway-perf")]
    title: String,
}

/// Reads the files and writes the page.
///
/// # Errors
///
/// One line that says which file is wrong, and what to do.
pub(crate) fn run(options: &Options) -> Result {
    let to_stdout = options.out == Path::new("-");
    if !to_stdout {
        check_output(&options.out, &options.files)?;
    }
    let runs = options.files.iter().map(|f| Run::read(f));
    let runs: Vec<_> = runs.collect::<Result<_>>()?;
    let page = page::page(&options.title, &runs).into_string();
    if to_stdout {
        let mut out = io::stdout().lock();
        let written = out.write_all(page.as_bytes()).and_then(|()| out.flush());
        return written.map_err(Error::failed("cannot write the page"));
    }
    let name = options.out.display();
    fs::write(&options.out, page)
        .map_err(|e| Error::Usage(format!("cannot write --out {name}: {e}")))?;
    let files = if runs.len() == 1 { "file" } else { "files" };
    println!("{name}: {} records of {} {files}", count(&runs), runs.len());
    Ok(())
}

fn count(runs: &[Run]) -> usize {
    runs.iter().map(|run| run.records.len()).sum()
}

/// A page may replace an older one, but neither a device nor what it is made from.
fn check_output(out: &Path, files: &[PathBuf]) -> Result {
    let refuse = |why: &str| {
        let out = out.display();
        Err(Error::Usage(format!(
            "--out {out} is {why}: name a file for the page, or - for standard output"
        )))
    };
    match fs::metadata(out) {
        Ok(found) if !found.is_file() => return refuse("not a regular file"),
        Ok(_) => {}
        Err(_) => return Ok(()),
    }
    let real = |path: &Path| fs::canonicalize(path).ok();
    if files.iter().any(|file| real(file) == real(out)) {
        return refuse("one of the files to read");
    }
    Ok(())
}
