//! A set of rules that a catalog declares.

use std::error::Error;
use std::sync::Arc;

use wire::privsep::{RedactRules, RedactSetRules};

use super::form::Forms;
use super::literal::Literals;
use super::secret::Secret;

/// Forms and values, and what their marks say.
pub(super) struct Set {
    label: Arc<str>,
    forms: Option<Forms>,
    literals: Option<Literals>,
}

impl Set {
    /// The set as it was told, among others.
    pub(super) fn new(
        told: &RedactSetRules,
        all: &RedactRules,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let forms = (!told.forms.is_empty()).then(|| Forms::new(&told.forms)).transpose()?;
        let literals = || Literals::new(&all.key, all.slot_bits, &told.literals);
        let literals = (!told.literals.is_empty()).then(literals);
        Ok(Self { label: Arc::from(told.label.as_str()), forms, literals })
    }

    /// Adds the secrets from `at` on, in no order.
    pub(super) fn find(&self, bytes: &[u8], at: usize, secrets: &mut Vec<Secret>) {
        let mut add = |word, from, to| {
            let label = Some(Arc::clone(&self.label));
            secrets.push(Secret { word, from, to, label }.extended(bytes));
        };
        if let Some(forms) = &self.forms {
            forms.find(bytes, at, &mut add);
        }
        if let Some(literals) = &self.literals {
            literals.find(bytes, at, &mut |from, to| add(from, from, to));
        }
    }

    /// A secret that has begun from `from` on, and may not be all there.
    pub(super) fn unfinished(&self, bytes: &[u8], from: usize) -> Option<Secret> {
        let form = self.forms.as_ref().and_then(|forms| forms.unfinished(bytes, from));
        let literal = self.literals.as_ref().and_then(|all| all.unfinished(bytes, from));
        let begin = form.into_iter().chain(literal).min()?;
        let label = Some(Arc::clone(&self.label));
        Some(Secret { word: begin, from: begin, to: bytes.len(), label })
    }
}
