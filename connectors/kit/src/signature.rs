//! Signatures and keys that callers show. Promises: comparing takes the same time wherever the first difference is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whether `signature` is base64(HMAC-SHA256(secret, body)).
#[must_use]
pub fn hmac_sha256_base64_matches(secret: &[u8], body: &[u8], signature: &str) -> bool {
    let Ok(expected) = STANDARD.decode(signature.trim()) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&expected).is_ok()
}

/// base64(HMAC-SHA256(secret, body)): what a sender puts into its header; for tests and simulators.
#[must_use]
pub fn hmac_sha256_base64(secret: &[u8], body: &[u8]) -> String {
    STANDARD.encode(hmac_sha256(secret, &[body]))
}

/// HMAC-SHA256 over the parts, one after another.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256 as 64 lower-case hexadecimal digits: how an API key stands in a configuration file.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Whether two texts are equal, in time that depends on their lengths only.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            write!(text, "{byte:02x}").ok();
            text
        })
}

/// Reads hexadecimal digits of any case; `None` for an odd number of them or anything else.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4231, test case 2.
    const MAC: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn known_answer() {
        let mac = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&mac), MAC);
        assert_eq!(unhex(MAC), Some(mac.to_vec()));
    }

    #[test]
    fn wrong_signatures_do_not_match() {
        let good = hmac_sha256_base64(b"secret", b"body");
        assert!(hmac_sha256_base64_matches(b"secret", b"body", &good));
        for (secret, body, signature) in [
            ("other", "body", good.as_str()),
            ("secret", "Body", good.as_str()),
            ("secret", "body", ""),
            ("secret", "body", "not base64 !"),
            ("secret", "body", good.get(..20).unwrap_or("")),
        ] {
            assert!(!hmac_sha256_base64_matches(
                secret.as_bytes(),
                body.as_bytes(),
                signature
            ));
        }
    }

    #[test]
    fn hex_round_trip() {
        assert_eq!(unhex("zz"), None);
        assert_eq!(unhex("abc"), None);
        assert_eq!(unhex("00fF"), Some(vec![0, 255]));
        assert_eq!(
            sha256_hex(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(equal(b"ab", b"ab") && !equal(b"ab", b"ac") && !equal(b"ab", b"abc"));
    }
}
