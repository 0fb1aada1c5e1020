//! The built-in rules of what a secret looks like. Each has words that it begins with, so that most output is passed over at the speed
//! of looking for words; an expression says how it goes on from there.

use std::sync::Arc;

use regex::bytes::Regex;

use super::SECRET_MAX;
use super::secret::{LONG, Secret, token_end};
use super::verdict::{self, Kind};
use super::words::Words;

/// The label of a private key.
const KEY: &str = "private-key";

struct Rule {
    label: Arc<str>,
    kind: Kind,
    /// What it looks for is the value of a name.
    is_assigned: bool,
    /// From the word on. Its groups are the secret, whichever is there; without one all of it is.
    form: Regex,
}

/// The built-in rules.
pub(super) struct BuiltIn {
    words: Words,
    /// For each word its rule.
    of_words: Vec<usize>,
    forms: Vec<Rule>,
}

/// Words, label, kind, and how it goes on: as far as it is looked at, where no length is known.
type Declared = (&'static [&'static str], &'static str, Kind, &'static str);

const DECLARED: &[Declared] = &[
    (&["akia", "asia"], "aws-access-key", Kind::Token, "(?-i:AKIA|ASIA)[0-9A-Z]{16}"),
    (
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        "github-token",
        Kind::Token,
        "gh[pousr]_[0-9A-Za-z]{36,255}",
    ),
    (&["github_pat_"], "github-token", Kind::Token, "github_pat_[0-9A-Za-z_]{22,255}"),
    (&["glpat-"], "gitlab-token", Kind::Token, "glpat-[0-9A-Za-z_-]{20,255}"),
    (
        &["xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-", "xapp-"],
        "slack-token",
        Kind::Token,
        "(?:xox[abprs]|xapp)-[0-9A-Za-z-]{10,255}",
    ),
    (
        &["hooks.slack.com/services/"],
        "slack-webhook",
        Kind::Within,
        "hooks\\.slack\\.com/services/([0-9A-Za-z/_-]{20,255})",
    ),
    (&["aiza"], "google-api-key", Kind::Token, "(?-i:AIza)[0-9A-Za-z_-]{35}"),
    (&["ya29."], "google-token", Kind::Token, "ya29\\.[0-9A-Za-z_-]{20,}"),
    (&["gocspx-"], "google-secret", Kind::Token, "(?-i:GOCSPX)-[0-9A-Za-z_-]{20,64}"),
    (
        &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"],
        "stripe-key",
        Kind::Token,
        "(?:[sr]k_(?:live|test)|whsec)_[0-9A-Za-z]{16,255}",
    ),
    (&["sk-"], "api-key", Kind::Token, "(?-i:sk)-(?:[a-z]{2,8}[0-9]{0,2}-)*[0-9A-Za-z_-]{24,255}"),
    (&["npm_"], "npm-token", Kind::Token, "npm_[0-9A-Za-z]{36}"),
    (&["pypi-ag"], "pypi-token", Kind::Token, "(?-i:pypi-Ag)[0-9A-Za-z_-]{40,}"),
    (&["dop_v1_", "doo_v1_"], "digitalocean-token", Kind::Token, "do[op]_v1_[0-9a-f]{64}"),
    (&["hf_"], "huggingface-token", Kind::Token, "hf_[0-9A-Za-z]{30,255}"),
    (&["sg."], "sendgrid-key", Kind::Token, "(?-i:SG)\\.[0-9A-Za-z_-]{22}\\.[0-9A-Za-z_-]{43}"),
    (
        &["shpat_", "shpss_", "shpca_"],
        "shopify-token",
        Kind::Token,
        "shp(?:at|ss|ca)_[0-9A-Fa-f]{32}",
    ),
    (&["hvs.", "hvb."], "vault-token", Kind::Token, "hv[sb]\\.[0-9A-Za-z_-]{24,512}"),
    (&["dapi"], "databricks-token", Kind::Token, "dapi[0-9a-f]{32}"),
    (&["age-secret-key-1"], "age-key", Kind::Token, "AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    (&["osp1_"], "openscope-handle", Kind::Token, "osp1_[0-9A-Za-z_-]{200,}"),
    (
        &["eyj"],
        "jwt",
        Kind::Token,
        "(?-i:eyJ)[0-9A-Za-z_-]{8,}\\.[0-9A-Za-z_-]{2,}(?:\\.[0-9A-Za-z_-]{0,}){1,3}",
    ),
    (
        &["-----begin"],
        KEY,
        Kind::Within,
        "-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^\\n]*?(?:-----END [A-Z0-9 ]{0,40}-----|\\n|$)",
    ),
    (&["://"], "url-password", Kind::Password, "://[^\\s/:@\"'<>]{0,128}:([^\\s/@\"'<>]{1,256})@"),
    (
        &["authorization"],
        "authorization",
        Kind::Within,
        "authorization[\"'\\\\]{0,4}[ \\t]{0,8}[:=][ \\t]{0,8}[\"'\\\\]{0,4}(?:(?:basic|bearer|token|negotiate|digest|apikey|aws4-hmac-sha256)[ \\t]{1,4})?([^\\s\"'\\\\][^\\r\\n\"'\\\\]{3,})",
    ),
    (&["bearer"], "bearer-token", Kind::Named, "bearer[ \\t]{1,4}([0-9A-Za-z._~+/-]{16,}={0,2})"),
    (
        &["cookie"],
        "cookie",
        Kind::Within,
        "cookie2?[\"']?[ \\t]{0,4}:[ \\t]{0,4}[\"']?([^\\s\"'=;]{1,128}=[^\\r\\n\"']{3,})",
    ),
    (
        &["--password", "--passwd", "--passphrase", "--token", "--secret", "--api-key"],
        "password",
        Kind::Password,
        "--(?:password|passwd|passphrase|token|secret|api-key)(?:=|[ \\t]{1,4})(?:\"([^\"\\n]+)\"|'([^'\\n]+)'|([^\\s\"'-][^\\s\"']{3,}))",
    ),
    (&["password", "passwd", "passphrase", "pwd"], "password", Kind::Password, NAMED_PASSWORD),
    (
        &[
            "secret",
            "token",
            "api_key",
            "api-key",
            "apikey",
            "access_key",
            "access-key",
            "accesskey",
            "private_key",
            "privatekey",
            "credential",
            "auth_key",
            "account_key",
            "accountkey",
            "sharedaccesskey",
            "encryption_key",
            "signing_key",
            "session_key",
        ],
        "secret",
        Kind::Named,
        NAMED_SECRET,
    ),
];

const NAMED_PASSWORD: &str = "(?:password|passwd|passphrase|pwd)[0-9A-Za-z_.-]{0,40}[\"'\\]\\\\]{0,4}[ \\t]{0,8}(?:=>|:=|==|=|:)[ \\t]{0,8}\\\\{0,3}(?:\"([^\"\\n]+?)\\\\{0,3}\"|'([^'\\n]+)'|([^\\s\"']{4,}))";

const NAMED_SECRET: &str = "(?:secret|token|api[_-]?key|access[_-]?key|private_?key|credential|auth_key|account_?key|sharedaccesskey|(?:encryption|signing|session)_key)[0-9A-Za-z_.-]{0,40}[\"'\\]\\\\]{0,4}[ \\t]{0,8}(?:=>|:=|==|=|:)[ \\t]{0,8}\\\\{0,3}(?:\"([^\"\\n]+?)\\\\{0,3}\"|'([^'\\n]+)'|([^\\s\"']{8,}))";

impl BuiltIn {
    /// Compiles them. One that is none is a defect.
    pub(super) fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let (mut words, mut rules, mut forms) = (Vec::new(), Vec::new(), Vec::new());
        for (position, (begins, label, kind, declared)) in DECLARED.iter().enumerate() {
            words.extend_from_slice(begins);
            rules.extend(std::iter::repeat_n(position, begins.len()));
            let form = Regex::new(&format!("^(?i-u)(?:{declared})"))?;
            let is_assigned = [NAMED_PASSWORD, NAMED_SECRET].contains(declared);
            forms.push(Rule { label: Arc::from(*label), kind: *kind, is_assigned, form });
        }
        Ok(Self { words: Words::new(&words)?, of_words: rules, forms })
    }

    /// Adds the secrets from `at` on, in order and apart. How much of a private key they end with that goes on, if
    /// they do.
    pub(super) fn find(
        &self,
        bytes: &[u8],
        mut at: usize,
        secrets: &mut Vec<Secret>,
    ) -> Option<(usize, Body)> {
        let words = self.words.search(bytes);
        while let Some(hit) = words.next(at) {
            let rule = self.rule(hit.pattern().as_usize())?;
            at = hit.end();
            let Some((from, to)) = rule.at(bytes, hit.start()) else { continue };
            let is_open = &*rule.label == KEY && is_only_the_beginning(bytes.get(from..to)?);
            let word = hit.start();
            let mut body = Body::after(bytes.get(..word)?);
            let rest = bytes.get(to..)?;
            let end = if is_open { to.saturating_add(body.end(rest)) } else { to };
            secrets.push(Secret { word, from, to: end, label: Some(Arc::clone(&rule.label)) });
            if is_open && end == bytes.len() {
                return Some((end.saturating_sub(from), body));
            }
            at = end.max(hit.end());
        }
        None
    }

    /// A token that has begun at the very end, and may not be all there.
    pub(super) fn unfinished(&self, bytes: &[u8], from: usize) -> Option<Secret> {
        let tail = bytes.iter().rposition(|byte| !verdict::is_of_token(*byte));
        let begin = tail.map_or(0, |before| before.saturating_add(1)).max(from);
        let hit = self.words.search(bytes).next(begin)?;
        let rule = self.rule(hit.pattern().as_usize())?;
        let is_one = rule.kind == Kind::Token && hit.start() == begin && hit.end() < bytes.len();
        let (word, to) = (begin, bytes.len());
        let label = Some(Arc::clone(&rule.label));
        is_one.then_some(Secret { word, from: begin, to, label })
    }

    fn rule(&self, word: usize) -> Option<&Rule> {
        self.forms.get(*self.of_words.get(word)?)
    }
}

