//! Forms that carry files, RFC 7578: each part's name with its text.

/// How many parts a form may have.
const PARTS_MAX: usize = 100;

/// Returns the boundary that a content type of `multipart/form-data` names.
#[must_use]
pub fn boundary(content_type: &str) -> Option<&str> {
    let parameters = content_type.trim().strip_prefix("multipart/form-data")?;
    let mut parameters = parameters.split(';').map(str::trim);
    let value = parameters.find_map(|parameter| parameter.strip_prefix("boundary="))?;
    let value = value.trim_matches('"');
    (!value.is_empty() && value.len() <= 70).then_some(value)
}

/// Returns the parts of a form by name, in order; what is no UTF-8 is left out.
#[must_use]
pub fn parts(boundary: &str, body: &[u8]) -> Vec<(String, String)> {
    let line = format!("--{boundary}");
    let mut found = Vec::new();
    for part in split(body, line.as_bytes()).skip(1).take(PARTS_MAX) {
        let Some(part) = part.strip_prefix(b"\r\n") else { break }; // The last one ends with `--`.
        let Some(end) = position(part, b"\r\n\r\n") else { continue };
        let (head, content) = (&part[..end], &part[end + 4..]);
        let content = content.strip_suffix(b"\r\n").unwrap_or(content);
        let (Ok(head), Ok(content)) = (std::str::from_utf8(head), std::str::from_utf8(content))
        else {
            continue;
        };
        if let Some(name) = name_in(head) {
            found.push((name, content.to_owned()));
        }
    }
    found
}

fn name_in(head: &str) -> Option<String> {
    let is_ours = |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition:");
    let line = head.lines().find(is_ours)?;
    let name = line.split("; ").find_map(|parameter| parameter.strip_prefix("name=\""))?;
    Some(name.split('"').next()?.to_owned())
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn split<'a>(mut text: &'a [u8], line: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut over = false;
    std::iter::from_fn(move || {
        if over {
            return None;
        }
        match position(text, line) {
            Some(at) => {
                let part = &text[..at];
                text = &text[at + line.len()..];
                Some(part)
            }
            None => {
                over = true;
                Some(text)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_name_and_its_text() {
        let body = "--xYz\r\nContent-Disposition: form-data; name=\"_token\"\r\n\r\nabc\r\n\
                    --xYz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.yaml\"\r\n\
                    Content-Type: application/yaml\r\n\r\nname: a\r\nsteps: []\r\n\r\n--xYz--\r\n";
        assert_eq!(boundary("multipart/form-data; boundary=xYz"), Some("xYz"));
        assert_eq!(boundary("multipart/form-data; boundary=\"x y\""), Some("x y"));
        for none in
            ["multipart/form-data", "text/plain; boundary=x", "multipart/form-data; boundary="]
        {
            assert_eq!(boundary(none), None, "{none}");
        }
        let expected = [("_token", "abc"), ("file", "name: a\r\nsteps: []\r\n")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(parts("xYz", body.as_bytes()), expected);
    }

    #[test]
    fn what_breaks_off_or_is_no_text_is_left_out() {
        for body in ["", "--x", "--x\r\n", "--x--", "--x\r\nno head", "--xgarbage"] {
            assert_eq!(parts("x", body.as_bytes()), [], "{body:?}");
        }
        let odd = b"--x\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\xff\xfe\r\n--x--";
        assert_eq!(parts("x", odd), []);
    }
}
