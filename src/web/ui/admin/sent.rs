//! What a form has sent: fields that may stand several times, as boxes to tick do.

/// The fields of a form, in the order in which they were sent.
pub struct Sent(Vec<(String, String)>);

impl Sent {
    /// Reads the body of a form; lines end as they do here and not as browsers send them.
    pub fn read(body: &[u8]) -> Sent {
        let pairs = url::form_urlencoded::parse(body).into_owned();
        Sent(pairs.map(|(name, value)| (name, value.replace("\r\n", "\n"))).collect())
    }

    /// Returns a field without the space around it; nothing where it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    /// Returns a field that is filled in.
    pub fn given(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Returns a field exactly as it was typed, unless it is empty; a password may begin with a
    /// space.
    pub fn exact(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    }

    /// Returns every value of a field.
    pub fn list(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| value.trim().to_owned()).filter(|text| !text.is_empty()).collect()
    }

    /// Returns the words and lines of a field, split at spaces and commas.
    pub fn words(&self, name: &str) -> Vec<String> {
        let parts = self.text(name).split(|c: char| c.is_whitespace() || c == ',');
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// Returns whether a box is ticked.
    pub fn is_ticked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_once_or_several_times() {
        let sent = Sent::read(b"a=1&scope=x&scope=&scope=y&text=+p%0D%0Aq+&types=a,b%0D%0Ac");
        assert_eq!(sent.list("scope"), ["x", "y"]);
        assert_eq!((sent.text("text"), sent.given("none")), ("p\nq", None));
        assert_eq!(sent.exact("text").as_deref(), Some(" p\nq "));
        assert_eq!(sent.words("types"), ["a", "b", "c"]);
        assert!(sent.is_ticked("a") && !sent.is_ticked("b"));
    }
}
