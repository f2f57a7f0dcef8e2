//! `ergane man`: the manual of every command, made from the same tree as the command line itself.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use super::failure::Failure;
use super::printer::Printer;

/// Where the pages go.
#[derive(Debug, Args)]
pub struct ManualArguments {
    /// Writes a page for each command into this directory, instead of the first one here
    #[arg(short, long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
}

/// Writes the manual below `root`.
pub fn run(
    arguments: &ManualArguments,
    root: Command,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    if let Some(directory) = &arguments.output {
        std::fs::create_dir_all(directory)?;
        clap_mangen::generate_to(root, directory)?;
        return Ok(());
    }
    let mut page = Vec::new();
    Man::new(root).render(&mut page)?;
    Ok(printer.text(&String::from_utf8_lossy(&page))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::cli::printer::Form;
    use clap::CommandFactory;

    #[test]
    fn there_is_a_page_for_each_command_and_the_first_names_them_all() {
        let directory = tempfile::tempdir().unwrap();
        let arguments = ManualArguments { output: Some(directory.path().to_owned()) };
        run(&arguments, Cli::command(), &mut Printer::new(Form::People, &mut Vec::new())).unwrap();
        for page in ["ergane.1", "ergane-serve.1", "ergane-run-list.1"] {
            assert!(directory.path().join(page).exists(), "there is no {page}");
        }
        let mut first = Vec::new();
        run(
            &ManualArguments { output: None },
            Cli::command(),
            &mut Printer::new(Form::People, &mut first),
        )
        .unwrap();
        let first = String::from_utf8(first).unwrap();
        assert!(first.starts_with(".ie") && first.contains("workflow"), "{first}");
    }
}
