//! The rules that the source itself must keep: arrows point down, each tool has its one place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may import, and why it ends there.
const ARROWS: [(&str, &[&str], &str); 11] = [
    ("domain", &[], "it is pure: values and functions without I/O, time or frameworks"),
    ("clock", &["domain"], "everything that reads the time stands above it"),
    ("metrics", &[], "whoever counts stands above it"),
    ("tls", &["domain", "clock"], "every door that speaks TLS stands above it"),
    ("failpoint", &[], "any layer that does something may be made to fail there"),
    ("store", &["domain", "clock", "metrics", "failpoint"], "it keeps bytes and knows no engine"),
    (
        "activities",
        &["domain", "clock", "metrics", "failpoint", "store"],
        "an activity is called by the engine and knows nothing of runs",
    ),
    (
        "engine",
        &["domain", "clock", "metrics", "failpoint", "store", "activities"],
        "it is driven by the use cases and knows no API, page or person",
    ),
    (
        "app",
        &["domain", "clock", "metrics", "failpoint", "store", "activities", "engine"],
        "API, pages and commands call the use cases, not the other way round",
    ),
    (
        "web",
        &["domain", "clock", "metrics", "failpoint", "tls", "app"],
        "a handler parses, calls a use case and renders",
    ),
    (
        "mail",
        &["domain", "clock", "metrics", "failpoint", "tls", "app"],
        "it is a door like the web: it parses, calls a use case and answers",
    ),
];

/// The wiring, which may import everything.
const WIRING: [&str; 8] =
    ["main.rs", "lib.rs", "boot", "cli", "config", "telemetry", "bench", "demo"];

/// Where the tools with one place are allowed.
const PLACES: [(&str, &[&str], &str); 6] = [
    ("bincode", &["store/codec"], "the format of a record is decided in the codec alone"),
    ("redb", &["store"], "another database must fit behind the same seam"),
    ("actix", &["engine", "boot"], "actors are how the engine lives, and nothing else's concern"),
    ("actix_web", &["web", "boot"], "HTTP ends where the use cases begin"),
    ("minijinja", &["domain/expression"], "there is one language, and one place that speaks it"),
    ("askama", &["web"], "pages are made where they are answered"),
];

const LINES_MAX: usize = 500;

struct Source {
    path: PathBuf,
    relative: String,
    production: String,
}