impl Rule {
    /// The secret that begins with this word, if it is one.
    fn at(&self, bytes: &[u8], word: usize) -> Option<(usize, usize)> {
        let before = word.checked_sub(1).and_then(|before| bytes.get(before));
        if self.kind == Kind::Token && before.is_some_and(|byte| verdict::is_of_word(*byte)) {
            return None;
        }
        let end = word.saturating_add(SECRET_MAX).min(bytes.len());
        let from_word = bytes.get(word..end)?;
        if !self.may_be(from_word) {
            return None;
        }
        let (from, to) = self.secret(from_word)?;
        let length = to.saturating_sub(from);
        let (from, to) = (word.saturating_add(from), word.saturating_add(to));
        Some((from, if length < LONG { to } else { token_end(bytes, to) }))
    }

    /// Whether the form may see a secret here: most words are only words, which is told without it.
    fn may_be(&self, from_word: &[u8]) -> bool {
        if self.is_assigned {
            return verdict::is_assigned(from_word) && verdict::may_be_given(self.kind, from_word);
        }
        from_word.strip_prefix(b"://").is_none_or(verdict::may_be_login)
    }

    /// Where the secret begins and ends, by the form.
    fn secret(&self, from_word: &[u8]) -> Option<(usize, usize)> {
        // Where it ends is told without room for groups.
        let length = self.form.find(from_word)?.end();
        let found = self.form.captures(from_word.get(..length)?)?;
        let secret =
            (1..found.len()).find_map(|group| found.get(group)).or_else(|| found.get(0))?;
        let mut value = secret.as_bytes();
        // The last group of such a form is a value without quotes, which says by itself where it ends.
        if self.is_assigned && found.get(3).is_some() {
            value = verdict::bare(self.kind, value)?;
        }
        let from = secret.start();
        verdict::is_secret(self.kind, value).then(|| (from, from.saturating_add(value.len())))
    }
}

