//! Binary formats by their first bytes.

use memchr::memmem;

use super::super::Unfilterable;

/// A content coding, by its first bytes: for bodies whose headers do not say that they have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Zlib,
    Zstd,
}

/// The coding that `body` starts like.
#[must_use]
pub fn coding(body: &[u8]) -> Option<Coding> {
    match body {
        [0x1f, 0x8b, 8, ..] => Some(Coding::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Coding::Zstd),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some(Coding::Zlib),
        _ => None,
    }
}

/// Why a body that is no text cannot be filtered: proven binary only if its signature is that of
/// its type.
pub(super) fn judge(essence: Option<&str>, body: &[u8]) -> Unfilterable {
    let Some(format) = FORMATS.iter().find(|format| format.fits(body)) else {
        return Unfilterable::Unknown;
    };
    if format.is_encrypted(body) {
        return Unfilterable::Encrypted;
    }
    match essence {
        // No type, or one that promises nothing: the signature alone is no proof.
        None | Some("" | "application/octet-stream" | "binary/octet-stream") => {
            Unfilterable::Unknown
        }
        Some(essence) if format.types.iter().any(|known| essence.starts_with(known)) => {
            Unfilterable::Binary
        }
        Some(_) => Unfilterable::Mislabelled,
    }
}

struct Format {
    at: usize,
    signature: &'static [u8],
    /// Starts of the types that go with it.
    types: &'static [&'static str],
}

// === impl Format ===

impl Format {
    fn fits(&self, body: &[u8]) -> bool {
        body.get(self.at..)
            .is_some_and(|rest| rest.starts_with(self.signature))
    }

    fn is_encrypted(&self, body: &[u8]) -> bool {
        match self.signature {
            b"%PDF-" => memmem::find(body, b"/Encrypt").is_some(),
            // The first entry's flags.
            b"PK\x03\x04" => body.get(6).is_some_and(|flags| flags & 1 != 0),
            OLE => memmem::find(body, b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e").is_some(),
            _ => false,
        }
    }
}

const fn format(signature: &'static [u8], types: &'static [&'static str]) -> Format {
    Format {
        at: 0,
        signature,
        types,
    }
}

const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

const FORMATS: &[Format] = &[
    format(b"\x89PNG\r\n\x1a\n", &["image/png", "image/apng"]),
    format(b"\xff\xd8\xff", &["image/jpeg", "image/jpg", "image/pjpeg"]),
    format(b"GIF8", &["image/gif"]),
    format(b"BM", &["image/bmp", "image/x-ms-bmp"]),
    format(b"II*\0", &["image/tiff"]),
    format(b"MM\0*", &["image/tiff"]),
    format(b"\0\0\x01\0", &["image/x-icon", "image/vnd.microsoft.icon"]),
    format(
        b"RIFF",
        &[
            "image/webp",
            "audio/wav",
            "audio/x-wav",
            "audio/vnd.wave",
            "video/avi",
            "video/x-msvideo",
        ],
    ),
    format(b"%PDF-", &["application/pdf"]),
    format(
        b"PK\x03\x04",
        &[
            "application/zip",
            "application/x-zip",
            "application/epub",
            "application/java-archive",
            "application/vnd.",
        ],
    ),
    format(
        OLE,
        &[
            "application/msword",
            "application/vnd.ms-",
            "application/vnd.visio",
        ],
    ),
    format(
        b"\x1f\x8b",
        &[
            "application/gzip",
            "application/x-gzip",
            "application/x-tar",
        ],
    ),
    format(b"7z\xbc\xaf\x27\x1c", &["application/x-7z-compressed"]),
    format(
        b"Rar!\x1a\x07",
        &["application/vnd.rar", "application/x-rar"],
    ),
    format(b"\x28\xb5\x2f\xfd", &["application/zstd"]),
    format(b"ID3", &["audio/mpeg", "audio/mp3"]),
    format(b"\xff\xfb", &["audio/mpeg", "audio/mp3"]),
    format(b"\xff\xf3", &["audio/mpeg", "audio/mp3"]),
    format(
        b"OggS",
        &["audio/ogg", "video/ogg", "audio/opus", "application/ogg"],
    ),
    format(b"fLaC", &["audio/flac", "audio/x-flac"]),
    format(
        b"\x1a\x45\xdf\xa3",
        &["video/webm", "audio/webm", "video/x-matroska"],
    ),
    Format {
        at: 4,
        signature: b"ftyp",
        types: &[
            "video/mp4",
            "audio/mp4",
            "audio/m4a",
            "audio/x-m4a",
            "video/quicktime",
            "image/heic",
            "image/heif",
            "image/avif",
        ],
    },
    format(b"wOFF", &["font/woff"]),
    format(b"wOF2", &["font/woff2"]),
    format(b"\0\x01\0\0", &["font/ttf", "font/sfnt"]),
    format(b"OTTO", &["font/otf"]),
];
