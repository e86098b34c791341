//! How large a pattern becomes, told before it is built: repetitions are written out, and a class of
//! characters is a small machine of its own.

use regex_syntax::hir::{Class, Hir, HirKind};

/// About how many states the engine's program has. The parser has bounded the depth.
pub(super) fn states(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(text) => text.0.len() as u64,
        HirKind::Class(Class::Unicode(class)) => PER_RANGE * class.ranges().len() as u64 + 1,
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() as u64 + 1,
        HirKind::Repetition(repetition) => {
            let least = u64::from(repetition.min) + 1;
            let times = repetition.max.map_or(least, |most| u64::from(most).max(1));
            states(&repetition.sub)
                .saturating_add(1)
                .saturating_mul(times)
        }
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let sizes = parts.iter().map(|part| states(part).saturating_add(1));
            sizes.fold(0, u64::saturating_add)
        }
    }
}

/// A range of characters is up to a few sequences of bytes.
const PER_RANGE: u64 = 8;
