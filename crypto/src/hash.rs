//! Hashes of what everybody may see: IVs and NAT detection of IKEv1. For secrets there is [`crate::prf`], which wipes.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::suite::Hash;

/// `hash(parts[0] | parts[1] | …)`: `hash.output_len()` octets.
pub fn hash(hash: Hash, parts: &[&[u8]]) -> Vec<u8> {
    match hash {
        Hash::Md5 => digest::<Md5>(parts),
        Hash::Sha1 => digest::<Sha1>(parts),
        Hash::Sha256 => digest::<Sha256>(parts),
        Hash::Sha384 => digest::<Sha384>(parts),
        Hash::Sha512 => digest::<Sha512>(parts),
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut digest = D::new();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "abc": RFC 1321 appendix A.5, FIPS 180-4's examples.
    #[test]
    fn abc_hashes_as_the_standards_print_it() {
        for (function, expected) in [
            (Hash::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Hash::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Hash::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                Hash::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            assert_eq!(hex::encode(hash(function, &[b"a", b"", b"bc"])), expected);
            assert_eq!(expected.len(), 2 * function.output_len());
        }
    }
}
