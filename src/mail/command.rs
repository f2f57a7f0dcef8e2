//! What a sender says, line by line (RFC 5321, section 4.1).

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `EHLO`, with what the sender calls itself.
    Ehlo,
    /// `HELO`, for old senders.
    Helo,
    /// `MAIL FROM`, with the size in bytes that the sender announces.
    Mail {
        /// The announced size, in bytes; 0 when there is none.
        size: u64,
    },
    /// `RCPT TO`, with the address.
    Rcpt(String),
    /// `DATA`.
    Data,
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `RSET`.
    Rset,
    /// `NOOP`.
    Noop,
    /// `VRFY`, which nobody is told anything by.
    Vrfy,
    /// `QUIT`.
    Quit,
    /// A command that is known, in a form that is not.
    Malformed(&'static str),
    /// Anything else.
    Unknown,
}

impl Command {
    /// Reads one line without its end.
    #[must_use]
    pub fn read(line: &[u8]) -> Command {
        let Ok(line) = std::str::from_utf8(line) else { return Command::Unknown };
        let line = line.trim_end();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" if rest.trim().is_empty() => Command::Malformed("EHLO <name>"),
            "HELO" if rest.trim().is_empty() => Command::Malformed("HELO <name>"),
            "EHLO" => Command::Ehlo,
            "HELO" => Command::Helo,
            "MAIL" => mail(rest),
            "RCPT" => match path(rest, "TO:") {
                Some((address, _)) if address.contains('@') => Command::Rcpt(address),
                _ => Command::Malformed("RCPT TO:<address>"),
            },
            "DATA" if rest.is_empty() => Command::Data,
            "STARTTLS" if rest.is_empty() => Command::StartTls,
            "RSET" => Command::Rset,
            "NOOP" => Command::Noop,
            "VRFY" | "EXPN" => Command::Vrfy,
            "QUIT" => Command::Quit,
            _ => Command::Unknown,
        }
    }
}

fn mail(rest: &str) -> Command {
    let Some((_, parameters)) = path(rest, "FROM:") else {
        return Command::Malformed("MAIL FROM:<address>");
    };
    let size = parameters.split(' ').filter_map(|one| one.split_once('='));
    let mut size = size.filter(|(name, _)| name.eq_ignore_ascii_case("SIZE"));
    Command::Mail { size: size.next().and_then(|(_, bytes)| bytes.parse().ok()).unwrap_or(0) }
}

/// Reads `TO:<address> parameters`; the address of a bounce is empty.
fn path<'r>(rest: &'r str, keyword: &str) -> Option<(String, &'r str)> {
    let rest = rest.trim_start();
    let head = rest.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let inside = rest[keyword.len()..].trim_start().strip_prefix('<')?;
    let (address, parameters) = inside.split_once('>')?;
    // A source route is to be ignored (RFC 5321, section 4.1.1.3).
    let address = address
        .strip_prefix('@')
        .and_then(|it| it.split_once(':'))
        .map_or(address, |(_, address)| address);
    let is_plain = address.chars().all(|c| !c.is_whitespace() && !c.is_control());
    is_plain.then(|| (address.to_owned(), parameters.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_however_they_are_written() {
        for (line, command) in [
            ("EHLO mx.test", Command::Ehlo),
            ("helo mx.test", Command::Helo),
            ("EHLO", Command::Malformed("EHLO <name>")),
            ("MAIL FROM:<a@x.test>", Command::Mail { size: 0 }),
            ("mail from: <> BODY=8BITMIME SIZE=512", Command::Mail { size: 512 }),
            ("MAIL a@x.test", Command::Malformed("MAIL FROM:<address>")),
            ("RCPT TO:<b@y.test>", Command::Rcpt("b@y.test".to_owned())),
            ("RCPT TO:<@relay.test:b@y.test>", Command::Rcpt("b@y.test".to_owned())),
            ("RCPT TO:<b>", Command::Malformed("RCPT TO:<address>")),
            ("RCPT TO:<b c@y.test>", Command::Malformed("RCPT TO:<address>")),
            ("RCPT TÖ:<b@y.test>", Command::Malformed("RCPT TO:<address>")),
            ("DATA", Command::Data),
            ("DATA now", Command::Unknown),
            ("rset", Command::Rset),
            ("NOOP x", Command::Noop),
            ("VRFY root", Command::Vrfy),
            ("QUIT", Command::Quit),
            ("starttls", Command::StartTls),
            ("STARTTLS now", Command::Unknown),
            ("", Command::Unknown),
        ] {
            assert_eq!(Command::read(line.as_bytes()), command, "{line}");
        }
        assert_eq!(Command::read(b"RCPT TO:<\xff@y.test>"), Command::Unknown);
    }
}
