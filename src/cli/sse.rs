//! Reads server-sent events out of the pieces in which they arrive; HTML standard, section 9.2.

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its name; empty for a plain one.
    pub name: String,
    /// What it carries.
    pub data: String,
}

/// Puts messages together.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    message: Message,
    last_id: Option<String>,
}

impl Reader {
    /// Takes a piece and returns the messages that it completes.
    pub fn take(&mut self, piece: &[u8]) -> Vec<Message> {
        self.bytes.extend_from_slice(piece);
        let mut complete = Vec::new();
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            complete.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        complete
    }

    /// Returns what to name to go on after everything that was taken.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    fn line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return (!message.data.is_empty()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.last_id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.message.name),
            "data" if self.message.data.is_empty() => value.clone_into(&mut self.message.data),
            "data" => {
                self.message.data.push('\n');
                self.message.data.push_str(value);
            }
            _ => {} // A comment, or a field that does not concern us.
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_put_together_however_they_are_cut() {
        let text =
            "retry: 1000\n\n:\n\nid: 7\ndata: {\"a\":\"ü\"}\n\nevent: end\ndata: 1\ndata: 2\n\n";
        let message =
            |name: &str, data: &str| Message { name: name.to_owned(), data: data.to_owned() };
        let expected = [message("", "{\"a\":\"ü\"}"), message("end", "1\n2")];
        for size in [1, 3, text.len()] {
            let mut reader = Reader::default();
            let pieces = text.as_bytes().chunks(size);
            let read: Vec<Message> = pieces.flat_map(|piece| reader.take(piece)).collect();
            assert_eq!(read, expected, "pieces of {size}");
            assert_eq!(reader.last_id(), Some("7"));
        }
    }
}
