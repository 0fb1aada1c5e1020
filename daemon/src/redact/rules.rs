//! Which rules one call's output is looked through by.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use policy::RedactName;
use wire::privsep::{RedactBy, RedactRules, RedactSetRules};

use super::built_in::{Body, BuiltIn};
use super::entropy;
use super::secret::{Secret, settle};
use super::set::Set;

/// Rules that are looked through together.
#[derive(Default)]
pub struct Rules {
    built_in: Option<Arc<BuiltIn>>,
    /// Whether words that look drawn are secrets.
    entropy: bool,
    sets: Vec<Arc<Set>>,
}

/// All rules that there are.
pub struct Known {
    built_in: Arc<BuiltIn>,
    sets: BTreeMap<RedactName, Arc<Set>>,
}

type Defect = Box<dyn Error + Send + Sync>;

impl Known {
    /// None but the built-in ones.
    ///
    /// # Errors
    /// A rule that is none: a defect.
    pub fn built_in() -> Result<Self, Defect> {
        Ok(Self { built_in: Arc::new(BuiltIn::new()?), sets: BTreeMap::new() })
    }

    /// Takes the catalog's, in place of those that were told before. Calls that run keep what they began with.
    ///
    /// # Errors
    /// One that is none: policy would not have loaded. None of them is known then.
    pub fn learn(&mut self, rules: &RedactRules) -> Result<(), Defect> {
        self.sets.clear();
        let set = |told: &RedactSetRules| Ok((told.name.clone(), Arc::new(Set::new(told, rules)?)));
        self.sets = rules.sets.iter().map(set).collect::<Result<_, Defect>>()?;
        Ok(())
    }

    /// Those of these names, if there are any; nothing when one is not known.
    #[must_use]
    pub fn chosen(&self, names: &[RedactBy]) -> Option<Option<Arc<Rules>>> {
        let mut rules = Rules::default();
        for name in names {
            match name {
                RedactBy::Default => rules.built_in = Some(Arc::clone(&self.built_in)),
                RedactBy::Entropy => rules.entropy = true,
                RedactBy::Own(name) => rules.sets.push(Arc::clone(self.sets.get(name)?)),
            }
        }
        Some((!names.is_empty()).then(|| Arc::new(rules)))
    }
}

impl Rules {
    /// The built-in ones.
    ///
    /// # Errors
    /// A rule that is none: a defect.
    pub fn built_in() -> Result<Self, Defect> {
        Ok(Self { built_in: Some(Arc::new(BuiltIn::new()?)), ..Self::default() })
    }

    /// Adds the secrets from `at` on, in order and apart. How much of a private key they end with that goes on, if
    /// they do.
    pub(super) fn find(
        &self,
        bytes: &[u8],
        at: usize,
        secrets: &mut Vec<Secret>,
    ) -> Option<(usize, Body)> {
        let key = self.built_in.as_ref().and_then(|rules| rules.find(bytes, at, secrets));
        let before = secrets.len();
        self.sets.iter().for_each(|set| set.find(bytes, at, secrets));
        if self.entropy {
            entropy::find(bytes, at, secrets);
        }
        if secrets.len() > before {
            settle(secrets);
        }
        key
    }

    /// A secret that has begun from `from` on, and may not be all there.
    pub(super) fn unfinished(&self, bytes: &[u8], from: usize) -> Option<Secret> {
        let built_in = self.built_in.iter().filter_map(|rules| rules.unfinished(bytes, from));
        let own = self.sets.iter().filter_map(|set| set.unfinished(bytes, from));
        built_in.chain(own).min_by_key(|secret| secret.from)
    }
}
