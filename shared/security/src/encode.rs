//! The canonical encoding of what is bound into a seal, a MAC or a hash: every field with its
//! length in front, so that no two different lists of fields encode alike. Fixed by vectors in
//! tests; a change here makes everything sealed before unreadable.

/// Collects fields.
#[derive(Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// Starts with a domain tag, so that encodings for different purposes never coincide.
    #[must_use]
    pub fn new(domain: &str) -> Self {
        Self::default().bytes(domain.as_bytes())
    }

    #[must_use]
    pub fn bytes(mut self, field: &[u8]) -> Self {
        // Fields are ids, names and bodies under the body cap: far below 4 GiB.
        let length = u32::try_from(field.len()).expect("a field is shorter than 4 GiB");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    #[must_use]
    pub fn text(self, field: &str) -> Self {
        self.bytes(field.as_bytes())
    }

    #[must_use]
    pub fn number(self, field: i64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    /// Absent and empty encode differently: absent is one byte 0, present one byte 1 and the field.
    #[must_use]
    pub fn optional(self, field: Option<&[u8]>) -> Self {
        match field {
            None => self.bytes(&[0]),
            Some(field) => self.bytes(&[1]).bytes(field),
        }
    }

    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}
