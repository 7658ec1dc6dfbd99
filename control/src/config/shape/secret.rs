//! Values that are never shown.

use super::{Misfit, Shape};
use crate::config::checked::PasswordHash;
use crate::config::error::Problem;
use crate::config::psk;
use toml::de::DeValue;

/// Text that is never shown.
pub(in crate::config) struct SecretText(pub(in crate::config) &'static str);

impl Shape for SecretText {
    type Value = adit_crypto::secret::SecretBytes;

    fn read(&self, value: &DeValue<'_>) -> Result<Self::Value, Misfit> {
        let text = value.as_str().ok_or(Misfit::PLAIN)?;
        psk::from_text(text.as_bytes()).map_err(|error| Misfit::Problem(Problem::SecretText(error)))
    }

    fn expected(&self) -> String {
        self.0.to_owned()
    }

    fn show(&self, value: &DeValue<'_>) -> String {
        format!("a value of kind {} (not shown: it may be secret)", value.type_str())
    }
}

/// A password's hash; never shown.
pub(in crate::config) struct HashText;

impl Shape for HashText {
    type Value = PasswordHash;

    fn read(&self, value: &DeValue<'_>) -> Result<PasswordHash, Misfit> {
        let text = value.as_str().ok_or(Misfit::PLAIN)?;
        PasswordHash::parse(text).map_err(|error| Misfit::Problem(Problem::PasswordHash(error)))
    }

    fn expected(&self) -> String {
        "a password's hash in quotes (`aditctl hash-password` makes one)".to_owned()
    }

    fn show(&self, value: &DeValue<'_>) -> String {
        SecretText("").show(value)
    }
}
