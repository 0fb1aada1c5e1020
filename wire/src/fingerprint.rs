//! What two people compare to know that they speak of the same daemon.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bip39::Language;
use sha2::{Digest, Sha256};

/// SHA-256 of a daemon's identity key. As text `SHA256:` and base64, as ssh shows its keys.
#[derive(Clone, Copy)]
pub struct Fingerprint([u8; 32]);

/// How many words are read aloud: 88 bits, more than anybody can search for a second key.
pub const WORDS: usize = 8;
/// A word stands for so many bits, as its list has 2,048.
const BITS_PER_WORD: usize = 11;
const PREFIX: &str = "SHA256:";
/// Longer text than any fingerprint, quoted and spaced as people do.
const MAX_TEXT: usize = 256;

impl Fingerprint {
    /// The fingerprint of a daemon's Ed25519 public key.
    #[must_use]
    pub fn of(daemon_key: &[u8; 32]) -> Self {
        Self(Sha256::digest(daemon_key).into())
    }

    /// Its first 88 bits as words of the BIP-39 English list, to be said over the telephone.
    #[must_use]
    pub fn words(&self) -> [&'static str; WORDS] {
        let list = Language::English.word_list();
        self.numbers().map(|number| list.get(usize::from(number)).copied().unwrap_or_default())
    }

    /// Whether what a person typed or pasted is this fingerprint.
    #[must_use]
    pub fn confirms(&self, claim: &Claim) -> bool {
        match claim {
            Claim::Whole(other) => self == other,
            Claim::Words(numbers) => self.numbers() == *numbers,
        }
    }

    fn numbers(&self) -> [u16; WORDS] {
        std::array::from_fn(|word| {
            let bits = word * BITS_PER_WORD..(word + 1) * BITS_PER_WORD;
            bits.fold(0, |number, bit| (number << 1) | u16::from(self.bit(bit)))
        })
    }

    fn bit(&self, bit: usize) -> bool {
        self.0.get(bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    }
}

impl PartialEq for Fingerprint {
    /// In a time that does not depend on where they differ.
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
    }
}

impl Eq for Fingerprint {}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What somebody says a fingerprint is: all of it, or its eight words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claim {
    /// Given as `SHA256:…`.
    Whole(Fingerprint),
    /// Given as words, by their numbers in the list.
    Words([u16; WORDS]),
}

/// Why text is no fingerprint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FingerprintFault {
    /// Nothing was given.
    #[error("no fingerprint given; it is `SHA256:` and 43 characters, or eight words")]
    Empty,
    /// Far longer than any fingerprint.
    #[error("too long for a fingerprint, which is `SHA256:` and 43 characters, or eight words")]
    TooLong,
    /// `SHA256:` and then not 32 bytes in base64.
    #[error("after `SHA256:` come 43 letters, digits, `+` or `/`; this has {length} characters")]
    NotWhole {
        /// Characters after the prefix.
        length: usize,
    },
    /// Only words, but not eight.
    #[error("a fingerprint has eight words, this has {count}")]
    WordCount {
        /// Words given.
        count: usize,
    },
    /// A word that is not in the list.
    #[error("word {place}, `{word}`, is none of a fingerprint's words; did you mean `{nearest}`?")]
    Word {
        /// Which word, from 1.
        place: usize,
        /// As it was given.
        word: String,
        /// The word of the list that is most like it.
        nearest: &'static str,
    },
}

impl FromStr for Claim {
    type Err = FingerprintFault;

    fn from_str(text: &str) -> Result<Self, FingerprintFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(FingerprintFault::Empty);
        }
        if text.len() > MAX_TEXT {
            return Err(FingerprintFault::TooLong);
        }
        match text.split_at_checked(PREFIX.len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => whole(rest),
            Some(_) | None => words(text),
        }
    }
}

fn whole(base64: &str) -> Result<Claim, FingerprintFault> {
    let base64 = base64.trim().trim_end_matches('=');
    let fault = FingerprintFault::NotWhole { length: base64.chars().count() };
    let bytes = BASE64_STANDARD_NO_PAD.decode(base64).map_err(|_| fault.clone())?;
    Ok(Claim::Whole(Fingerprint(bytes.try_into().map_err(|_| fault)?)))
}

