//! What is built into the binary, and under which licences.

use askama::Template;

use crate::web::error::Answer;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html};

/// The libraries of the build for Linux: name, version and licence.
const BUNDLED: &str = include_str!("bundled.tsv");
const HTMX: Part = Part { name: "htmx", version: "in static/vendor", licence: "0BSD" };

/// One part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    name: &'static str,
    version: &'static str,
    licence: &'static str,
}

/// The page.
#[derive(Template)]
#[template(path = "licences.html")]
pub struct LicencesPage {
    shell: Shell,
    parts: Vec<Part>,
    kinds: Vec<(&'static str, usize)>,
}

/// Makes the page.
pub fn page(shell: Shell) -> LicencesPage {
    let parts: Vec<Part> = std::iter::once(HTMX).chain(parts()).collect();
    let mut kinds: Vec<(&'static str, usize)> = Vec::new();
    for part in &parts {
        match kinds.iter_mut().find(|(licence, _)| *licence == part.licence) {
            Some((_, count)) => *count += 1,
            None => kinds.push((part.licence, 1)),
        }
    }
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    LicencesPage { shell, parts, kinds }
}

fn parts() -> impl Iterator<Item = Part> {
    BUNDLED.lines().filter_map(|line| {
        let mut cells = line.split('\t');
        let (name, version, licence) = (cells.next()?, cells.next()?, cells.next()?);
        Some(Part { name, version, licence })
    })
}

/// Shows them.
pub async fn show(visit: Visit) -> Answer {
    html(&page(visit.shell))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = include_str!("../../../../Cargo.lock");
    const MANIFEST: &str = include_str!("../../../../Cargo.toml");

    #[test]
    fn every_part_is_told_in_the_version_that_is_built_in() {
        for part in parts() {
            let entry = format!("name = \"{}\"\nversion = \"{}\"", part.name, part.version);
            assert!(LOCK.contains(&entry), "{} {} is not built in", part.name, part.version);
            assert!(!part.licence.is_empty(), "{} has no licence", part.name);
        }
    }

    #[test]
    fn no_library_that_we_name_is_left_out() {
        let own = MANIFEST.split("[dependencies]").nth(1).expect("it has dependencies");
        let own = own.split("\n[").next().unwrap_or_default();
        for line in own.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, _)) = line.split_once(" = ") else { continue };
            assert!(parts().any(|part| part.name == name.trim()), "{name} is not told of");
        }
    }
}
