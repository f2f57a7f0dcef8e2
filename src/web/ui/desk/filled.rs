//! A form as it was filled in: fields in their order, some of them several times.

/// The fields of a form with what was typed into them.
#[derive(Clone, Debug, Default)]
pub struct Filled(Vec<(String, String)>);

impl Filled {
    /// Reads the body of a form.
    pub fn read(form: &[u8]) -> Filled {
        Filled(url::form_urlencoded::parse(form).into_owned().collect())
    }

    /// Returns what was typed into a field, trimmed; `None` where the form has no such field.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim())
    }

    /// Returns what was typed into a field; nothing where it was left empty.
    pub fn text(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    /// Returns what was typed into a field that may be left empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// Returns every value of a field that may stand several times.
    pub fn list(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| value.clone()).collect()
    }

    /// Returns every field with its value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.trim()))
    }
}