impl Source {
    fn layer(&self) -> &str {
        let top = self.relative.split('/').next().unwrap_or_default();
        match top.strip_suffix(".rs") {
            Some("main" | "lib") | None => top,
            Some(module) => module,
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, "rs", &mut found);
    found.sort();
    assert!(!found.is_empty(), "there is no source below {}", root.display());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("the source is readable");
        let relative = path.strip_prefix(&root).expect("it was found below the root");
        let relative = relative.to_str().expect("paths of the source are plain").to_owned();
        Source { production: production(&text), relative, path }
    };
    let sources: Vec<Source> = found.into_iter().map(read).collect();
    let only_tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
    let is_production = |source: &Source| {
        let module = source.relative.trim_end_matches(".rs").trim_end_matches("/mod");
        !only_tests.iter().any(|only| {
            module == only || module.strip_prefix(only).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    sources.into_iter().filter(is_production).collect()
}

/// Returns the modules that `source` declares for tests alone, as paths without their ending.
fn test_modules(source: &Source) -> Vec<String> {
    let stem = source.relative.trim_end_matches(".rs");
    let folder = match stem.rsplit_once('/') {
        Some((folder, "mod")) => folder,
        None if matches!(stem, "lib" | "main") => "",
        _ => stem,
    };
    let declared = source.production.split("#[cfg(test)]\nmod ").skip(1);
    let names = declared.filter_map(|rest| rest.split_once(';').map(|(name, _)| name));
    names.map(|name| format!("{folder}/{name}").trim_start_matches('/').to_owned()).collect()
}

fn collect(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.expect("the directory is readable").path();
        if path.is_dir() {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

/// Leaves out comments and everything from the test module on, which stands last in a file.
fn production(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Returns the layers that a source names after `crate::`, also inside braces.
fn imports(source: &str) -> BTreeSet<String> {
    let mut layers = BTreeSet::new();
    for (start, _) in source.match_indices("crate::") {
        let rest = &source[start + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => layers.extend(heads_of_group(group)),
            None => drop(layers.insert(head(rest))),
        }
    }
    layers.retain(|layer| !layer.is_empty());
    layers
}

fn head(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn heads_of_group(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut at_start = true;
    for (offset, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && depth == 0 && !c.is_whitespace() => {
                heads.push(head(&group[offset..]));
                at_start = false;
            }
            _ => {} // Letters within a path.
        }
    }
    heads
}

/// Returns whether the crate `tool` is named, as `tool::`, `use tool;` or a derive's path.
fn names(source: &str, tool: &str) -> bool {
    let pattern = format!("{tool}::");
    source.match_indices(&pattern).any(|(start, _)| {
        let before = source[..start].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

fn fail(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn arrows_point_down_only() {
    let mut faults = Vec::new();
    for source in sources() {
        let layer = source.layer();
        if WIRING.contains(&layer) {
            continue;
        }
        let Some((_, allowed, why)) = ARROWS.iter().find(|(name, ..)| *name == layer) else {
            faults.push(format!(
                "src/{}: `{layer}` is no layer; put it into one, or add it to the arrows here",
                source.relative
            ));
            continue;
        };
        for target in imports(&source.production) {
            if target != layer && !allowed.contains(&target.as_str()) {
                faults.push(format!(
                    "src/{}: the arrow {layer} -> {target} points up; {why}. Move the thing down, \
                     or pass it in",
                    source.relative
                ));
            }
        }
    }
    fail(faults);
}

#[test]
fn each_tool_has_its_one_place() {
    let mut faults = Vec::new();
    for source in sources() {
        for (tool, places, why) in PLACES {
            let is_home = places.iter().any(|place| {
                source.relative.starts_with(&format!("{place}/"))
                    || source.relative == format!("{place}.rs")
            });
            if !is_home && names(&source.production, tool) {
                faults.push(format!(
                    "src/{}: `{tool}` belongs into src/{} alone; {why}",
                    source.relative,
                    places.join(" and src/")
                ));
            }
        }
    }
    fail(faults);
}

#[test]
fn every_file_says_what_it_is_for_and_stays_readable() {
    let mut faults = Vec::new();
    for source in sources() {
        let text = fs::read_to_string(&source.path).expect("the source is readable");
        if !text.starts_with("//! ") {
            faults.push(format!("src/{}: the first line is no `//!` sentence", source.relative));
        }
        let lines = source.production.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > LINES_MAX {
            faults.push(format!(
                "src/{}: {lines} lines of code without its tests, more than {LINES_MAX}; split \
                 it by noun",
                source.relative
            ));
        }
        for unfinished in ["todo!(", "unimplemented!("] {
            if source.production.contains(unfinished) {
                faults.push(format!("src/{}: `{unfinished}` is left", source.relative));
            }
        }
    }
    fail(faults);
}

#[test]
fn every_template_has_its_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut templates = Vec::new();
    collect(&root, "html", &mut templates);
    let mut users: String = sources().into_iter().map(|source| source.production).collect();
    for template in &templates {
        users.push_str(&fs::read_to_string(template).expect("templates are readable"));
    }
    let mut faults = Vec::new();
    for template in templates {
        let name = template.strip_prefix(&root).expect("it was found below the root");
        let name = name.to_str().expect("paths of templates are plain");
        if !users.contains(&format!("\"{name}\"")) {
            faults.push(format!("templates/{name}: no page and no template uses it; delete it"));
        }
    }
    fail(faults);
}

#[test]
fn imports_are_found_in_every_form() {
    let source = "use crate::store::{Store, seam};\nuse crate::{clock::Clock, domain::{id, time}};\n\
                  fn f(x: crate::app::Error) {}";
    let expected = ["app", "clock", "domain", "store"].map(str::to_owned);
    assert_eq!(imports(source), BTreeSet::from(expected));
    assert!(names("use redb::Database;", "redb") && names("#[derive(redb::Key)]", "redb"));
    assert!(!names("use actix_web::web;", "actix") && !names("crate::redb::x", "redb"));
}