/// Whether of a private key only the first line was found.
fn is_only_the_beginning(found: &[u8]) -> bool {
    memchr::memmem::find(found, b"-----END").is_none()
}

/// The lines of a private key after its first, as far as they were looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Body {
    /// Something stands before each, as a log's time and name do.
    is_prefixed: bool,
    /// The last one was as long as those within are.
    was_whole: bool,
}

impl Body {
    /// The least that a line within has of a key; the last one may have less.
    const WHOLE: usize = 40;

    /// Of a key whose first line begins after this.
    fn after(before: &[u8]) -> Self {
        let begin = memchr::memrchr(b'\n', before).map_or(0, |end| end.saturating_add(1));
        let prefix = before.get(begin..).unwrap_or_default();
        Self { is_prefixed: !prefix.trim_ascii().is_empty(), was_whole: false }
    }

    /// Where the key ends: with its last line, or with what cannot be of one.
    pub(super) fn end(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if let Some(end) = memchr::memmem::find(line, b"-----END") {
                let rest = line.get(end..).unwrap_or_default();
                let text = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                return at + end + text;
            }
            if !line.iter().all(|byte| is_of_key(*byte)) && !self.takes(line) {
                return at;
            }
            at += line.len();
        }
        at
    }

    /// Whether a line with something before it ends with a part of a key.
    fn takes(&mut self, line: &[u8]) -> bool {
        let line = line.trim_ascii_end();
        let begin = line.iter().rposition(|byte| !is_of_base64(*byte));
        let part = line.get(begin.map_or(0, |before| before.saturating_add(1))..);
        let length = part.unwrap_or_default().len();
        let could_be = self.is_prefixed && length > 0 && (self.was_whole || length >= Self::WHOLE);
        self.was_whole = length >= Self::WHOLE;
        could_be
    }
}

