//! `ergane version`: which build this is.

use serde_json::json;

use super::failure::Failure;
use super::printer::Printer;

/// Prints the version.
pub fn run(printer: &mut Printer<'_>) -> Result<(), Failure> {
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
    });
    printer.print(&answer, |out| writeln!(out, "ergane {}", env!("CARGO_PKG_VERSION")))?;
    Ok(())
}
