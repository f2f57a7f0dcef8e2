//! `ergane config`: what is in effect, and where it comes from.

use clap::Subcommand;
use serde_json::json;

use super::failure::Failure;
use super::printer::{Printer, cell, table};
use crate::config::Loaded;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Prints each setting with its value and its origin
    Show,
    /// Says whether the configuration can be used
    Check,
}

/// Does what was asked for; a configuration that got here has been read without an error.
pub fn run(
    command: &ConfigCommand,
    loaded: &Loaded,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show => {
            let answer = json!({ "file": loaded.file, "data": loaded.settings });
            printer.print(&answer, |out| {
                let rows = loaded.settings.iter().map(|setting| {
                    let value = cell(&setting.value, "");
                    vec![setting.key.clone(), value, setting.source.to_string()]
                });
                let titles = ["SETTING", "VALUE", "FROM"];
                table(out, titles.map(str::to_owned).to_vec(), rows.collect())
            })?;
        }
        ConfigCommand::Check => {
            let answer = json!({ "valid": true, "file": loaded.file });
            printer.print(&answer, |out| match &loaded.file {
                Some(path) => writeln!(out, "{} is valid", path.display()),
                None => writeln!(out, "no file; the environment is valid"),
            })?;
        }
    }
    Ok(())
}
