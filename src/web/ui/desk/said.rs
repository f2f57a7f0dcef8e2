//! What a page says after a form led back to it: a word in the address stands for a sentence.

use crate::web::query::Query;

const SENTENCES: [(&str, &str); 17] = [
    ("approved", "Approved. The run goes on."),
    ("rejected", "Rejected. The run goes on as its definition says."),
    ("made", "It was made."),
    ("saved", "The changes were saved."),
    ("removed", "It was removed."),
    ("commented", "The comment was added."),
    ("escalated", "The ticket was escalated."),
    ("archived", "The ticket was archived."),
    ("unarchived", "The ticket was taken back."),
    ("named", "The tenant has its new name."),
    ("quotas", "The quotas hold from now on."),
    ("suspended", "The tenant is suspended: it takes no new work, its runs rest."),
    ("resumed", "The tenant goes on exactly where it was."),
    ("removing", "The tenant is nobody's now; what it kept goes in the background."),
    ("ended", "The session has ended."),
    ("imported", "Every row was taken in, each with its event."),
    ("unescalated", "The ticket is no longer escalated."),
];

/// Returns the sentence that the address asks for; a word of nobody's says nothing.
pub fn said(query: &Query) -> Option<&'static str> {
    let word = query.text("said")?;
    SENTENCES.iter().find(|(known, _)| *known == word).map(|(_, sentence)| *sentence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn only_sentences_of_ours_are_said() {
        let of = |word: &str| {
            let pairs = vec![("said".to_owned(), word.to_owned())];
            said(&Query::of(pairs, Timestamp::from_millis(0)))
        };
        assert_eq!(of("removed"), Some("It was removed."));
        assert_eq!(of("<b>send money</b>"), None);
    }
}