fn words(text: &str) -> Result<Claim, FingerprintFault> {
    let between = |c: char| c.is_whitespace() || ['-', ',', '.'].contains(&c);
    let given = text.split(between).filter(|word| !word.is_empty());
    let numbers: Vec<u16> =
        given.enumerate().map(|(place, word)| number(place + 1, word)).collect::<Result<_, _>>()?;
    let count = numbers.len();
    let numbers = numbers.try_into().map_err(|_| FingerprintFault::WordCount { count })?;
    Ok(Claim::Words(numbers))
}

fn number(place: usize, word: &str) -> Result<u16, FingerprintFault> {
    let lower = word.to_lowercase();
    Language::English.find_word(&lower).ok_or_else(|| FingerprintFault::Word {
        place,
        word: word.escape_debug().to_string(),
        nearest: nearest(&lower),
    })
}

fn nearest(word: &str) -> &'static str {
    let distance = |known: &&&str| strsim::damerau_levenshtein(known, word);
    Language::English.word_list().iter().min_by_key(distance).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [0; 32];
    const TEXT: &str = "SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU";

    fn claim(text: &str) -> Result<Claim, FingerprintFault> {
        text.parse()
    }

    #[test]
    fn it_is_the_sha_256_of_the_key_as_ssh_writes_one() {
        assert_eq!(Fingerprint::of(&KEY).to_string(), TEXT);
    }

    #[test]
    fn its_words_are_the_first_88_bits_of_the_same_hash() {
        let list = Language::English.word_list();
        let numbers = Fingerprint::of(&KEY).words().map(|word| {
            u128::try_from(list.iter().position(|known| *known == word).unwrap()).unwrap()
        });
        let bits = numbers.iter().fold(0, |bits, number| (bits << 11) | number);
        let hash: [u8; 32] = Sha256::digest(KEY).into();
        let first = hash[..11].iter().fold(0, |bits, byte| (bits << 8) | u128::from(*byte));
        assert_eq!(bits, first);
    }

    #[test]
    fn pp3_both_forms_confirm_the_right_key_and_no_other() {
        let fingerprint = Fingerprint::of(&KEY);
        let spoken = fingerprint.words().join(" ");
        for text in [TEXT, &spoken, &spoken.to_uppercase(), &spoken.replace(' ', "-")] {
            let claim = claim(text).unwrap();
            assert!(fingerprint.confirms(&claim), "{text}");
            assert!(!Fingerprint::of(&[1; 32]).confirms(&claim), "{text}");
        }
    }

    #[test]
    fn each_word_and_each_bit_counts() {
        let fingerprint = Fingerprint::of(&KEY);
        for place in 0..WORDS {
            let mut words = fingerprint.words();
            words[place] = if words[place] == "zoo" { "zone" } else { "zoo" };
            assert!(!fingerprint.confirms(&claim(&words.join(" ")).unwrap()));
        }
        for bit in 0..256 {
            let mut other = fingerprint;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(other, fingerprint);
        }
    }

    #[test]
    fn padding_and_blanks_around_it_do_no_harm() {
        assert_eq!(claim(&format!("  {TEXT}=\n")), claim(TEXT));
    }

    #[test]
    fn a_mistyped_word_is_named_with_its_place_and_the_nearest() {
        let mut words = Fingerprint::of(&KEY).words().map(str::to_owned);
        words[2] = "abandn".to_owned();
        let fault = claim(&words.join(" ")).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "word 3, `abandn`, is none of a fingerprint's words; did you mean `abandon`?"
        );
    }

    #[test]
    fn seven_words_and_nine_are_refused() {
        let words = Fingerprint::of(&KEY).words().join(" ");
        let (_, seven) = words.split_once(' ').unwrap();
        assert_eq!(claim(seven), Err(FingerprintFault::WordCount { count: 7 }));
        let nine = format!("{words} zoo");
        assert_eq!(claim(&nine), Err(FingerprintFault::WordCount { count: 9 }));
    }

    #[test]
    fn bad_text_is_refused_with_its_reason() {
        assert_eq!(claim(" "), Err(FingerprintFault::Empty));
        assert_eq!(claim(&"a".repeat(257)), Err(FingerprintFault::TooLong));
        assert_eq!(claim("SHA256:abc"), Err(FingerprintFault::NotWhole { length: 3 }));
        let long = format!("{TEXT}AA");
        assert_eq!(claim(&long), Err(FingerprintFault::NotWhole { length: 45 }));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = claim(&text);
        }
    }
}