fn is_of_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=:,- \t\r\n".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static RULES: LazyLock<BuiltIn> = LazyLock::new(|| BuiltIn::new().unwrap());

    proptest! {
        #[test]
        fn no_name_with_a_value_is_passed_over(
            text in "(?i:password|token|api-key|secret)[a-z_.-]{0,3}[\"'\\\\\\]]{0,2}[ \\t]{0,2}(=>|:=|==|=|:|;|)[ ]{0,2}[\"'\\\\]{0,2}[A-Za-z0-9]{0,12}",
        ) {
            for form in [NAMED_PASSWORD, NAMED_SECRET] {
                let form = Regex::new(&format!("^(?i-u)(?:{form})")).unwrap();
                let is_found = form.is_match(text.as_bytes());
                prop_assert!(!is_found || verdict::is_assigned(text.as_bytes()), "{:?}", text);
            }
        }

        #[test]
        fn nothing_is_passed_over_in_which_the_form_sees_a_secret(
            name in "(password|pwd|token|api-key|secret)[a-z_.-]{0,2}[\"'\\\\\\]]{0,2}[ \\t]{0,2}(=>|:=|==|=|:)[ \\t]{0,2}[\\\\]{0,2}[\"'=>]{0,2}",
            value in "[a-zA-Z0-9]{0,8}[0-9a-zA-Z,;&)}<>|\\\\.(=:/*$ \\x0b\"'-]{0,8}[0-9a-f]{0,8}[\"'\\\\ ]{0,2}",
            user in "://[a-z.%:/@<]{0,4}:?",
            end in "[a-z0-9:$/<\" \\x0b]{0,6}[@/:]?",
        ) {
            for text in [format!("{name}{value}"), format!("{user}{end}")] {
                for rule in RULES.forms.iter().filter(|rule| !rule.may_be(text.as_bytes())) {
                    prop_assert_eq!(rule.secret(text.as_bytes()), None, "{:?}", text);
                }
            }
        }
    }
}
