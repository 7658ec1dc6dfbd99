//! Distinguished names as text: `C=CH, O=rig, CN=alice`, in the order in which they are encoded.

use std::fmt;
use x509_cert::der::Decode;
use x509_cert::name::Name;

/// A distinguished name.
#[derive(Clone, PartialEq, Eq)]
pub struct DistinguishedName {
    der: Vec<u8>,
    parts: Vec<String>,
}

impl DistinguishedName {
    /// Reads one in DER.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let name = Name::from_der(der).ok()?;
        // RFC 4514 escapes what would end a part; it leaves control characters alone.
        let parts = name.iter_rdn().map(|part| printable(&part.to_string())).collect();
        Some(Self { der: der.to_vec(), parts })
    }

    /// As it came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// `C=CH`, `O=rig`, `CN=alice`, with what is not printable ASCII escaped.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Whether it names nobody.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join(", "))
    }
}

impl fmt::Debug for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DistinguishedName({self})")
    }
}

/// What is not printable ASCII becomes `\x00`, octet by octet.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b' '..=b'~' => out.push(char::from(octet)),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out
}
