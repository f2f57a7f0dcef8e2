//! The files of `static/`, in the binary, under addresses that change with their content.

use std::borrow::Cow;
use std::sync::LazyLock;

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// A file with what HTTP says of it.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its content.
    pub bytes: Cow<'static, [u8]>,
    /// Its media type.
    pub content_type: &'static str,
    /// The entity tag, quoted.
    pub etag: String,
}

struct Name {
    file: String,
    path: String,
    hash: String,
}

static NAMES: LazyLock<Vec<Name>> = LazyLock::new(|| Files::iter().filter_map(name).collect());

fn name(file: Cow<'static, str>) -> Option<Name> {
    let hash = hex::encode(&Files::get(&file)?.metadata.sha256_hash()[..8]);
    let (stem, extension) = file.rsplit_once('.')?;
    content_type(extension)?;
    let path = format!("/static/{}-{hash}.{extension}", stem.replace('/', "-"));
    Some(Name { file: file.into_owned(), path, hash })
}

/// Returns the path of a file of `static/` with its hash; the plain path when there is no such
/// file, which the pages' tests refuse.
pub fn path_of(file: &str) -> String {
    let found = NAMES.iter().find(|name| name.file == file);
    found.map_or_else(|| format!("/static/{file}"), |name| name.path.clone())
}

/// Returns the file whose hashed path is `path`.
pub fn find(path: &str) -> Option<Asset> {
    let name = NAMES.iter().find(|name| name.path == path)?;
    let content_type = content_type(name.file.rsplit_once('.')?.1)?;
    let bytes = Files::get(&name.file)?.data;
    Some(Asset { bytes, content_type, etag: format!("\"{}\"", name.hash) })
}

/// Returns the media type of the files that are served; others, such as notes, are not.
fn content_type(extension: &str) -> Option<&'static str> {
    match extension {
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_under_its_hashed_path() {
        for file in ["app.css", "app.js", "vendor/htmx.min.js", "favicon.svg"] {
            let path = path_of(file);
            assert!(path.len() > file.len() + 16, "{path}");
            assert!(!find(&path).expect("the file").bytes.is_empty());
        }
        assert!(find("/static/app.css").is_none() && find("/static/../Cargo.toml").is_none());
    }

    #[test]
    fn our_own_files_stay_small() {
        for (file, bytes_max) in [("app.css", 64_000), ("app.js", 6_000), ("log.js", 1_000)] {
            let size = find(&path_of(file)).expect("the file").bytes.len();
            assert!(size <= bytes_max, "{file} has {size} bytes");
        }
    }
}
