//! `ergane serve`: runs the appliance until it is asked to stop.

use std::io::Write;

use clap::Args;

use super::failure::Failure;
use crate::boot::doors::{self, Serving};
use crate::config::{Flag, Loaded};
use crate::telemetry;

/// How to run it; everything else is in the configuration.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Fills a new data directory with a playable tenant
    #[arg(long)]
    demo: bool,
    /// Where to listen [default: 127.0.0.1:7171]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl ServeArguments {
    /// Returns the settings that the flags replace.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        if self.demo {
            flags.push(Flag { key: "demo", name: "--demo", value: "true".to_owned() });
        }
        if let Some(address) = &self.listen {
            flags.push(Flag { key: "http.listen", name: "--listen", value: address.clone() });
        }
        flags
    }
}

/// Runs the appliance until a signal ends it.
pub fn run(loaded: &Loaded, out: &mut dyn Write) -> Result<(), Failure> {
    telemetry::install(&loaded.config.log).map_err(anyhow::Error::new)?;
    let outcome = doors::run(loaded, |serving| {
        // Whoever started it may have closed the pipe; it serves all the same.
        let _ = welcome(loaded, serving, out);
    });
    telemetry::flush();
    Ok(outcome?)
}

fn welcome(loaded: &Loaded, serving: &Serving, out: &mut dyn Write) -> std::io::Result<()> {
    let Some(address) = serving.address else { return Ok(()) };
    let (scheme, base) = (serving.scheme, loaded.config.http.base());
    let directory = loaded.config.data_dir.display();
    writeln!(out, "ergane {}  data {directory}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  pages    {scheme}://{address}{base}/")?;
    writeln!(out, "  API      {scheme}://{address}{base}/docs")?;
    match &serving.setup_path {
        Some(path) => {
            writeln!(out, "  sign in  {scheme}://{address}{base}{path}  (once, within 24 h)")?
        }
        None => writeln!(
            out,
            "  sign in  with a password or a key; a way in is made by: ergane setup-link"
        )?,
    }
    if !address.ip().is_loopback() && scheme == "http" {
        writeln!(
            out,
            "  open to the network without TLS; set http.tls_certificate_file, or put a proxy in front"
        )?;
    }
    out.flush()
}
