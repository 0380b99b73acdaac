//! What a medium is, by its first bytes.

use base64::Engine;

/// The media type of base64 `data`, where its first bytes tell.
pub fn sniff(data: &str) -> Option<&'static str> {
    let head = base64::engine::general_purpose::STANDARD.decode(data.get(..16)?).ok()?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Some("application/pdf"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ar_25_the_bytes_tell_the_type() {
        for (bytes, kind) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01", Some("image/jpeg")),
            (b"GIF89a\x01\0\x01\0\0\0", Some("image/gif")),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"%PDF-1.7\n%abcdef", Some("application/pdf")),
            (b"nothing known", None),
            (b"", None),
        ] {
            assert_eq!(sniff(&base64::engine::general_purpose::STANDARD.encode(bytes)), kind);
        }
    }
}
